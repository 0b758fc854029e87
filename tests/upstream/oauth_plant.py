"""Connectors for the provider of `oauth_provider`, each with another grant."""

from __future__ import annotations

from pathlib import Path

HEAD = """
from penstock import *

SECRET = {"type": "string", "x-secret": True}
conn = Connector(
    key="granted", name="Granted", provider="granted", version="0.1.0",
    base_url=BASE_URL,
    settings={"type": "object", "required": ["host"], "properties": {
        "host": {"type": "string"}, "client_id": {"type": "string", "default": "penstock-test"},
        "client_secret": SECRET, "refresh_token": SECRET, "private_key": SECRET}},
    auth=OAUTH,
    permissions=Permissions(http=["{settings.host}/*"], documents={"customer": ["write"]}),
    streams=[Stream("customers", mode="poll")],
)

@conn.discover
def account(request):
    me = request.http.get("/me").json()
    return Account(id=me["id"], name=me["name"])

@conn.collection("customers", path="/items", records="data", id="id", document="customer",
                 pages=Cursor("next", param="page"))
def customer(record):
    return {"customer_id": record["id"], "name": record["name"]}
"""


def connector(folder: Path, oauth: str, base_url: str = "{settings.host}") -> str:
    """A connector file; oauth: the arguments of OAuth2 beside token_url."""
    file = folder / "granted.py"
    made = f'OAuth2(token_url="{{settings.host}}/token", {oauth})'
    file.write_text(HEAD.replace("OAUTH", made).replace("BASE_URL", repr(base_url)))
    return str(file)
