"""What an author imports: connector, streams, routes, ingest, sync, settings, and the one door.

Author code reaches the platform only through `host.Host`; because of that one door a route can
run in another process without a changed line. Nothing here knows the store.
"""
