"""An ingest call writes a type that the permissions leave out."""

from penstock import Bearer, Connector, Permissions, Stream, ingest, sync

acme = Connector(
    key="acme",
    name="Acme",
    provider="acme",
    version="0.1.0",
    base_url="https://api.acme.test",
    settings={"type": "object", "properties": {"api_key": {"type": "string", "x-secret": True}}},
    auth=Bearer(secret="api_key"),
    permissions=Permissions(http=["https://api.acme.test/*"], documents={"customer": ["write"]}),
    streams=[Stream("customers", mode="poll")],
)


@acme.sync("customers")
def customers(request):
    rows = request.http.get("/customers").json()
    batch = ingest.batch("invoice", rows, stream="customers", idempotency_key=str)  # broken
    return sync.page(batch)
