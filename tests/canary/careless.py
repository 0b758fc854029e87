"""Connectors whose authors put whatever they see into logs, errors, cursors and facts."""

from __future__ import annotations

from tests.canary.planted import ECHOED, SETTINGS

_HEAD = """
from penstock import *

def connector(key, auth, secrets, streams, **more):
    properties = {name: {"type": "string", "x-secret": True} for name in secrets}
    return Connector(
        key=key, name=key, provider=key, version="0.1.0", base_url="{settings.base_url}",
        settings={"type": "object", "properties": {
            **properties, **dict.fromkeys(("base_url", "client_id", "mode"), {"type": "string"})}},
        auth=auth,
        permissions=Permissions(http=["http://127.0.0.1/*"], documents={"customer": ["write"]}),
        streams=[Stream(name, mode="poll") for name in streams], **more)

def mapped(record):
    return {"customer_id": record["id"], "name": record["name"]}
"""

ECHOING = f"""{_HEAD}
SECRETS = {SETTINGS["echoing"]!r}

echoing = connector("echoing", [
    Bearer(secret="bearer"), ApiKey(secret="query_key", query="key"),
    *(ApiKey(secret=name, header="X-" + name.replace("_", "-")) for name in {ECHOED!r}),
], SECRETS, ["customers", "linked", "moved", "garbled", "refused", "resuming", "raising",
             "catching", "rejecting"])


@echoing.discover
def account(request):
    told = request.http.get("/me").json()
    request.log(f"asked {{told['debug']['me_log']}}")
    facts = {{"debug": told["debug"]}} if request.settings.get("mode") == "facts" else {{}}
    if request.settings.get("mode") == "error":
        try:
            raise KeyError(f"{{told['debug']['me_error']}} {{request}}")
        except KeyError as error:
            raise ValueError(f"cannot read {{told}}") from error
    return Account(id=told["id"], name=told["name"], facts=facts)


@echoing.collection("customers", path="/customers", records="data", id="id", document="customer",
                    pages=NextUrl("next"), since=Since(param="since", field="updated_at"))
def customer(record, context):
    if record["id"].startswith("bad"):
        raise ValueError(f"cannot map {{record}} with {{context}}")
    return mapped(record)


@echoing.collection("linked", path="/linked", records="data", id="id", document="customer",
                    pages=LinkHeader(), since=Since(field="updated_at"))
def linked(record):
    return mapped(record)


for name in ("moved", "garbled", "refused"):
    echoing.collection(name, path="/" + name, records="data", id="id", document="customer")(mapped)


@echoing.sync("resuming")
def resuming(request):
    told = request.http.get("/debug").json()
    request.log(f"saw {{told['route_log']}}, went on from {{request.cursor}}, {{request}}")
    if request.cursor is None:
        return sync.page(cursor={{"url": "/debug?c=" + told["cursor"]}}, has_more=True)
    return sync.page(cursor=told["cursor"], has_more=False)


@echoing.sync("raising")
def raising(request):
    answer = request.http.get("/debug")
    told = answer.json()
    try:
        raise KeyError(told["route_cause"])
    except KeyError as error:
        told = told["route_error"]
        raise RuntimeError(f"{{told}} {{request}} {{answer}} {{answer.url}}") from error


@echoing.sync("catching")
def catching(request):
    try:
        request.http.get("/refused")
    except UpstreamError as error:
        raise RuntimeError(f"{{error}} {{error.body}} {{vars(error)}}")


@echoing.sync("rejecting")
def rejecting(request):
    told = request.http.get("/debug").json()
    payload = {{"customer_id": "c 1", "nombre": told["letter"], "name": 5}}
    batch = ingest.batch("customer", [payload], stream="rejecting", continue_on_error=True,
                         idempotency_key="echoing:customer:1")
    return sync.page(batch)
"""

SIGNING = f"""{_HEAD}
SECRETS = {SETTINGS["signing"]!r}

signing = connector("signing", [
    Basic(username="basic_user", password="basic_password"), ApiKey(secret="body_key", json="key"),
    HmacSigned("hmac_secret", sign="{{target}}{{body}}", headers={{"X-Sign": "{{signature}}"}}),
], SECRETS, ["customers"])


@signing.collection("customers", method="POST", path="/customers", json={{"page": 1}}, safe=True,
                    records="data", id="id", document="customer")
def customer(record):
    return mapped(record)
"""

GRANTED = f"""{_HEAD}
granted = connector("granted", OAuth2("refresh_token", token_url="{{settings.base_url}}/token",
                                      refresh_token="refresh_0"),
                    {SETTINGS["granted"]!r}, ["customers"])


@granted.collection("customers", path="/customers", records="data", id="id", document="customer")
def customer(record):
    return mapped(record)
"""

CONNECTORS = {"echoing": ECHOING, "signing": SIGNING, "granted": GRANTED}
