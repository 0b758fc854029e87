"""Records that a list shows in part are fetched whole before their mapping sees them."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import httpx2
import pytest

from penstock import Gone, ingest, sync
from penstock.sdk.connector import Connector
from penstock.sdk.request import RouteRequest
from penstock.upstream.request import MANY_AT_ONCE
from tests.pipeline.plant import Plant, acme, customer, empty, page_of, to_customer

MakePlant = Callable[..., Plant]


class Api:
    """A list of ids with times of change, and each customer whole at its own path."""

    def __init__(self, *numbers: int) -> None:
        self.whole = {f"cus_{n}": customer(n) for n in numbers}
        self.listed = list(self.whole)
        self.asked: list[str] = []
        self.answers: dict[str, httpx2.Response] = {}

    def __call__(self, request: httpx2.Request) -> httpx2.Response:
        path = request.url.path
        if path == "/customers":
            rows = [{"id": key, "updated_at": self.whole[key]["updated_at"]} for key in self.listed]
            return page_of(rows, next_cursor=None)
        key = path.rpartition("/")[2]
        self.asked.append(key)
        return self.answers.get(key) or httpx2.Response(200, json=self.whole[key])


def completed(complete: Callable[..., Any] | None = None) -> Connector:
    connector = acme()

    @connector.complete("customers")
    def whole(request: RouteRequest, record: Any) -> Any:
        answer = request.http.get(f"/customers/{record['id']}", expect=(404,))
        return Gone() if answer.status == 404 else answer.json()

    if complete is not None:
        connector.completions["customers"] = complete
    return connector


def test_the_mapping_sees_the_whole_record(make_plant: MakePlant) -> None:
    plant = make_plant(completed())
    plant.provider = Api(1, 2)
    assert plant.run().counters.created == 2
    assert plant.names() == {"cus_1": "Customer 1", "cus_2": "Customer 2"}


def test_what_did_not_change_in_the_list_is_not_asked_for_again(make_plant: MakePlant) -> None:
    plant = make_plant(completed())
    plant.provider = api = Api(1, 2)
    plant.run()
    api.asked.clear()
    api.whole["cus_2"] |= {"display_name": "Bob", "updated_at": "2026-03-01T10:00:00Z"}
    report = plant.run(full=True)
    assert (report.counters.updated, report.counters.unchanged) == (1, 1)
    assert api.asked == ["cus_2"]


def test_one_that_is_gone_meanwhile_ends(make_plant: MakePlant) -> None:
    plant = make_plant(completed())
    plant.provider = api = Api(1, 2)
    plant.run()
    api.whole["cus_2"]["updated_at"] = "2026-03-01T10:00:00Z"
    api.answers["cus_2"] = httpx2.Response(404)
    assert plant.run(full=True).counters.updated == 1
    assert plant.names() == {"cus_1": "Customer 1"}


def test_the_completed_record_is_what_a_dead_letter_keeps_and_a_replay_maps(
    make_plant: MakePlant,
) -> None:
    plant = make_plant(completed())
    plant.provider = api = Api(1)
    api.whole["cus_1"]["display_name"] = " "
    assert plant.run().counters.rejected == 1
    (letter,) = plant.letters()
    assert b'"display_name":" "' in (letter.raw or b"").replace(b": ", b":")
    api.asked.clear()
    mended = completed()
    mended.mappings["customers"] = acme(
        lambda record: to_customer(record) | {"name": record["display_name"].strip() or "?"}
    ).mappings["customers"]
    plant.install(mended, code=b"2")
    plant.replay(letter)
    assert plant.names() == {"cus_1": "?"}
    assert api.asked == [], "a replay asks nobody"


def test_a_completion_that_raises_sets_its_record_aside_and_the_rest_is_stored(
    make_plant: MakePlant,
) -> None:
    def faulty(request: RouteRequest, record: Any) -> Any:
        if record["id"] == "cus_1":
            raise KeyError("details")
        return request.http.get(f"/customers/{record['id']}").json()

    plant = make_plant(completed(faulty))
    plant.provider = Api(1, 2)
    report = plant.run()
    assert (report.counters.created, report.counters.mapping_errors) == (1, 1)
    (letter,) = plant.letters()
    assert "its completion raised KeyError" in letter.message
    assert letter.raw is None, "half a record must never be mapped by a replay"
    assert b"cus_1" in (letter.payload or b"")


def test_a_provider_that_refuses_ends_the_run_with_nothing_of_the_page_stored(
    make_plant: MakePlant,
) -> None:
    plant = make_plant(completed())
    plant.provider = api = Api(1, 2)
    api.answers["cus_2"] = httpx2.Response(403, text="no scope")
    report = plant.run()
    assert (report.state, report.counters.created) == ("failed", 0)
    state = plant.store.streams.get("default", "acme-main", "customers")
    assert state is not None
    assert state.state == "forbidden"


def test_several_are_fetched_at_once(make_plant: MakePlant) -> None:
    gate = threading.Barrier(MANY_AT_ONCE)

    def together(request: RouteRequest, record: Any) -> Any:
        gate.wait(timeout=10)
        return customer(int(record["id"].removeprefix("cus_")))

    plant = make_plant(completed(together))
    plant.provider = Api(*range(1, 2 * MANY_AT_ONCE + 1))
    assert plant.run().counters.created == 2 * MANY_AT_ONCE


@pytest.mark.parametrize("gone", [False, True])
def test_records_of_a_route_pass_it_too(make_plant: MakePlant, gone: bool) -> None:
    connector = empty("customers")
    connector.mapping("customers", id="id", document="customer")(to_customer)
    connector.completions = completed().completions

    @connector.sync("customers")
    def route(request: RouteRequest) -> sync.SyncPage:
        ingest.records("customers", [{"id": "cus_1"}], gone=gone)
        return sync.page()

    plant = make_plant(connector)
    plant.provider = api = Api(1)
    plant.run()
    assert plant.names() == ({} if gone else {"cus_1": "Customer 1"})
    assert api.asked == ([] if gone else ["cus_1"]), "of a deleted record only the id is read"
