"""Pulling a stream: pages, watermark, outcomes, resume, and what each fault leaves behind."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import httpx2
import pytest

from penstock.model import times
from penstock.model.outcome import Counters
from penstock.model.run import RunKind, RunState
from penstock.model.unit import Lease, LetterState
from penstock.pipeline.stage import Stage
from penstock.work.owner import Owner
from tests.pipeline.plant import Plant, Provider, acme, customer, errors_of, page_of, raw_page

MakePlant = Callable[..., Plant]


def test_records_of_all_pages_become_documents(plant: Plant, provider: Provider) -> None:
    provider.records = [customer(n) for n in range(5)]
    report = plant.run()
    assert report.state is RunState.DONE
    assert report.counters == Counters(pages=3, fetched=5, submitted=5, created=5)
    assert plant.names() == {f"cus_{n}": f"Customer {n}" for n in range(5)}
    assert provider.requests[0].headers["authorization"] == "Bearer canary-secret"


def test_the_second_run_asks_from_the_watermark_and_changes_nothing(
    plant: Plant, provider: Provider
) -> None:
    provider.records = [customer(n) for n in range(5)]
    plant.run()
    report = plant.run()
    assert provider.requests[-1].url.params["updated_since"] == "2026-03-01T09:00:04Z"
    assert report.counters == Counters(pages=1, fetched=1, submitted=1, unchanged=1)
    assert plant.versions() == 5


def test_a_full_run_reads_everything_and_maps_nothing_again(
    provider: Provider, make_plant: MakePlant
) -> None:
    mapped: list[str] = []

    def mapping(record: dict[str, Any]) -> dict[str, Any]:
        mapped.append(record["id"])
        return {"customer_id": record["id"], "name": record["display_name"]}

    plant = make_plant(acme(mapping))
    provider.records = [customer(n) for n in range(5)]
    plant.run()
    assert len(mapped) == 5
    report = plant.run(full=True)
    assert report.kind is RunKind.FULL
    assert report.counters.unchanged == 5
    assert len(mapped) == 5
    assert "updated_since" not in provider.requests[-1].url.params


def test_edited_mapping_code_is_applied_by_a_full_run(
    provider: Provider, make_plant: MakePlant
) -> None:
    plant = make_plant()
    provider.records = [customer(1)]
    plant.run()
    shouting = acme(lambda r: {"customer_id": r["id"], "name": r["display_name"].upper()})
    plant.install(shouting, code=b"2")
    assert plant.run(full=True).counters.updated == 1
    assert plant.names() == {"cus_1": "CUSTOMER 1"}


def test_changes_make_versions_and_touches_do_not(plant: Plant, provider: Provider) -> None:
    provider.records = [customer(n) for n in range(3)]
    plant.run()
    provider.put(customer(0, display_name="Renamed", updated_at="2026-03-01T10:00:00Z"))
    provider.put(customer(1, updated_at="2026-03-01T10:00:01Z"))
    report = plant.run()
    assert (report.counters.updated, report.counters.unchanged) == (1, 2)
    assert plant.versions() == 4
    assert plant.payloads()["cus_1"]["source_updated_at"] == "2026-03-01T10:00:01Z"
    assert plant.run(full=True).counters.unchanged == 3


def test_an_older_record_is_stale(plant: Plant, provider: Provider) -> None:
    provider.records = [customer(1, updated_at="2026-03-01T10:00:00Z")]
    plant.run()
    provider.records = [customer(1, display_name="Old", updated_at="2026-03-01T09:00:00Z")]
    assert plant.run(full=True).counters.stale == 1
    assert plant.names() == {"cus_1": "Customer 1"}


def test_the_watermark_stops_before_the_start_of_the_run(plant: Plant, provider: Provider) -> None:
    provider.records = [customer(1, updated_at="2026-03-02T09:59:59Z")]
    plant.run()
    _, watermark = plant.checkpoint()
    assert watermark == times.read("2026-03-02T09:59:00Z")


def test_the_sources_own_clock_counts_where_it_tells_it(plant: Plant, provider: Provider) -> None:
    provider.records = [customer(1, updated_at="2026-03-02T09:59:00Z")]
    late = {"date": "Mon, 02 Mar 2026 09:50:00 GMT"}
    provider.answers = [httpx2.Response(200, json={"data": provider.records}, headers=late)]
    plant.run()
    assert plant.checkpoint()[1] == times.read("2026-03-02T09:49:00Z")


def test_since_begins_at_a_moment(plant: Plant, provider: Provider) -> None:
    provider.records = [customer(n) for n in range(5)]
    report = plant.run(since=times.read("2026-03-01T09:00:03Z"))
    assert report.counters.created == 2


def test_a_run_that_stopped_goes_on_with_the_next_page(plant: Plant, provider: Provider) -> None:
    provider.records = [customer(n) for n in range(6)]
    provider.answers = [None, None, *[httpx2.Response(503)] * 6]
    report = plant.run()
    assert (report.state, report.reason) == (RunState.FAILED, "upstream_unavailable")
    assert report.counters.created == 4
    asked = len(provider.requests)
    report = plant.run()
    assert report.counters.created == 2
    assert len(provider.requests) == asked + 1
    assert plant.checkpoint() == (None, times.read("2026-03-01T09:00:05Z"))


def test_a_full_run_starts_over(plant: Plant, provider: Provider) -> None:
    provider.records = [customer(n) for n in range(6)]
    provider.answers = [None, None, *[httpx2.Response(503)] * 6]
    plant.run()
    report = plant.run(full=True)
    assert (report.counters.unchanged, report.counters.created) == (4, 2)


def test_a_final_answer_fails_the_run_and_keeps_the_checkpoint(
    plant: Plant, provider: Provider
) -> None:
    provider.records = [customer(n) for n in range(3)]
    provider.answers = [None, httpx2.Response(403, text="no such scope")]
    report = plant.run()
    assert report.reason == "upstream_error"
    assert "403" in str(report.message)
    assert "no such scope" in str(report.message)
    cursor, watermark = plant.checkpoint()
    assert cursor["params"] == [["cursor", "2026-03-01T09:00:01Z/cus_1"]]
    assert watermark is None
    state = plant.store.streams.get("default", "acme-main", "customers")
    assert state is not None
    assert (state.state, state.reason) == ("forbidden", report.message)


def test_a_long_pause_parks_the_stream(plant: Plant, provider: Provider) -> None:
    """SA1"""
    provider.answers = [httpx2.Response(429, headers={"retry-after": "120"})]
    report = plant.run()
    assert (report.state, report.reason) == ("parked", "rate_limited")
    state = plant.store.streams.get("default", "acme-main", "customers")
    assert state is not None
    assert state.state == "rate_limited"
    assert state.next_run_at is not None
    plant.run()
    state = plant.store.streams.get("default", "acme-main", "customers")
    assert state is not None
    assert (state.state, state.reason, state.next_run_at) == ("ok", None, None)


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"<html>Bad gateway</html>", "invalid_page"),
        (b'{"data": [', "invalid_page"),
        (b'{"data": [{"id": NaN}]}', "invalid_page"),
        (b'{"data": [{"id": "\xff"}]}', "invalid_page"),
        (b"", "invalid_page"),
        (b'{"rows": []}', "records_path_missing"),
        (b'{"data": {}}', "records_path_missing"),
        (b'{"data": null}', "records_path_missing"),
    ],
)
def test_an_unreadable_page_stops_the_run_with_its_bytes_kept(
    plant: Plant, provider: Provider, body: bytes, code: str
) -> None:
    """SA9, SA10: it is an error of the page, never a page without records."""
    provider.records = [customer(n) for n in range(6)]
    provider.answers = [None, httpx2.Response(200, content=body)]
    report = plant.run()
    assert (report.state, report.reason) == (RunState.FAILED, code)
    assert report.counters.created == 2
    (letter,) = plant.letters()
    assert (letter.reason, letter.raw) == (code, body)
    assert plant.checkpoint()[0]["params"] == [["cursor", "2026-03-01T09:00:01Z/cus_1"]]

    assert plant.run().counters.created == 4
    assert plant.letters() == []
    (closed,) = plant.letters(state=None)
    assert closed.state is LetterState.SUPERSEDED


def test_a_repeated_cursor_stops_the_run(plant: Plant, provider: Provider) -> None:
    """SA12: A, B, A."""
    circle = [page_of([customer(n)], next_cursor=f"c{n % 2}", has_more=True) for n in range(6)]
    provider.answers = list(circle)
    report = plant.run()
    assert report.reason == "cursor_repeated"
    assert 0 < report.counters.created <= 3


BAD = {
    '{"id": "cus_9", "updated_at": "2026-03-01T09:00:00Z"}': ("mapping_error", ""),
    '{"id": null, "display_name": "A", "updated_at": null}': ("missing_idempotency_key", ""),
    '{"id": "", "display_name": "A", "updated_at": null}': ("missing_idempotency_key", ""),
    '{"id": "%s", "display_name": "A", "updated_at": null}' % ("x" * 250): (
        "invalid_idempotency_key",
        "",
    ),
    '{"id": "c", "display_name": "A", "display_name": "B"}': ("malformed_payload", ""),
    '{"id": "c", "display_name": "A\\u0000B", "updated_at": null}': ("invalid_text", "/name"),
    '{"id": "c", "display_name": "A\\ud800B", "updated_at": null}': ("invalid_text", ""),
    '{"id": "c", "display_name": 5, "updated_at": null}': ("invalid_type", "/name"),
    '{"id": "c", "display_name": "A", "updated_at": "soon"}': (
        "invalid_format",
        "/source_updated_at",
    ),
    '"a text"': ("mapping_error", ""),
    "[" * 200 + "]" * 200: ("malformed_payload", ""),
    '{"id": "c", "display_name": "%s"}' % ("x" * 2_097_153): ("payload_too_large", ""),
}


@pytest.mark.parametrize(
    "bad", BAD, ids=[f"{code}-{n}" for n, (code, _) in enumerate(BAD.values())]
)
def test_a_bad_record_is_set_aside_and_the_page_goes_on(
    plant: Plant, provider: Provider, bad: str
) -> None:
    """DS3, DS8, DS11, DS12, DS14: of one record, whatever is wrong with it."""
    good = '{"id": "cus_1", "display_name": "Good", "updated_at": "2026-03-01T09:00:01Z"}'
    provider.answers = [raw_page(good, bad, good.replace("cus_1", "cus_2"))]
    report = plant.run()
    assert report.state is RunState.DONE
    assert report.counters.created == 2
    assert report.counters.set_aside == 1
    assert plant.names() == {"cus_1": "Good", "cus_2": "Good"}
    (letter,) = plant.letters()
    assert errors_of(letter) == [BAD[bad]]
    assert letter.raw == bad.encode()
    assert letter.page_index == 1
    assert letter.message


def test_a_mapping_that_returns_no_payload(provider: Provider, make_plant: MakePlant) -> None:
    plant = make_plant(acme(lambda record: 5))
    provider.records = [customer(1)]
    plant.run()
    (letter,) = plant.letters()
    assert letter.reason == "malformed_payload"


def test_the_same_bad_record_is_one_letter_with_attempts(plant: Plant, provider: Provider) -> None:
    provider.records = [customer(1, display_name=5)]
    plant.run()
    plant.run(full=True)
    (letter,) = plant.letters()
    assert letter.attempts == 2
    assert letter.first_seen_at < letter.last_seen_at


def test_a_later_good_record_closes_the_letter(plant: Plant, provider: Provider) -> None:
    provider.records = [customer(1, display_name=5)]
    plant.run()
    provider.put(customer(1, updated_at="2026-03-01T10:00:00Z"))
    plant.run()
    assert plant.letters() == []
    (letter,) = plant.letters(state=None)
    assert letter.state is LetterState.SUPERSEDED


def test_the_run_stops_before_it_drains_the_source(plant: Plant, provider: Provider) -> None:
    """DS3: a field has changed its type in every record."""
    provider.limit = 40
    provider.records = [customer(n, display_name=5) for n in range(200)]
    report = plant.run()
    assert report.reason == "too_many_rejected"
    assert report.counters.rejected == 80
    assert len(plant.letters()) == 80


def test_filtered_records_are_counted(provider: Provider, make_plant: MakePlant) -> None:
    plant = make_plant(acme(lambda record: None))
    provider.records = [customer(n) for n in range(3)]
    assert plant.run().counters == Counters(pages=2, fetched=3, filtered=3)


def test_observation_decides_everything_and_keeps_nothing(plant: Plant, provider: Provider) -> None:
    provider.records = [customer(1), customer(2, display_name=5), customer(3)]
    report = plant.run(observing=True)
    assert report.kind is RunKind.OBSERVE
    assert (report.counters.created, report.counters.rejected) == (2, 1)
    assert report.as_json()["would_created"] == 2
    assert "created" not in report.as_json()
    assert plant.names() == {}
    assert plant.letters() == []
    assert plant.checkpoint() == (None, None)


def test_another_writer_in_between_makes_the_unit_decide_again(
    plant: Plant, provider: Provider, monkeypatch: pytest.MonkeyPatch
) -> None:
    provider.records = [customer(1)]
    plant.run()
    provider.put(customer(1, display_name="Polled", updated_at="2026-03-01T10:00:00Z"))
    commit = plant.store.documents.commit
    met: list[str] = []

    def race(unit: Any) -> None:
        if not met and unit.versions:
            met.append("conflict")
            other = unit.versions[0]._replace(
                payload_hash=b"h" * 32, source_updated_at=times.read("2026-03-01T11:00:00Z")
            )
            commit(
                type(unit)(
                    unit.workspace, unit.connection, "hooks", 1, unit.recorded_at, versions=(other,)
                )
            )
        commit(unit)

    monkeypatch.setattr(plant.store.documents, "commit", race)
    report = plant.run()
    assert met == ["conflict"]
    assert report.counters.stale == 1
    assert report.counters.updated == 0
    assert plant.versions() == 2


def test_a_living_owner_is_waited_for_and_named(plant: Plant, provider: Provider) -> None:
    now = plant.clock.now()
    me = Owner.of_this_process()
    lease = Lease("default", "acme-main", "customers", str(me), 0, now.replace(year=2027))
    plant.store.streams.claim(lease, now=times.microseconds(now))
    report = plant.run()
    assert (report.state, report.reason, report.run_no) == ("failed", "stream_busy", None)
    assert f"process {me.pid} on {me.host}" in (report.message or "")
    assert provider.requests == []
    assert plant.store.runs.list("default") == []


def test_a_dead_owner_is_taken_over_at_once(plant: Plant, provider: Provider) -> None:
    provider.records = [customer(1)]
    dead = Owner.of_this_process()
    dead = Owner(dead.host, dead.boot, 2**22 + 5, "1", dead.holder)
    now = plant.clock.now()
    lease = Lease("default", "acme-main", "customers", str(dead), 0, now.replace(year=2027))
    plant.store.streams.claim(lease, now=times.microseconds(now))
    assert plant.run().counters.created == 1


def test_a_worker_that_lost_its_lease_writes_nothing(
    plant: Plant, provider: Provider, monkeypatch: pytest.MonkeyPatch
) -> None:
    """SA30: cut off for so long that another took over."""
    provider.records = [customer(n) for n in range(4)]
    commit = plant.store.documents.commit
    units: list[Any] = []

    def robbed(unit: Any) -> None:
        units.append(unit)
        if len(units) == 2:
            thief = Lease(
                "default", "acme-main", "customers", "thief", 0, datetime(2027, 1, 1, tzinfo=UTC)
            )
            plant.store.streams.claim(
                thief, now=times.microseconds(plant.clock.now()), held_by=unit.lease.owner
            )
        commit(unit)

    monkeypatch.setattr(plant.store.documents, "commit", robbed)
    monkeypatch.setattr(Plant, "_check_laws", lambda *_: None)
    report = plant.run()
    assert report.reason == "lease_lost"
    assert len(plant.names()) == 2
    state = plant.store.streams.get("default", "acme-main", "customers")
    assert state is not None
    assert state.lease_owner == "thief"


def test_the_interrupted_run_of_a_dead_process_is_marked(
    plant: Plant, provider: Provider, monkeypatch: pytest.MonkeyPatch
) -> None:
    provider.records = [customer(1)]

    def die(stage: Stage, *_: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(plant.store.runs, "finish", lambda *a, **k: None)
        patched.setattr("penstock.pipeline.unit.UnitWriter.write", die)
        with pytest.raises(KeyboardInterrupt):
            plant.run()
    report = plant.run()
    runs = plant.store.runs.list("default")
    assert [run.state for run in runs] == [RunState.DONE, RunState.INTERRUPTED]
    assert report.counters.created == 1
