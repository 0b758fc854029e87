"""A route that hands records over for another stream of its connector, as a webhook does."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest

from penstock import ingest, sync
from penstock.errors import RecordRejectedError
from penstock.model import times
from penstock.model.run import RunKind
from penstock.model.unit import LetterState
from penstock.sdk.connector import Connector
from penstock.sdk.request import RouteRequest
from tests.pipeline.plant import Plant, Provider, customer, empty, to_customer
from tests.pipeline.test_replay import by_code, mended, replay_all, the_letter

MakePlant = Callable[..., Plant]


def events(hand_over: Callable[[], Any], mapping: Callable[..., Any] = by_code) -> Connector:
    """The stream `events` has a route, the stream `customers` a collection with a mapping."""
    connector = empty("events", "customers")
    connector.collection(
        "customers", path="/customers", records="data", id="id", document="customer"
    )(mapping)

    @connector.sync("events")
    def route(request: RouteRequest) -> sync.SyncPage:
        hand_over()
        return sync.page()

    return connector


def two_customers() -> Any:
    return ingest.records("customers", [customer(1), customer(2, code="Two")])


def test_its_letter_is_replayed_with_the_mapping_that_made_it(make_plant: MakePlant) -> None:
    plant = make_plant(events(two_customers))
    report = plant.run("events")
    assert (report.counters.created, report.counters.mapping_errors) == (1, 1)
    letter = the_letter(plant)
    assert (letter.stream, letter.run_no) == ("customers", report.run_no)
    assert (report.stream, letter.reason) == ("events", "mapping_error")

    plant.install(events(two_customers, mended), code=b"2")
    assert replay_all(plant, stream="events").letters == 0
    replayed = replay_all(plant, stream="customers")
    assert (replayed.letters, replayed.replayed) == (1, 1)
    assert plant.names() == {"cus_1": "Customer 1", "cus_2": "Two"}
    closed = the_letter(plant, state=None)
    assert closed.state is LetterState.REPLAYED
    assert closed.closed_by is not None
    run = plant.store.runs.list("default")[0]
    assert (run.kind, run.stream) == (RunKind.REPLAY, "customers")


def test_what_is_still_bad_stays_the_same_letter(make_plant: MakePlant) -> None:
    plant = make_plant(events(two_customers))
    plant.run("events")
    before = the_letter(plant)
    assert replay_all(plant).still_open == 1
    after = the_letter(plant)
    assert (after.letter_id, after.stream, after.attempts) == (before.letter_id, "customers", 2)


def test_the_same_bad_record_by_both_ways_is_one_letter(
    make_plant: MakePlant, provider: Provider
) -> None:
    plant = make_plant(events(two_customers))
    plant.run("events")
    provider.records = [customer(1)]
    assert plant.run("customers").counters.mapping_errors == 1
    letter = the_letter(plant)
    assert (letter.stream, letter.attempts) == ("customers", 2)


def test_a_record_that_the_store_refuses_has_its_letter_there_too(make_plant: MakePlant) -> None:
    """Two records of one key: the second one meets a document that belongs to the first."""

    def named_alike(record: dict[str, Any]) -> dict[str, Any]:
        return to_customer(record) | {"customer_id": record["code"]}

    codes = ["C-1", "C-2"]

    def hand_over() -> Any:
        return ingest.record("customers", customer(1, code=codes.pop(0)))

    plant = make_plant(events(hand_over, named_alike))
    assert plant.run("events").counters.created == 1
    assert plant.run("events").counters.rejected == 1
    letter = the_letter(plant)
    assert (letter.reason, letter.stream) == ("identity_conflict", "customers")
    assert b"C-2" in (letter.raw or b"")
    assert replay_all(plant, stream="customers").still_open == 1


@pytest.mark.parametrize("caught", [True, False])
def test_a_payload_stands_under_the_stream_that_the_call_names(
    make_plant: MakePlant, caught: bool
) -> None:
    def hand_over() -> Any:
        bad = to_customer(customer(1)) | {"name": 5}
        try:
            ingest.canonical("customer", bad, stream="customers", idempotency_key="acme:customer:1")
        except RecordRejectedError:
            if not caught:
                raise

    plant = make_plant(events(hand_over))
    assert plant.run("events").failed is not caught
    assert the_letter(plant).stream == "customers"
    assert replay_all(plant, stream="customers").still_open == 1
    assert the_letter(plant).attempts == 2


def test_an_answer_names_the_stream_that_runs(make_plant: MakePlant) -> None:
    answers: list[Any] = []
    plant = make_plant(events(lambda: answers.append(two_customers())))
    report = plant.run("events")
    (result,) = answers[0].results
    assert (result.provenance.stream, result.provenance.run) == ("events", report.run_no)
    assert result.provenance.index == 1


def test_an_old_event_stays_old_in_its_letter(make_plant: MakePlant) -> None:
    """The letter keeps the event's own time: replayed, it does not overwrite what came later."""
    yesterday = datetime(2026, 3, 1, 9, 0, tzinfo=UTC)

    def old_event() -> Any:
        return ingest.records("customers", [customer(1)], as_of=yesterday)

    plant = make_plant(events(old_event))
    assert plant.run("events").counters.mapping_errors == 1
    assert the_letter(plant).as_of == times.microseconds(yesterday)
