"""Paging end to end: what a run does when the provider pages badly, and what a checkpoint holds."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import httpx2
import pytest

from penstock import GraphQL, LinkHeader, NextUrl, PageNumber
from penstock.model.run import RunState
from tests.pipeline.plant import Plant, acme, customer, page_of
from tests.upstream.paged_api import QUERY, WAYS, Listing, PagedApi

LISTED = [customer(number) for number in range(12)]
ALL = {record["id"] for record in LISTED}
GONE_WRONG = httpx2.Response(400, json={"error": "go away"})


def planted(folder: Path, provider: Any, pages: Any, **changes: Any) -> Plant:
    changes = {"path": "/v1/customers", "pages": pages, "since": None} | changes
    return Plant(folder, provider, acme(changes.pop("mapping", None), **changes))


def listing(folder: Path, name: str, pages: Any, **changes: Any) -> tuple[Plant, PagedApi]:
    api = PagedApi(Listing(list(LISTED)), WAYS[name].style)
    return planted(folder, api, pages, **changes), api


def test_an_empty_page_that_names_a_next_one_is_not_the_end(tmp_path: Path) -> None:
    """SA12 asks for a stop, this for none: what the provider filters makes whole pages empty."""
    plant, api = listing(tmp_path, "link header", LinkHeader(), records="")
    api.listing.rows[3:9] = [None] * 6
    report = plant.run()
    assert report.state == RunState.DONE
    assert (len(api.requests), report.counters.fetched) == (4, 6)


def test_empty_pages_without_end_stop_the_run(tmp_path: Path, monkeypatch: Any) -> None:
    """SA12: endless pages without new keys."""
    monkeypatch.setattr("penstock.upstream.trail.EMPTY_PAGES", 5)
    asked = []

    def provider(request: httpx2.Request) -> httpx2.Response:
        asked.append(request)
        return page_of([], next=f"/v1/customers?cursor={len(asked)}")

    report = planted(tmp_path, provider, NextUrl("next")).run()
    assert (report.state, report.reason) == (RunState.FAILED, "endless_pages")
    assert len(asked) == 5


def test_the_same_records_under_new_cursors_stop_the_run(tmp_path: Path) -> None:
    """SA12: silent restart at page 1. Nothing that was read is lost."""
    asked = []

    def provider(request: httpx2.Request) -> httpx2.Response:
        asked.append(request)
        rows = LISTED[:2] if len(asked) % 2 else LISTED[2:4]
        return page_of(rows, next=f"/v1/customers?cursor={len(asked)}")

    plant = planted(tmp_path, provider, NextUrl("next"))
    report = plant.run()
    assert (report.state, report.reason) == (RunState.FAILED, "page_repeated")
    assert len(asked) == 5
    assert set(plant.payloads()) == {record["id"] for record in LISTED[:4]}


def test_a_listing_that_ends_where_the_provider_stops_is_not_complete(tmp_path: Path) -> None:
    plant, _ = listing(tmp_path, "page number", PageNumber(depth=2))
    report = plant.run()
    assert (report.state, report.reason) == (RunState.FAILED, "depth_reached")
    assert "ask for less" in (report.message or "")


@pytest.mark.parametrize("body", [{"data": None}, {}])
def test_errors_of_graphql_are_errors(tmp_path: Path, body: dict[str, Any]) -> None:
    """They come with status 200, and without the records that are looked for."""
    answer = httpx2.Response(200, json=body | {"errors": [{"message": "Field 'x' is unknown"}]})
    pages = GraphQL("data.customers")
    plant = planted(tmp_path, lambda _: answer, pages, records="data.customers.nodes", json=QUERY)
    report = plant.run()
    assert (report.state, report.reason) == (RunState.FAILED, "graphql_errors")
    assert "Field 'x' is unknown" in (report.message or "")


class Linked:
    """Pages behind links that carry `credential`, without which the provider refuses them.

    fails_at: the number of the request that finds the provider down for good.
    """

    def __init__(self, credential: str, fails_at: int) -> None:
        self.credential = credential
        self.fails_at = fails_at
        self.asked: list[str] = []

    def __call__(self, request: httpx2.Request) -> httpx2.Response:
        self.asked.append(str(request.url))
        if len(self.asked) == self.fails_at:
            return GONE_WRONG
        start = int(request.url.params.get("from", 0))
        if start and "signature" in self.credential and self.credential not in str(request.url):
            return httpx2.Response(403, json={"error": "not signed"})
        link = f"/v1/customers?from={start + 3}&{self.credential}"
        return page_of(LISTED[start : start + 3], next=link if start < 9 else None)


@pytest.mark.parametrize(
    ("credential", "asked_again"),
    [
        ("api_key=canary-secret", "/v1/customers?from=6"),
        ("access_token=canary-token", "/v1/customers?from=6"),
        ("signature=canary-signature", "/v1/customers"),
    ],
)
def test_no_checkpoint_holds_a_credential_and_every_run_goes_on(
    tmp_path: Path, credential: str, asked_again: str
) -> None:
    """A link's own signature dies with the run: then the enumeration is read again."""
    provider = Linked(credential, fails_at=3)
    plant = planted(tmp_path, provider, NextUrl("next"))
    assert plant.run().state == RunState.FAILED
    cursor, _ = plant.checkpoint()
    assert cursor["url"] == "https://api.acme.test/v1/customers?from=6"
    state = plant.store.streams.get("default", "acme-main", "customers")
    assert state is not None
    assert "canary" not in json.dumps([state.cursor, state.enumeration])

    report = plant.run()
    assert report.state == RunState.DONE
    assert provider.asked[3].removeprefix("https://api.acme.test") == asked_again
    assert set(plant.payloads()) == ALL
    assert plant.versions() == len(ALL)
