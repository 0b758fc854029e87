"""Partitions of a backfill: what is asked for, what ends an attempt, and where that leaves it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx2
import pytest

from penstock import Since, ingest, sync
from penstock.errors import (
    ConnectorError,
    ForbiddenError,
    LeaseLostError,
    ParentsFailedError,
    ParkedError,
    PenstockError,
    RouteFailedError,
    StoppedError,
    StoreUnavailableError,
    TooManyRejectedError,
    UpstreamError,
    UpstreamUnavailableError,
)
from penstock.model import times
from penstock.model.backfill import (
    BackfillState,
    NewBackfill,
    PartitionState,
    Step,
    cut,
    times_keys,
)
from penstock.model.outcome import Counters
from penstock.model.run import RunKind, RunState
from penstock.model.unit import Lease
from penstock.sdk.connector import Connector
from penstock.store.rows import StoredBackfill, StoredPartition
from penstock.work.backfilling import MOST_FAILURES, PartitionRunner, aftermath
from penstock.work.backlog import Backlog
from penstock.work.owner import Owner
from penstock.work.runner import RunReport
from penstock.work.stop import Stop
from penstock.work.task import Task
from tests.pipeline.plant import Plant, Provider, acme, customer, empty, to_customer

SINCE = Since(param="updated_since", until="updated_before", field="updated_at")
FIRST_OF_MARCH = datetime(2026, 3, 1, tzinfo=UTC)
MINUTE_US = 60_000_000
NOW = 1_772_445_600_000_000


# ── what follows from how an attempt ended ──


def after(stopped: PenstockError | None, failures: int = 0, chance: float = 0.0) -> Any:
    return aftermath(stopped, failures=failures, now=NOW, chance=chance)


def test_a_good_attempt_is_the_end_of_its_partition() -> None:
    assert after(None, failures=4).end.state is PartitionState.DONE
    assert after(None, failures=4).end.failures == 0


@pytest.mark.parametrize(
    "stopped",
    [
        UpstreamUnavailableError("no answer"),
        StoreUnavailableError("locked"),
        UpstreamError("500", status=500),
        ParentsFailedError("one of them"),
    ],
)
def test_what_may_pass_is_tried_again_after_pauses_that_grow(stopped: PenstockError) -> None:
    pauses = []
    for failures in range(MOST_FAILURES - 1):
        end = after(stopped, failures).end
        assert (end.state, end.failures) == (PartitionState.WAITING, failures + 1)
        assert end.reason == stopped.message
        pauses.append((end.next_try_at - NOW) // 1_000_000)
    assert pauses == [30, 60, 120, 240]
    given_up = after(stopped, MOST_FAILURES - 1)
    assert (given_up.end.state, given_up.pauses) == (PartitionState.FAILED, None)


def test_what_failed_together_does_not_come_back_together() -> None:
    stopped = UpstreamUnavailableError("no answer")
    soon, late = (after(stopped, chance=chance).end.next_try_at for chance in (0.0, 0.9))
    assert late - soon == 27_000_000


@pytest.mark.parametrize(
    "stopped",
    [
        UpstreamError("404", status=404),
        RouteFailedError("KeyError"),
        TooManyRejectedError("half of them"),
    ],
)
def test_what_is_refused_for_good_has_failed_at_once(stopped: PenstockError) -> None:
    assert after(stopped).end.state is PartitionState.FAILED
    assert after(stopped).pauses is None


@pytest.mark.parametrize(
    "stopped",
    [
        UpstreamError("who are you", status=401),
        ForbiddenError("not for you"),
        ConnectorError("no such route"),
    ],
)
def test_what_would_end_every_partition_pauses_the_backfill(stopped: PenstockError) -> None:
    found = after(stopped, failures=2)
    assert (found.end.state, found.end.failures) == (PartitionState.WAITING, 2)
    assert found.pauses.startswith(stopped.message)


def test_a_parked_attempt_waits_for_its_time_and_a_stopped_one_for_nobody() -> None:
    until = times.moment(NOW + MINUTE_US)
    parked = after(ParkedError("slowly", until=until, throttled=True), failures=1).end
    assert (parked.state, parked.next_try_at) == (PartitionState.WAITING, NOW + MINUTE_US)
    assert parked.failures == 1
    stopped = after(StoppedError("please"), failures=1).end
    assert (stopped.state, stopped.next_try_at) == (PartitionState.WAITING, None)


def test_a_partition_that_was_taken_over_is_not_ours_to_end() -> None:
    assert after(LeaseLostError("another's")) is None


# ── attempts ──


class Works:
    """A plant with a backfill of its customers."""

    def __init__(self, folder: Path, connector: Connector | None = None) -> None:
        self.provider = Provider([customer(number) for number in range(10)])
        self.plant = Plant(folder, self.provider, connector or acme(since=SINCE))
        self.store, self.clock, self.stop = self.plant.store, self.plant.clock, Stop()
        self.store.connections.save(self.plant.connection, {}, now=0)

    def backfill(self, days: int = 1, keys: tuple[tuple[str, str], ...] = ()) -> int:
        to = FIRST_OF_MARCH.replace(day=1 + days)
        new = NewBackfill(
            "default",
            "acme-main",
            "customers",
            times.microseconds(FIRST_OF_MARCH),
            times.microseconds(to),
            Step.DAY,
            1,
            times.microseconds(self.clock.now()),
        )
        slices = times_keys(cut(FIRST_OF_MARCH, to, Step.DAY), keys)
        return self.store.backfills.create(new, slices)

    def pull(self, number: int, place: int = 0) -> RunReport | None:
        runner = PartitionRunner(self.plant.runner(), self.stop, chance=lambda: 0.0)
        return runner.run("customers", self.partition(number, place).part.partition)

    def partition(self, number: int, place: int = 0) -> StoredPartition:
        return self.store.backfills.partitions(number)[place]

    def stored(self, number: int) -> StoredBackfill:
        found = self.store.backfills.get("default", number)
        assert found is not None
        return found

    def on_page(self, page: int, do: Any) -> None:
        """Do something while the provider answers that request."""

        def answer(request: httpx2.Request) -> httpx2.Response:
            do()
            return self.provider.page(request)

        self.provider.answers = [None] * (page - 1) + [answer]


@pytest.fixture
def works(backend: str, tmp_path: Path) -> Iterator[Works]:
    works = Works(tmp_path)
    yield works
    works.store.close()


def test_a_partition_brings_what_lies_in_its_slice(works: Works) -> None:
    works.provider.put(customer(10, updated_at="2026-03-02T00:00:00Z"))
    works.provider.put(customer(11, updated_at="2026-02-28T23:59:59Z"))
    number = works.backfill()
    report = works.pull(number)
    assert report is not None
    assert (report.state, report.kind) == (RunState.DONE, RunKind.BACKFILL)
    assert set(works.plant.names()) == {f"cus_{place}" for place in range(10)}
    query = works.provider.requests[0].url.params
    assert query["updated_since"] == "2026-03-01T00:00:00Z"
    assert query["updated_before"] == "2026-03-02T00:00:00Z"
    done = works.stored(number)
    assert (done.state, done.tally.done) == (BackfillState.DONE, 1)
    assert done.tally.counters == Counters(pages=5, fetched=10, submitted=10, created=10)


def test_the_live_stream_goes_on_as_if_there_had_been_no_backfill(works: Works) -> None:
    works.plant.run()
    before = works.plant.checkpoint()
    standing = works.store.streams.get("default", "acme-main", "customers")
    works.pull(works.backfill())
    assert works.plant.checkpoint() == before
    assert works.store.streams.get("default", "acme-main", "customers") == standing


def test_a_fault_that_passes_costs_a_pause_and_no_page(works: Works) -> None:
    number = works.backfill()
    works.provider.answers = [None, None, *[httpx2.Response(503)] * 6]
    failed = works.pull(number)
    assert failed is not None
    assert failed.reason == "upstream_unavailable"
    assert works.provider.answers == [], "the fault was met"
    waiting = works.partition(number)
    assert (waiting.state, waiting.failures) == (PartitionState.WAITING, 1)
    assert waiting.counters.created == 4
    assert works.pull(number) is None, "it is not due yet"
    works.clock.advance(31)
    asked = len(works.provider.requests)
    assert works.pull(number) is not None
    assert len(works.provider.requests) == asked + 3, "the last page is not asked for again"
    assert works.partition(number).counters.created == 10
    assert works.stored(number).state is BackfillState.DONE


def test_a_refusal_for_good_leaves_the_others_alone(works: Works) -> None:
    number = works.backfill(days=2)
    works.provider.answers = [httpx2.Response(404)]
    works.pull(number)
    assert works.partition(number).state is PartitionState.FAILED
    assert works.stored(number).state is BackfillState.RUNNING
    works.pull(number, 1)
    assert works.stored(number).state is BackfillState.FAILED
    assert works.store.backfills.resume("default", number)
    works.pull(number)
    assert works.stored(number).state is BackfillState.DONE


def test_refused_credentials_pause_it_before_every_partition_is_spent_on_them(
    works: Works,
) -> None:
    number = works.backfill(days=2)
    works.provider.answers = [httpx2.Response(401)]
    works.pull(number)
    paused = works.stored(number)
    assert paused.state is BackfillState.PAUSED
    assert "penstock secrets set" in (paused.reason or "")
    assert works.partition(number).state is PartitionState.WAITING
    assert works.pull(number, 1) is None


def test_what_is_broken_in_us_is_raised_and_does_not_take_the_partition_along(
    works: Works, monkeypatch: pytest.MonkeyPatch
) -> None:
    number = works.backfill()

    def broken(*_: object) -> None:
        raise ZeroDivisionError

    with monkeypatch.context() as patch:
        patch.setattr("penstock.pipeline.pull.Pull.run", broken)
        with pytest.raises(ZeroDivisionError):
            works.pull(number)
    assert "ZeroDivisionError" in (works.partition(number).reason or "")
    assert works.partition(number).state is PartitionState.FAILED


# ── beside the live stream ──


def unmarked(record: dict[str, Any]) -> dict[str, Any]:
    return {"customer_id": record["id"], "name": record["display_name"]}


@pytest.mark.parametrize("mapping", [to_customer, unmarked])
def test_what_a_backfill_shows_late_never_takes_the_place_of_what_came_since(
    backend: str, tmp_path: Path, mapping: Any
) -> None:
    works = Works(tmp_path, acme(mapping, since=SINCE))
    old, new = customer(1), customer(1, display_name="New", updated_at="2026-03-02T10:00:30Z")
    number = works.backfill()
    works.clock.advance(60)
    works.provider.put(new)
    works.plant.run()
    works.provider.records = [old]
    report = works.pull(number)
    assert report is not None
    assert (report.counters.stale, report.counters.updated) == (1, 0)
    assert works.plant.names()["cus_1"] == "New"
    if mapping is unmarked:  # the control: only the cutoff held it back
        assert works.plant.run(full=True).counters.updated == 1
    works.store.close()


def test_a_live_run_in_the_middle_of_a_partition_wins_too(works: Works) -> None:
    number = works.backfill()
    new = customer(9, display_name="New", updated_at="2026-03-02T10:00:30Z")

    def live() -> None:
        page = httpx2.Response(200, json={"data": [new], "next_cursor": None})
        works.provider.answers.insert(0, page)
        works.plant.run()

    works.on_page(2, live)
    works.pull(number)
    assert works.plant.names()["cus_9"] == "New"
    assert works.stored(number).state is BackfillState.DONE


# ── pausing, canceling, stopping ──


def test_a_paused_backfill_ends_at_the_next_page_and_goes_on_there(works: Works) -> None:
    number = works.backfill()
    works.on_page(2, lambda: works.store.backfills.pause("default", number, reason="by hand"))
    report = works.pull(number)
    assert report is not None
    assert (report.state, report.reason) == (RunState.PARKED, "stopped")
    kept = works.partition(number)
    assert kept.state is PartitionState.WAITING
    assert 0 < kept.counters.created < 10
    assert works.pull(number) is None
    assert works.store.backfills.resume("default", number)
    works.pull(number)
    done = works.partition(number)
    assert done.state is PartitionState.DONE
    assert (done.counters.created, done.counters.unchanged) == (10, 0)


def test_a_canceled_backfill_writes_nothing_more(works: Works) -> None:
    number = works.backfill()
    works.on_page(3, lambda: works.store.backfills.cancel("default", number, now=NOW))
    report = works.pull(number)
    assert report is not None
    assert report.reason in ("lease_lost", "stopped")
    assert works.partition(number).state is PartitionState.CANCELED
    assert works.partition(number).counters.created == len(works.plant.names()) < 10
    assert works.store.streams.list("default") == []


def test_a_worker_that_is_stopped_leaves_the_partition_to_the_next_one(works: Works) -> None:
    number = works.backfill()
    works.on_page(2, works.stop.ask)
    report = works.pull(number)
    assert report is not None
    assert report.reason == "stopped"
    assert works.partition(number).state is PartitionState.WAITING
    works.stop = Stop()
    works.pull(number)
    assert works.partition(number).counters.created == 10


def test_a_partition_gives_way_at_its_next_page_and_has_not_failed(works: Works) -> None:
    number = works.backfill()
    runner = PartitionRunner(works.plant.runner(), works.stop, crowded=lambda: True)
    report = runner.run("customers", works.partition(number).part.partition)
    assert report is not None
    assert report.reason == "stopped"
    left = works.partition(number)
    assert (left.state, left.failures, left.counters.created) == (PartitionState.WAITING, 0, 2)
    works.pull(number)
    assert works.partition(number).counters.created == 10


# ── who pulls what ──


def test_of_two_workers_one_pulls_a_partition(works: Works) -> None:
    number = works.backfill()
    second: list[RunReport | None] = []
    works.on_page(1, lambda: second.append(works.pull(number)))
    assert works.pull(number) is not None
    assert second == [None]
    assert works.pull(number) is None, "it is done"
    assert [row.partition for row in works.store.streams.list("default")] == []


def test_what_a_dead_process_holds_is_offered_before_its_lease_is_over(works: Works) -> None:
    number = works.backfill(days=2)
    first, second = (works.partition(number, place).part.partition for place in (0, 1))
    dead = replace(Owner.of_this_process(), pid=2**22 + 1)
    until = works.clock.now().replace(hour=23)
    lease = Lease("default", "acme-main", "customers", str(dead), 0, until, first)
    now = times.microseconds(works.clock.now())
    assert works.store.streams.claim(lease, now=now) is not None
    assert works.store.backfills.due(now, 9) == [], "one is under way, for all the ledger knows"
    backlog = Backlog(works.store.backfills, works.clock)
    assert backlog.due(now, 9) == [Task("default", "acme-main", "customers", first)]
    assert backlog.due(now, 9) == [], "who died is not looked for at every tick"
    works.pull(number)
    assert backlog.due(now, 9) == [Task("default", "acme-main", "customers", second)]
    assert backlog.due(now, 0) == []


# ── keys ──


def test_keys_of_a_partition_stand_in_the_declaration_of_a_collection(
    backend: str, tmp_path: Path
) -> None:
    params = {"region": "{partition.region}", "limit": 2}
    works = Works(tmp_path, acme(since=SINCE, params=params))
    number = works.backfill(keys=(("region", "eu"), ("region", "us")))
    for place in (0, 1):
        works.pull(number, place)
    works.plant.run()
    asked = [request.url.params.get("region") for request in works.provider.requests]
    assert asked[0] == "eu"
    assert set(asked) == {"eu", "us", None}, "a poll leaves out what has no value"
    assert asked[-1] is None
    works.store.close()


def test_a_route_is_told_its_slice_and_its_keys(backend: str, tmp_path: Path) -> None:
    connector = empty("customers")
    told: list[Any] = []

    @connector.sync("customers")
    def live(request: Any) -> Any:
        raise AssertionError("a backfill has a route of its own")

    @connector.backfill("customers")
    def past(request: Any) -> Any:
        told.append((request.from_, request.to, dict(request.partition), request.cursor))
        row = to_customer(customer(len(told)))
        ingest.canonical("customer", row, stream="customers", idempotency_key=row["customer_id"])
        return sync.page(cursor={"page": len(told)}, has_more=len(told) < 2)

    works = Works(tmp_path, connector)
    works.pull(works.backfill(keys=(("region", "eu"),)))
    to = FIRST_OF_MARCH.replace(day=2)
    assert told == [
        (FIRST_OF_MARCH, to, {"region": "eu"}, None),
        (FIRST_OF_MARCH, to, {"region": "eu"}, {"page": 1}),
    ]
    assert len(works.plant.names()) == 2
    works.store.close()
