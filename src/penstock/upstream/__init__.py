"""Speaking politely to somebody else's API.

Values and pure functions first: requests and responses (request, headers), exact JSON (wire,
tokens), field paths (fields), placeholders (template), pagers (paging, trail), time filters
(since), credentials and schemes (auth), the retry decision (retry), the addresses a connection may
reach (guard). `client` is the one place that does I/O with them, through `transport`, and
takes no more of an answer than `body` allows.
Nothing here knows of streams, documents or a store.
"""
