"""Credentials have no place to go."""

from penstock import Bearer, Connector, Permissions, Stream

acme = Connector(  # broken
    key="acme",
    name="Acme",
    provider="acme",
    version="0.1.0",
    settings={"type": "object", "properties": {"api_key": {"type": "string", "x-secret": True}}},
    auth=Bearer(secret="api_key"),
    permissions=Permissions(http=["https://api.acme.test/*"], documents={"customer": ["write"]}),
    streams=[Stream("customers", mode="poll")],
)


@acme.collection("customers", path="https://api.acme.test/customers", id="id", document="customer")
def customer(record):
    return {"customer_id": record["id"], "name": record["name"]}
