"""Dead letters of deletes: a replay ends the record, and never brings it to life."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import httpx2
import pytest

from penstock import Gone, ingest, sync
from penstock.model import times
from penstock.model.unit import LetterState
from penstock.pipeline.letters import ending, ending_bytes
from penstock.sdk.connector import Connector
from penstock.sdk.request import RouteRequest
from penstock.store.rows import StoredDocument, StoredVersion
from penstock.work.replaying import ReplayReport
from tests.pipeline.plant import Plant, Provider, acme, customer, empty, to_customer
from tests.pipeline.test_replay import replay_all, the_letter

MakePlant = Callable[..., Plant]

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


def house(hand_over: Callable[[], Any], **declared: Any) -> Connector:
    """A list of customers, and a route `events` that hands over what it is told to."""
    connector = empty("customers", "events")
    declared = {"path": "/customers", "records": "data", "id": "id"} | declared
    connector.collection("customers", document="customer", **declared)(to_customer)

    @connector.sync("events")
    def events(request: RouteRequest) -> sync.SyncPage:
        hand_over()
        return sync.page()

    return connector


def ended(*records: Any, **how: Any) -> Callable[[], Any]:
    return lambda: ingest.records("customers", records, gone=True, **how)


def deleted(key: Any, **marks: Any) -> Callable[[], Any]:
    return lambda: ingest.delete("customer", stream="customers", idempotency_key=key, **marks)


def nothing() -> None:
    """A route that has nothing to hand over any more."""


def last_version(plant: Plant, number: int = 1) -> tuple[StoredDocument, StoredVersion]:
    reader = plant.store.reader
    (document,) = reader.find("default", "customer", f"cus_{number}")
    return document, reader.history(document.document_id)[-1]


def counts(report: ReplayReport) -> tuple[int, int, int]:
    return report.replayed, report.still_open, report.skipped


# ── records that were handed over as gone ──


def test_a_record_handed_over_as_gone_is_deleted_by_the_replay(
    make_plant: MakePlant, provider: Provider
) -> None:
    """The event is a whole record, which the mapping would gladly make live again."""
    provider.records = [customer(1), customer(2)]
    plant = make_plant(house(nothing))
    plant.run("customers")
    plant.install(house(ended(customer(1)), id="Id"), code=b"2")
    assert plant.run("events").counters.rejected == 1
    letter = the_letter(plant)
    assert (letter.gone, letter.reason) == (True, "missing_idempotency_key")

    plant.install(house(nothing), code=b"3")
    report = replay_all(plant)
    assert (counts(report), report.counters.updated) == ((1, 0, 0), 1)
    assert plant.names() == {"cus_2": "Customer 2"}
    document, version = last_version(plant)
    closed = the_letter(plant, state=None)
    assert (document.state, closed.state) == ("deleted", LetterState.REPLAYED)
    assert closed.closed_by == version.version_no


def test_the_bytes_that_made_the_current_version_are_a_delete_all_the_same(
    make_plant: MakePlant, provider: Provider
) -> None:
    """A repeated live record is not read again; a delete of the same bytes must be."""
    provider.records = [customer(1)]
    plant = make_plant(house(nothing))
    plant.run("customers")
    assert plant.run("customers").counters.unchanged == 1
    plant.install(house(ended(customer(1)), id="Id"), code=b"2")
    plant.run("events")

    plant.install(house(nothing), code=b"1")
    assert replay_all(plant).counters.updated == 1
    assert plant.names() == {}


def test_a_delete_of_an_unknown_record_leaves_a_grave(make_plant: MakePlant) -> None:
    plant = make_plant(house(ended({"id": "cus_1"}), id="Id"))
    plant.run("events")
    plant.install(house(nothing), code=b"2")
    report = replay_all(plant)
    assert (counts(report), report.counters.unchanged) == ((1, 0, 0), 1)
    assert plant.names() == {}


def test_what_is_still_without_an_id_stays_the_same_letter(make_plant: MakePlant) -> None:
    plant = make_plant(house(ended({"number": 1.50}), id="Id"))
    plant.run("events")
    before = the_letter(plant)
    assert counts(replay_all(plant)) == (0, 1, 0)
    after = the_letter(plant)
    assert (after.letter_id, after.gone, after.attempts) == (before.letter_id, True, 2)
    assert (after.raw, after.payload) == (before.raw, before.payload)


def test_a_delete_whose_id_function_raised_is_one_too(make_plant: MakePlant) -> None:
    plant = make_plant(house(ended({"id": "cus_1"}), id=lambda record: record["number"]))
    plant.run("events")
    letter = the_letter(plant)
    assert (letter.gone, letter.reason) == (True, "mapping_error")


def test_an_old_delete_stays_old(make_plant: MakePlant, provider: Provider) -> None:
    """What came after the event is not deleted by it."""
    yesterday = NOON - timedelta(days=1)
    provider.records = [customer(1, updated_at=None)]
    plant = make_plant(house(nothing))
    plant.run("customers")
    plant.install(house(ended({"id": "cus_1"}, as_of=yesterday), id="Id"), code=b"2")
    plant.run("events")
    assert the_letter(plant).as_of == times.microseconds(yesterday)
    plant.install(house(nothing), code=b"3")
    report = replay_all(plant)
    assert (counts(report), report.counters.stale) == ((1, 0, 0), 1)
    assert plant.names() == {"cus_1": "Customer 1"}


def test_a_mapping_that_answers_gone_is_asked_again(make_plant: MakePlant) -> None:
    """It may answer otherwise when it is mended: only the hand-over is remembered."""
    connector = acme(lambda record: Gone(at=datetime(2026, 3, 1)))
    plant = make_plant(connector)
    plant.provider = lambda request: httpx2.Response(200, json={"data": [customer(1)]})
    plant.run()
    letter = the_letter(plant)
    assert (letter.reason, letter.gone) == ("invalid_format", False)
    plant.install(acme(), code=b"2")
    assert replay_all(plant).counters.created == 1


# ── records that their completion found to be gone ──


def completing(answer: Callable[[Any], Any], **declared: Any) -> Connector:
    connector = house(nothing, **declared)
    connector.complete("customers")(lambda request, record: answer(record))
    return connector


def test_a_record_that_its_completion_found_gone_is_deleted_by_the_replay(
    make_plant: MakePlant, provider: Provider
) -> None:
    provider.records = [customer(1)]
    plant = make_plant(house(nothing))
    plant.run("customers")
    plant.install(completing(lambda record: Gone(at=NOON), id="Id"), code=b"2")
    assert plant.run("customers").counters.rejected == 1
    letter = the_letter(plant)
    assert (letter.gone, json.loads(letter.raw or b"")) == (True, customer(1))

    plant.install(completing(pytest.fail), code=b"3")
    assert counts(replay_all(plant)) == (1, 0, 0)
    document, version = last_version(plant)
    assert document.state == "deleted"
    assert version.source_updated_at == times.microseconds(NOON)


def test_a_record_that_was_never_completed_is_closed_by_its_next_coming(
    make_plant: MakePlant, provider: Provider
) -> None:
    def faulty(record: Any) -> Any:
        raise KeyError("details")

    provider.records = [customer(1)]
    plant = make_plant(completing(faulty))
    plant.run("customers")
    before = the_letter(plant)
    report = replay_all(plant)
    assert counts(report) == (0, 0, 1)
    (message,) = report.messages
    assert "was never completed" in message
    assert message.endswith("penstock run acme-main customers --full")
    assert the_letter(plant) == before

    plant.install(completing(lambda record: record), code=b"2")
    plant.run("customers", full=True)
    assert the_letter(plant, state=None).state is LetterState.SUPERSEDED


# ── deletes by key ──


def test_a_delete_that_can_be_made_now_is_made_with_its_own_marks(
    make_plant: MakePlant, provider: Provider
) -> None:
    """Its source_id was a number where text is wanted; as text it is the document's own."""
    marks = {"source_version": "9", "deleted_at": NOON.astimezone(timezone(timedelta(hours=2)))}
    provider.records = [customer(1, id="7")]
    plant = make_plant(house(deleted("acme:customer:7", source_id=7, **marks)))
    plant.run("customers")
    assert plant.run("events").reason == "invalid_source_id"
    letter = the_letter(plant)
    assert (letter.gone, letter.raw) == (True, None)
    assert json.loads(letter.payload or b"") == {
        "at": "2026-03-01T14:00:00+02:00",
        "source_version": "9",
    }

    report = replay_all(plant)
    assert (counts(report), report.counters.updated) == ((1, 0, 0), 1)
    (document,) = plant.store.reader.find("default", "customer", "7")
    last = plant.store.reader.history(document.document_id)[-1]
    assert document.state == "deleted"
    assert (last.source_version, last.source_updated_at) == ("9", times.microseconds(NOON))


def test_a_delete_that_the_store_refused_is_refused_again_as_a_delete(
    make_plant: MakePlant, provider: Provider
) -> None:
    provider.records = [customer(1)]
    marks = {"source_id": "cus_2", "source_version": "9", "deleted_at": NOON}
    plant = make_plant(house(deleted("acme:customer:cus_1", **marks)))
    plant.run("customers")
    plant.run("events")
    before = the_letter(plant)
    assert (before.reason, before.gone) == ("identity_conflict", True)
    assert ending(before.payload or b"") == (Gone(NOON), "9")
    assert counts(replay_all(plant)) == (0, 1, 0)
    after = the_letter(plant)
    assert (after.letter_id, after.attempts) == (before.letter_id, 2)
    assert (after.reason, after.payload) == (before.reason, before.payload)

    good = replace(before, source_id="cus_1")
    assert plant.replay(good).updated == 1
    assert plant.names() == {}


@pytest.mark.parametrize("key", [7, "", " padded ", "a\0b", "x" * 256])
def test_without_a_key_only_the_route_can_name_the_record(make_plant: MakePlant, key: Any) -> None:
    """What the letter shows of a bad key is text for people: as a key it names somebody else."""
    plant = make_plant(house(deleted(key)))
    plant.run("events")
    before = the_letter(plant)
    report = replay_all(plant)
    assert (counts(report), report.counters.submitted) == ((0, 0, 1), 0)
    (message,) = report.messages
    assert "this delete was handed over for stream customers without a usable idem" in message
    assert "penstock dead-letters discard " in message
    assert the_letter(plant) == before


def test_the_same_goes_for_a_payload_without_a_key(make_plant: MakePlant) -> None:
    def hand_over() -> Any:
        payload = to_customer(customer(1))
        ingest.canonical("customer", payload, stream="customers", idempotency_key=7)  # type: ignore[call-overload]

    plant = make_plant(house(hand_over))
    plant.run("events")
    report = replay_all(plant)
    assert counts(report) == (0, 0, 1)
    assert "this record was handed over" in report.messages[0]
    assert plant.names() == {}


def test_deletes_with_different_bad_keys_are_different_letters(make_plant: MakePlant) -> None:
    for key in ("a\n", "b\n", "a\n"):
        make_plant(house(deleted(key))).run("events")
    assert sorted(letter.attempts for letter in make_plant().letters()) == [1, 2]


@pytest.mark.parametrize(
    ("stream", "connector"),
    [
        ("events", house(deleted("acme:customer:cus_1", deleted_at=datetime(2026, 3, 1)))),
        ("customers", completing(lambda record: Gone(at=datetime(2026, 3, 1)))),
    ],
)
def test_a_time_without_a_zone_waits_for_the_delete_to_come_again(
    make_plant: MakePlant, provider: Provider, stream: str, connector: Connector
) -> None:
    provider.records = [customer(1)]
    plant = make_plant(house(nothing))
    plant.run("customers")
    plant.install(connector, code=b"2")
    plant.run(stream, full=True)
    before = the_letter(plant)
    assert (before.reason, before.gone) == ("invalid_format", True)
    report = replay_all(plant)
    assert counts(report) == (0, 0, 1)
    assert "2026-03-01T00:00:00 in a zone that nobody told" in report.messages[0]
    assert "penstock dead-letters discard " in report.messages[0]
    assert the_letter(plant) == before

    plant.install(house(deleted("acme:customer:cus_1", deleted_at=NOON)), code=b"3")
    plant.run("events")
    assert the_letter(plant, state=None).state is LetterState.SUPERSEDED
    assert plant.names() == {}


def test_a_replay_deletes_nothing_that_the_connector_may_not_delete(make_plant: MakePlant) -> None:
    plant = make_plant(house(deleted("acme:customer:7", source_id=7)))
    plant.run("events")
    connector = house(nothing)
    connector.permissions = replace(connector.permissions, documents={"customer": ("write",)})
    plant.install(connector)
    report = replay_all(plant)
    assert counts(report) == (0, 1, 0)
    assert "may not delete customer" in report.messages[0]


@pytest.mark.parametrize("at", [None, NOON, datetime(2026, 3, 1), datetime.max])
@pytest.mark.parametrize("version", [None, "9", "Zoë"])
def test_an_ending_reads_as_it_was_written(at: datetime | None, version: str | None) -> None:
    assert ending(ending_bytes(Gone(at), version)) == (Gone(at), version)
