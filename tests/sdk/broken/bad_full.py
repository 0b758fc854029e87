"""Full runs on a day that no week has."""

from penstock import Bearer, Connector, Permissions, Stream

acme = Connector(
    key="acme",
    name="Acme",
    provider="acme",
    version="0.1.0",
    base_url="https://api.acme.test",
    settings={"type": "object", "properties": {"api_key": {"type": "string", "x-secret": True}}},
    auth=Bearer(secret="api_key"),
    permissions=Permissions(http=["https://api.acme.test/*"], documents={"customer": ["write"]}),
    streams=[
        Stream("customers", mode="poll", full="0 3 * * 9"),  # broken
    ],
)


@acme.collection("customers", path="/customers", id="id", document="customer")
def customer(record):
    return {"customer_id": record["id"], "name": record["name"]}
