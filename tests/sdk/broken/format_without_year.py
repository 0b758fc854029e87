"""A time filter that leaves out the year."""

from penstock import Bearer, Connector, Permissions, Since, Stream

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
        Stream("customers", mode="poll"),
    ],
)


@acme.collection(  # broken
    "customers",
    path="/customers",
    id="id",
    document="customer",
    since=Since(param="since", field="updated_at", format="%d.%m. %H:%M"),
)
def customer(record):
    return {"customer_id": record["id"], "name": record["name"]}
