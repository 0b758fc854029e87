"""OAuth uses a client id that nobody can give."""

from penstock import Connector, OAuth2, Permissions, Stream

acme = Connector(  # broken
    key="acme",
    name="Acme",
    provider="acme",
    version="0.1.0",
    base_url="https://api.acme.test",
    settings={
        "type": "object",
        "properties": {"client_secret": {"type": "string", "x-secret": True}},
    },
    auth=OAuth2(grant="client_credentials", token_url="https://login.acme.test/token"),
    auth_hosts=["https://login.acme.test/*"],
    permissions=Permissions(http=["https://api.acme.test/*"], documents={"customer": ["write"]}),
    streams=[Stream("customers", mode="poll")],
)


@acme.collection("customers", path="/customers", id="id", document="customer")
def customer(record):
    return {"customer_id": record["id"], "name": record["name"]}
