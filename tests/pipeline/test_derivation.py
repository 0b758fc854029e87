"""Archived records once more: what today's mapping and contract would make of them."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx2
import pytest

from penstock import Cursor, Emit, Gone, Since, ingest, sync
from penstock.errors import PermissionDeniedError
from penstock.model import times
from penstock.model.unit import LetterState
from penstock.sdk.connector import Connector
from penstock.sdk.request import RouteRequest
from tests.pipeline.derived import apply, counts, preview
from tests.pipeline.plant import (
    Plant,
    Provider,
    acme,
    customer,
    empty,
    to_customer,
)
from tests.pipeline.test_completion import Api, completed
from tests.pipeline.test_replay import by_code, mended, replay_all
from tests.work.test_children import Bank, family

MakePlant = Callable[..., Plant]


def shouted(record: dict[str, Any]) -> dict[str, Any]:
    return to_customer(record) | {"name": record["display_name"].upper()}


def remap(plant: Plant, mapping: Callable[..., Any], code: bytes = b"2") -> None:
    plant.install(acme(mapping), code=code)


@pytest.fixture
def plant(make_plant: MakePlant, provider: Provider) -> Plant:
    """Three customers on two pages."""
    provider.records = [customer(n) for n in (1, 2, 3)]
    plant = make_plant()
    plant.run()
    return plant


# ── what differs ──


@pytest.mark.sqlite
def test_the_same_mapping_makes_no_difference(plant: Plant) -> None:
    assert counts(preview(plant)) == {"unchanged": 3}


def test_a_new_mapping_is_applied_as_new_versions_and_asks_nobody(
    plant: Plant, provider: Provider
) -> None:
    asked = len(provider.requests)
    remap(plant, shouted)
    difference = apply(plant).difference
    assert counts(difference) == {"updated": 3}
    assert difference.fields["/name"].documents == 3
    assert difference.fields["/name"].examples[0] == ("cus_1", "Customer 1", "CUSTOMER 1")
    assert plant.names() == {f"cus_{n}": f"CUSTOMER {n}" for n in (1, 2, 3)}
    assert (plant.versions(), len(provider.requests)) == (6, asked)


def test_once_applied_nothing_differs_any_more(plant: Plant) -> None:
    remap(plant, shouted)
    apply(plant)
    assert counts(preview(plant)) == {"unchanged": 3}
    assert counts(apply(plant).difference) == {"unchanged": 3}
    assert plant.versions() == 6


@pytest.mark.sqlite
def test_the_next_full_run_knows_every_record_again(plant: Plant) -> None:
    remap(plant, shouted)
    apply(plant)
    assert plant.run(full=True).counters.unchanged == 3
    assert plant.versions() == 6


@pytest.mark.sqlite
def test_an_unchanged_document_is_known_again_though_the_code_is_another(plant: Plant) -> None:
    def only_the_first(record: dict[str, Any]) -> dict[str, Any]:
        return shouted(record) if record["id"] == "cus_1" else to_customer(record)

    remap(plant, only_the_first)
    assert counts(apply(plant).difference) == {"updated": 1, "unchanged": 2}
    ids = [stored.document_id for stored, _ in plant.store.reader.contents("default", "customer")]
    marks = {head.raw_mark for head in plant.store.documents.heads(ids).values()}
    plant.run(full=True)
    assert {h.raw_mark for h in plant.store.documents.heads(ids).values()} == marks


@pytest.mark.sqlite
def test_versions_point_at_the_very_page_their_record_stands_in(plant: Plant) -> None:
    (first, *_) = [stored for stored, _ in plant.store.reader.contents("default", "customer")]
    remap(plant, shouted)
    apply(plant)
    before, after = plant.store.reader.history(first.document_id)
    assert (before.page_no, before.page_index) == (after.page_no, after.page_index)
    assert (after.source_updated_at, after.as_of) == (before.source_updated_at, before.as_of)
    assert after.flags is None


@pytest.mark.sqlite
def test_a_newer_record_from_the_source_still_wins(plant: Plant, provider: Provider) -> None:
    remap(plant, shouted)
    apply(plant)
    provider.put(customer(1, display_name="New", updated_at="2026-03-01T10:00:00Z"))
    assert plant.run().counters.updated == 1
    assert plant.names()["cus_1"] == "NEW"


@pytest.mark.sqlite
def test_a_mapping_with_earlier_times_of_change_wins_all_the_same(plant: Plant) -> None:
    def earlier(record: dict[str, Any]) -> dict[str, Any]:
        return shouted(record) | {"source_updated_at": "2020-01-01T00:00:00Z"}

    remap(plant, earlier)
    assert counts(apply(plant).difference) == {"updated": 3}
    assert counts(preview(plant)) == {"unchanged": 3}


# ── gone, filtered, created, refused ──


def test_what_the_mapping_calls_gone_now_ends_and_can_come_back(plant: Plant) -> None:
    remap(plant, lambda r: Gone() if r["id"] == "cus_2" else to_customer(r))
    assert counts(apply(plant).difference) == {"gone": 1, "unchanged": 2}
    assert set(plant.names()) == {"cus_1", "cus_3"}
    assert counts(preview(plant)) == {"unchanged": 3}
    remap(plant, to_customer, code=b"3")
    assert counts(apply(plant).difference) == {"updated": 1, "unchanged": 2}
    assert set(plant.names()) == {"cus_1", "cus_2", "cus_3"}


@pytest.mark.sqlite
def test_what_the_mapping_leaves_out_now_stays(plant: Plant) -> None:
    remap(plant, lambda r: None if r["id"] == "cus_2" else to_customer(r))
    assert counts(apply(plant).difference) == {"filtered": 1, "unchanged": 2}
    assert len(plant.names()) == 3


def test_further_documents_of_a_record_are_created_once(plant: Plant) -> None:
    def twins(record: dict[str, Any]) -> list[Emit]:
        twin = to_customer(record) | {"customer_id": record["id"] + "_b"}
        return [
            Emit("customer", to_customer(record)),
            Emit("customer", twin, id=record["id"] + "_b"),
        ]

    remap(plant, twins)
    assert counts(apply(plant).difference) == {"created": 3, "unchanged": 3}
    assert len(plant.names()) == 6
    assert counts(preview(plant)) == {"unchanged": 6}


@pytest.mark.sqlite
def test_what_the_contract_refuses_now_becomes_a_dead_letter(plant: Plant) -> None:
    remap(plant, lambda r: to_customer(r) | ({"name": 5} if r["id"] == "cus_2" else {}))
    difference = apply(plant).difference
    assert counts(difference) == {"rejected": 1, "unchanged": 2}
    assert difference.reasons == {"invalid_type": 1}
    (letter,) = plant.letters()
    assert (letter.stream, letter.source_id or letter.idempotency_key) != ("", None)
    assert letter.raw is not None
    assert plant.names()["cus_2"] == "Customer 2"


def test_a_letter_that_came_of_it_is_replayed_once_the_mapping_is_mended(plant: Plant) -> None:
    remap(plant, by_code)
    assert counts(apply(plant).difference) == {"rejected": 3}
    again = preview(plant)
    assert (counts(again), again.untouched) == ({}, {"dead_letter": 3})
    remap(plant, lambda r: mended(r) | {"email": "a@acme.test"}, code=b"3")
    assert replay_all(plant).replayed == 3
    assert plant.letters() == []
    assert counts(preview(plant)) == {"unchanged": 3}


@pytest.mark.sqlite
def test_what_the_permissions_do_not_allow_now_is_said(make_plant: MakePlant, plant: Plant) -> None:
    connector = acme()
    connector.permissions = type(connector.permissions)(
        http=list(connector.permissions.http), documents={}
    )
    plant.install(connector, code=b"2")
    with pytest.raises(PermissionDeniedError, match="may not write customer"):
        preview(plant)


# ── what is left alone ──


@pytest.mark.sqlite
def test_a_document_whose_later_record_waits_as_a_letter_is_left_alone(
    plant: Plant, provider: Provider
) -> None:
    provider.put(customer(2, display_name=7, updated_at="2026-03-01T10:00:00Z"))
    plant.run()
    remap(plant, shouted)
    difference = apply(plant).difference
    assert (counts(difference), difference.untouched) == ({"updated": 2}, {"dead_letter": 1})
    (letter,) = plant.letters()
    assert b"10:00:00" in (letter.raw or b"")


def test_a_document_whose_later_record_was_not_archived_is_left_alone(
    plant: Plant, provider: Provider
) -> None:
    """The later record changed nothing that its mapping looked at; nobody has it."""
    provider.put(customer(2, phone="1", updated_at="2026-03-01T10:00:00Z"))
    assert plant.run().counters.unchanged > 0
    remap(plant, shouted)
    difference = apply(plant).difference
    assert (counts(difference), difference.untouched) == ({"updated": 2}, {"newer_seen": 1})
    assert plant.names()["cus_2"] == "Customer 2"


@pytest.mark.sqlite
def test_documents_of_forgotten_pages_are_counted_and_left_alone(plant: Plant) -> None:
    now = times.microseconds(plant.clock.now())
    forgotten = plant.store.archive.forget(before=now, limit=1)
    assert forgotten.pages == 1
    remap(plant, shouted)
    difference = apply(plant).difference
    assert (counts(difference), difference.untouched) == ({"updated": 1}, {"forgotten": 2})


@pytest.mark.sqlite
def test_a_page_in_which_todays_connector_finds_no_records_is_said(plant: Plant) -> None:
    plant.install(acme(records="items"), code=b"2")
    difference = preview(plant)
    assert difference.untouched == {"unreadable": 3}
    assert "'data'" in difference.messages[0] or "items" in difference.messages[0]


@pytest.mark.sqlite
def test_only_documents_of_the_stream_and_the_connection_are_derived(
    make_plant: MakePlant, provider: Provider
) -> None:
    provider.records = [customer(1)]
    plant = make_plant(two_streams())
    plant.run("customers")
    assert counts(preview(plant, "others")) == {}
    assert counts(preview(plant, "customers")) == {"unchanged": 1}


def two_streams() -> Connector:
    connector = empty("customers", "others")
    for stream in ("customers", "others"):
        connector.collection(
            stream, path="/customers", records="data", id="id", document="customer"
        )(to_customer)
    return connector


@pytest.mark.sqlite
def test_a_deleted_document_is_left_as_it_is(make_plant: MakePlant, provider: Provider) -> None:
    connector = empty("customers", "ends")
    connector.collection(
        "customers",
        path="/customers",
        records="data",
        id="id",
        document="customer",
        pages=Cursor("next_cursor", param="cursor"),
        since=Since(param="updated_since", field="updated_at"),
    )(to_customer)

    @connector.sync("ends")
    def ends(request: RouteRequest) -> Any:
        ingest.delete("customer", stream="ends", idempotency_key="acme:customer:cus_1")
        return sync.page()

    provider.records = [customer(1), customer(2)]
    plant = make_plant(connector)
    plant.run("customers")
    plant.run("ends")
    assert counts(preview(plant, "customers")) == {"unchanged": 1}
    assert counts(preview(plant, "ends")) == {}


# ── routes ──


def paged(
    make: Callable[[Any], dict[str, Any]] = to_customer, path: str = "/customers"
) -> Connector:
    """A route that follows cursors by itself, and looks something up on each page."""
    connector = empty("customers")

    @connector.sync("customers")
    def customers(request: RouteRequest) -> Any:
        answer = request.http.get(path, params={"cursor": request.cursor, "to": request.now}).json()
        names = request.http.get("/names", params={"page": request.cursor}).json()
        batch = ingest.batch(
            "customer",
            [make(row) | {"name": names["prefix"] + make(row)["name"]} for row in answer["data"]],
            stream="customers",
            continue_on_error=True,
            idempotency_key=lambda p: f"acme:customer:{p['customer_id']}",
        )
        return sync.page(batch, cursor=answer["next_cursor"], has_more=answer["has_more"])

    return connector


@pytest.fixture
def routed(make_plant: MakePlant, provider: Provider) -> Plant:
    """Three customers on two pages of a route, each with a second response."""
    provider.records = [customer(n) for n in (1, 2, 3)]
    plant = make_plant(paged())
    plant.provider = with_names(provider)
    plant.run()
    assert plant.names()["cus_3"] == "2. Customer 3"
    return plant


def with_names(provider: Provider) -> Callable[[httpx2.Request], httpx2.Response]:
    def answer(request: httpx2.Request) -> httpx2.Response:
        if request.url.path == "/names":
            provider.requests.append(request)
            second = bool(request.url.params.get("page"))
            return httpx2.Response(200, json={"prefix": "2. " if second else "1. "})
        return provider(request)

    return answer


def test_a_route_runs_over_its_archived_responses(routed: Plant, provider: Provider) -> None:
    asked = len(provider.requests)
    assert counts(preview(routed)) == {"unchanged": 3}
    routed.install(paged(shouted), code=b"2")
    assert counts(apply(routed).difference) == {"updated": 3}
    assert routed.names() == {"cus_1": "1. CUSTOMER 1", "cus_2": "1. CUSTOMER 2",
                              "cus_3": "2. CUSTOMER 3"}  # fmt: skip
    assert counts(preview(routed)) == {"unchanged": 3}
    assert len(provider.requests) == asked


@pytest.mark.sqlite
def test_a_record_of_a_route_that_is_newer_elsewhere_is_not_taken_from_an_old_page(
    routed: Plant, provider: Provider
) -> None:
    provider.put(customer(1, display_name="New", updated_at="2026-03-01T10:00:00Z"))
    routed.run(full=True)
    routed.install(paged(shouted), code=b"2")
    assert counts(apply(routed).difference) == {"updated": 3}
    assert routed.names()["cus_1"].endswith("NEW")


@pytest.mark.sqlite
def test_a_route_that_asks_for_what_is_not_archived_is_left_alone_and_says_what(
    routed: Plant,
) -> None:
    routed.install(paged(path="/clients"), code=b"2")
    difference = preview(routed)
    assert difference.untouched == {"unreadable": 3}
    assert "GET https://api.acme.test/clients" in difference.messages[0]


@pytest.mark.sqlite
def test_a_route_that_raises_over_a_page_leaves_its_documents_alone(routed: Plant) -> None:
    def failing(record: dict[str, Any]) -> dict[str, Any]:
        raise ZeroDivisionError("on purpose")

    routed.install(paged(failing), code=b"2")
    difference = preview(routed)
    assert difference.untouched == {"unreadable": 3}
    assert "ZeroDivisionError: on purpose" in difference.messages[0]


@pytest.mark.sqlite
def test_a_record_that_a_route_hands_over_badly_now_is_a_letter(routed: Plant) -> None:
    def bad(record: dict[str, Any]) -> dict[str, Any]:
        return to_customer(record) | {"email": 5 if record["id"] == "cus_2" else None}

    routed.install(paged(bad), code=b"2")
    difference = apply(routed).difference
    assert counts(difference) == {"rejected": 1, "unchanged": 2}
    (letter,) = routed.letters()
    assert letter.payload is not None
    routed.install(paged(), code=b"3")
    assert preview(routed).untouched == {"dead_letter": 1}


def yielding(make: Callable[[Any], dict[str, Any]] = to_customer) -> Connector:
    connector = empty("customers")
    connector.mapping("customers", id="id", document="customer")(make)

    @connector.sync("customers")
    def customers(request: RouteRequest) -> Any:
        cursor, has_more = request.cursor, True
        while has_more:
            page = request.http.get("/customers", params={"cursor": cursor}).json()
            ingest.records("customers", page["data"])
            cursor, has_more = page["next_cursor"], page["has_more"]
            if has_more:
                yield sync.page(cursor=cursor, has_more=True)
        return sync.page()

    return connector


@pytest.mark.sqlite
def test_each_page_of_a_route_that_yields_is_derived_by_itself(
    make_plant: MakePlant, provider: Provider
) -> None:
    provider.records = [customer(n) for n in (1, 2, 3, 4, 5)]
    plant = make_plant(yielding())
    plant.run()
    plant.install(yielding(shouted), code=b"2")
    assert counts(apply(plant).difference) == {"updated": 5}
    assert plant.names()["cus_5"] == "CUSTOMER 5"
    assert counts(preview(plant)) == {"unchanged": 5}


@pytest.mark.sqlite
def test_a_route_of_which_nothing_is_known_is_left_alone(routed: Plant) -> None:
    connector = empty("customers")
    connector.collection("customers", path="/c", id="id", document="customer")(to_customer)
    routed.install(connector, code=b"2")
    assert preview(routed).untouched == {"origin_unknown": 3}


# ── completed, replayed, below a parent ──


def test_completed_records_are_derived_as_they_were_completed(make_plant: MakePlant) -> None:
    plant = make_plant(completed())
    plant.provider = api = Api(1, 2)
    plant.run()
    asked = len(api.asked)
    assert counts(preview(plant)) == {"unchanged": 2}
    connector = completed()
    connector.mappings["customers"] = acme(shouted).mappings["customers"]
    plant.install(connector, code=b"2")
    assert counts(apply(plant).difference) == {"updated": 2}
    assert plant.names() == {"cus_1": "CUSTOMER 1", "cus_2": "CUSTOMER 2"}
    assert len(api.asked) == asked


@pytest.mark.sqlite
def test_what_a_completion_found_gone_stays_gone(make_plant: MakePlant) -> None:
    plant = make_plant(completed())
    plant.provider = api = Api(1, 2)
    plant.run()
    api.answers["cus_2"] = httpx2.Response(404)
    api.whole["cus_2"]["updated_at"] = "2026-03-02T10:00:00Z"
    plant.run(full=True)
    assert set(plant.names()) == {"cus_1"}
    assert counts(preview(plant)) == {"unchanged": 1}


def test_a_replayed_record_is_archived_with_its_document(
    make_plant: MakePlant, provider: Provider
) -> None:
    plant = make_plant(acme(by_code))
    provider.records = [customer(1)]
    plant.run()
    remap(plant, mended)
    replay_all(plant)
    assert [letter.state for letter in plant.letters(state=None)] == [LetterState.REPLAYED]
    assert counts(preview(plant)) == {"unchanged": 1}
    remap(plant, shouted, code=b"3")
    assert counts(apply(plant).difference) == {"updated": 1}
    assert counts(preview(plant)) == {"unchanged": 1}


def test_a_child_is_derived_with_its_own_parent_as_it_is_today(tmp_path: Path) -> None:
    bank = Bank([customer(n) for n in (1, 2)])
    bank.add(1, 1)
    bank.add(2, 1)
    plant = Plant(tmp_path, bank, family())
    plant.run("customers")
    plant.run("payments")
    bank.asked.clear()
    assert counts(preview(plant, "payments")) == {"unchanged": 2}

    def noted(record: dict[str, Any], context: Any) -> dict[str, Any]:
        seen.append((record["id"], context.parent["name"]))
        return {}

    seen: list[tuple[str, str]] = []
    plant.install(family(noted), code=b"2")
    preview(plant, "payments")
    assert sorted(seen) == [("pay_1_1", "Customer 1"), ("pay_2_1", "Customer 2")]
    assert bank.asked == []
    plant.store.close()


@pytest.mark.sqlite
def test_pages_of_files_are_not_archived(make_plant: MakePlant) -> None:
    connector = empty("customers")
    connector.mapping("customers", id="id", document="customer")(to_customer)

    @connector.sync("customers")
    def customers(request: RouteRequest) -> Any:
        for record in request.http.stream("/export").json_lines():
            ingest.record("customers", record)
        return sync.page()

    plant = make_plant(connector)
    plant.provider = lambda request: httpx2.Response(200, content=json.dumps(customer(1)).encode())
    plant.run()
    assert len(plant.names()) == 1
    assert preview(plant).untouched == {"never_archived": 1}
