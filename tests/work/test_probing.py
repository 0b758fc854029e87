"""`penstock probe`: what it prints is pasted into a connector and run against the same server."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from penstock.model.run import RunState
from penstock.sdk import loader, verify
from penstock.upstream.paging import SinglePage
from penstock.upstream.probe.declaration import Collection, spelled
from penstock.upstream.probe.probe import Findings, probe
from penstock.upstream.request import Request
from tests.pipeline.plant import URL, Plant, customer
from tests.upstream.paged_api import QUERY, WAYS, Listing, PagedApi

CONNECTOR = f'''
from penstock import *

acme = Connector(
    key="acme", name="Acme", provider="acme", version="0.1.0", base_url="{URL}",
    settings={{"type": "object", "properties": {{"api_key": {{"x-secret": True}}}}}},
    auth=Bearer(secret="api_key"),
    permissions=Permissions(http=["{URL}/*"], documents={{"customer": ["write", "delete"]}}),
    streams=[Stream("customers", mode="poll")],
)

'''
MAPPING = """
def to_customer(record):
    return {"customer_id": record["id"], "name": record["display_name"],
            "source_updated_at": record["updated_at"]}
"""
LISTED = [customer(number) for number in range(10)]

GUESSED = {
    "cursor in body": 'Cursor("next_cursor", param="cursor")',
    "cursor in header": 'Cursor(param="cursor", header="x-next-cursor")',
    "last record": 'Cursor(param="starting_after")',
    "link header": "LinkHeader()",
    "next url": 'NextUrl("_links.next.href")',
    "odata": 'NextUrl("@odata.nextLink")',
    "page number": "PageNumber()",
    "page number told": 'PageNumber(pages="total_pages")',
    "offset": "Offset(size_param=None)",
    "offset told": 'Offset(size_param=None, total="total")',
}


def known(**changes: Any) -> Collection:
    return Collection("customers", "/v1/customers", "customer", None, **changes)


def paste(findings: Findings, folder: Path) -> str:
    file = folder / "acme.py"
    file.write_text(CONNECTOR + findings.declaration + MAPPING)
    return str(file)


def pull(target: str, api: PagedApi, folder: Path) -> set[str]:
    """Run the pasted connector against the same API; ids of what is stored then."""
    plant = Plant(folder, api, loader.load(target).connector)
    report = plant.run()
    assert report.state == RunState.DONE, report
    return set(plant.payloads())


@pytest.mark.parametrize("name", GUESSED)
def test_what_it_prints_works_against_the_same_server(name: str, tmp_path: Path) -> None:
    api = PagedApi(Listing(LISTED), WAYS[name].style)
    findings = probe(api.send, Request("GET", f"{URL}/v1/customers"), known())
    assert spelled(findings.paging.pager) == GUESSED[name]
    assert findings.paging.confirmed is True
    assert len(api.requests) == findings.requests <= 5
    target = paste(findings, tmp_path)
    assert [f for f in verify.check(target) if f.severity == "error"] == []
    assert pull(target, api, tmp_path) == {record["id"] for record in LISTED}


def test_sizes_that_the_request_names_stay(tmp_path: Path) -> None:
    api = PagedApi(Listing(LISTED), WAYS["page number told"].style)
    asked = Request("GET", f"{URL}/v1/customers", params=(("per_page", "4"), ("page", "1")))
    findings = probe(api.send, asked, known(params={"per_page": "4", "page": "1"}))
    assert 'params={"per_page": "4"}' in findings.declaration
    assert 'PageNumber(size_param="per_page", pages="total_pages")' in findings.declaration
    assert len(pull(paste(findings, tmp_path), api, tmp_path)) == len(LISTED)


def test_a_relay_connection(tmp_path: Path) -> None:
    api = PagedApi(Listing(LISTED), WAYS["graphql"].style)
    asked = Request("POST", f"{URL}/v1/customers", json=QUERY, safe=True)
    findings = probe(api.send, asked, known(method="POST", json=QUERY))
    assert 'pages=GraphQL("data.customers")' in findings.declaration
    assert len(pull(paste(findings, tmp_path), api, tmp_path)) == len(LISTED)


def test_everything_at_once_needs_no_pager(tmp_path: Path) -> None:
    api = PagedApi(Listing(LISTED[:4]), WAYS["single"].style)
    findings = probe(api.send, Request("GET", f"{URL}/v1/customers"), known())
    assert (findings.paging.pager, findings.paging.confirmed) == (SinglePage(), None)
    assert "pages=" not in findings.declaration
    assert findings.requests == len(api.requests) == 1
    assert len(pull(paste(findings, tmp_path), api, tmp_path)) == 4


@pytest.mark.parametrize("name", ["cursor sent in header", "cursor sent in body"])
def test_what_it_cannot_know_it_does_not_claim(name: str) -> None:
    api = PagedApi(Listing(LISTED), WAYS[name].style)
    findings = probe(api.send, Request("GET", f"{URL}/v1/customers"), known())
    assert findings.paging.confirmed is False
    assert "pages=" not in findings.declaration
    assert "how it pages is not known" in " ".join(findings.doubts)
    assert len(api.requests) == 5


def test_the_declared_pager_is_tried_first() -> None:
    way = WAYS["cursor sent in header"]
    api = PagedApi(Listing(LISTED), way.style)
    asked = Request("GET", f"{URL}/v1/customers")
    findings = probe(api.send, asked, known(), records="data", declared=way.pager)
    assert (findings.paging.pager, findings.paging.confirmed) == (way.pager, True)
    assert len(api.requests) == 2


def test_the_rest_of_what_it_sees() -> None:
    api = PagedApi(
        Listing(LISTED),
        WAYS["cursor in body"].style,
        limits={
            "RateLimit-Policy": '"default";q=100;w=60',
            "X-RateLimit-Remaining": "99",
            "Server": "acme",
        },
    )
    told = probe(api.send, Request("GET", f"{URL}/v1/customers"), known()).as_json()
    assert (told["records"], told["counts"], told["id"]) == ("data", [3, 3], "id")
    assert told["fields"][0] == {"name": "id", "kinds": ["text"], "present": 3}
    assert told["watermark"]["field"] == "updated_at"
    assert (told["watermark"]["precision"], told["watermark"]["order"]) == ("second", "ascending")
    assert set(told["rate_limits"]) == {"ratelimit-policy", "x-ratelimit-remaining"}
    assert told["rate"] == "Rate(requests=100, per=60)"
    assert told["url"] == f"{URL}/v1/customers"
    assert told["paging"]["confirmed"] is True
