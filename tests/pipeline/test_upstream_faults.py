"""Faults of a source that a stream has to stand, told in the stream's own words afterwards."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import httpx2
import pytest

from penstock import Cursor, ingest, sync
from penstock.contracts import registry
from penstock.contracts.contract import Contract
from penstock.contracts.parties import CUSTOMER
from penstock.model.standing import Condition
from penstock.model.unit import LetterState
from penstock.sdk.connector import Connector
from penstock.sdk.request import RouteRequest
from tests.pipeline.plant import Plant, Provider, acme, customer, empty, page_of, to_customer
from tests.pipeline.test_replay import replay_all

MakePlant = Callable[..., Plant]


def two_streams() -> Connector:
    """`customers` and `leads`, each with a list of its own."""
    connector = empty("customers", "leads")
    for stream in ("customers", "leads"):
        connector.collection(
            stream,
            path=f"/{stream}",
            records="data",
            id="id",
            document="customer",
            pages=Cursor("next_cursor", param="cursor"),
        )(to_customer)
    return connector


def standing(plant: Plant, stream: str) -> tuple[str, str | None, int | None]:
    state = plant.store.streams.get("default", "acme-main", stream)
    assert state is not None
    return state.state, state.reason, state.since


@pytest.mark.parametrize(
    ("status", "condition"), [(403, Condition.FORBIDDEN), (404, Condition.NOT_FOUND)]
)
def test_a_lost_scope_is_a_state_and_never_an_empty_success(
    make_plant: MakePlant, status: int, condition: Condition
) -> None:
    """SA32: one stream answers 403 or 404, the others go on."""

    def provider(request: httpx2.Request) -> httpx2.Response:
        if request.url.path == "/customers":
            return httpx2.Response(status, text="scope customers.read is missing")
        return page_of([customer(1)], next_cursor=None)

    plant = make_plant(two_streams())
    plant.provider = provider
    report = plant.run("customers")
    assert (report.state, report.counters.fetched) == ("failed", 0)
    found, reason, since = standing(plant, "customers")
    assert (found, since is not None) == (condition, True)
    assert "scope customers.read is missing" in str(reason)
    assert plant.run("leads").state == "done"


def test_a_post_that_only_reads_is_sent_again_and_another_is_not(make_plant: MakePlant) -> None:
    """SA5: 5xx on a POST."""
    answers = [503, 200, 503]
    seen: list[int] = []

    def provider(request: httpx2.Request) -> httpx2.Response:
        seen.append(answers[len(seen)])
        return httpx2.Response(seen[-1], json={"data": []})

    connector = empty("customers")

    @connector.sync("customers")
    def route(request: RouteRequest) -> sync.SyncPage:
        request.http.post("/search", json={}, safe=True)
        request.http.post("/orders", json={})
        return sync.page()

    plant = make_plant(connector)
    plant.provider = provider
    report = plant.run()
    assert seen == answers
    assert report.state == "failed"
    assert standing(plant, "customers")[0] == Condition.UPSTREAM_FAILING


def test_null_where_a_value_is_required_waits_for_its_mapping_and_is_replayed(
    make_plant: MakePlant,
) -> None:
    """DS4"""
    plant = make_plant(acme())
    plant.provider = Provider(
        [customer(1), customer(2, display_name=None), customer(3, display_name=None)], limit=10
    )
    report = plant.run()
    assert (report.counters.created, report.counters.rejected) == (1, 2)
    for letter in plant.letters():
        assert (letter.reason, b"/name" in letter.errors) == ("missing_field", True)
    plant.install(acme(lambda r: to_customer(r) | {"name": r["display_name"] or r["id"]}), b"2")
    assert replay_all(plant).replayed == 2
    assert len(plant.letters(LetterState.REPLAYED)) == 2
    assert plant.names() == {"cus_1": "Customer 1", "cus_2": "cus_2", "cus_3": "cus_3"}


def test_ids_are_what_was_sent_however_much_they_look_alike(make_plant: MakePlant) -> None:
    """DS10: composed and decomposed, with a zero-width joiner, with a mark that turns the order."""
    composed, decomposed = (unicodedata.normalize(form, "é") for form in ("NFC", "NFD"))
    ids = [composed, decomposed, "e", "e\u200d", "e\u202e"]
    assert len(set(ids)) == 5
    plant = make_plant(acme())
    records: list[Any] = [
        {"id": name, "display_name": f"C{n}", "updated_at": "2026-03-01T09:00:00Z"}
        for n, name in enumerate(ids)
    ]
    plant.provider = lambda request: page_of(records, next_cursor=None)
    assert plant.run().counters.created == 5
    assert plant.names() == {name: f"C{n}" for n, name in enumerate(ids)}


def test_streams_share_a_document_by_its_name_and_not_by_its_number(
    make_plant: MakePlant,
) -> None:
    """DS14: the same id in two lists of one type is one document, of two types it is two."""
    connector = empty("customers", documents=("customer", "bank_account"))

    @connector.sync("customers")
    def route(request: RouteRequest) -> sync.SyncPage:
        ingest.canonical(
            "customer",
            {"customer_id": "1", "name": "Ann"},
            stream="customers",
            idempotency_key="acme:1",
        )
        ingest.canonical(
            "bank_account",
            {"bank_account_id": "1", "name": "Giro", "currency": "EUR"},
            stream="customers",
            idempotency_key="acme:1",
        )
        return sync.page()

    plant = make_plant(connector)
    report = plant.run()
    assert report.counters.created + report.counters.rejected == 2
    assert report.counters.created == 2, [letter.message for letter in plant.letters()]


def test_a_run_knows_one_contract_and_each_version_tells_which(
    make_plant: MakePlant, provider: Provider, monkeypatch: pytest.MonkeyPatch
) -> None:
    """DS16: a newer contract comes in the middle of a run."""
    mapped: list[str] = []

    def mapping(record: dict[str, Any]) -> dict[str, Any]:
        mapped.append(record["id"])
        return to_customer(record)

    def newer_from_here(request: httpx2.Request) -> httpx2.Response:
        newer = Contract(replace(CUSTOMER, version="1.1"))
        monkeypatch.setitem(registry._contracts, "customer", newer)
        return provider.page(request)

    plant = make_plant(acme(mapping))
    provider.records = [customer(n) for n in range(6)]
    provider.answers = [None, None, newer_from_here]
    assert plant.run().counters.created == 6
    assert registry.contract("customer").version == "1.1"
    assert contract_versions(plant) == {f"cus_{n}": ["1.0"] for n in range(6)}

    provider.put(customer(0, display_name="Changed", updated_at="2026-03-01T10:00:00Z"))
    mapped.clear()
    report = plant.run(full=True)
    assert len(mapped) == 6, "what an older contract accepted was not examined again"
    assert (report.counters.updated, report.counters.unchanged) == (1, 5)
    assert contract_versions(plant)["cus_0"] == ["1.0", "1.1"]
    assert contract_versions(plant)["cus_1"] == ["1.0"]


def contract_versions(plant: Plant) -> dict[str, list[str]]:
    """Source id to the contract version of each version, oldest first."""
    return {
        stored.source_id: [
            version.contract_version for version in plant.store.reader.history(stored.document_id)
        ]
        for stored, _ in plant.store.reader.contents("default", "customer")
    }
