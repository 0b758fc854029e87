"""The ticker: what is due is offered, by one index, whoever holds what is dead is found out."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

import pytest

from penstock.app import open_store
from penstock.model import times
from penstock.model.unit import Lease
from penstock.store.roles import Store
from penstock.store.rows import PlannedStream
from penstock.testing.store_worker import connection
from penstock.work import obituary
from penstock.work.owner import Owner
from penstock.work.service import Service
from penstock.work.stop import Stop
from penstock.work.task import Task
from penstock.work.ticker import Ticker
from tests.database import url_in
from tests.upstream.clock import FakeClock

HOURLY = "0 * * * *"


@dataclass
class Tray:
    """A carrier that keeps what it takes."""

    room: int = 10
    taken: list[Task] = field(default_factory=list)

    def offer(self, tasks: Sequence[Task]) -> int:
        new = [task for task in tasks if task not in self.taken][: self.room]
        self.taken += new
        self.room -= len(new)
        return len(new)


@pytest.fixture
def store(backend: str, tmp_path: Path) -> Iterator[Store]:
    with open_store(url_in(tmp_path)) as store:
        store.connections.save(connection(), {}, now=0)
        yield store


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


def plan(store: Store, clock: FakeClock, due_in_s: dict[str, float]) -> None:
    now = times.microseconds(clock.now())
    store.agenda.plan(
        [
            (PlannedStream("default", "acme", stream, HOURLY), now + int(seconds * 1_000_000))
            for stream, seconds in due_in_s.items()
        ]
    )


def streams(tray: Tray) -> list[str]:
    return sorted(task.stream for task in tray.taken)


def test_what_is_due_is_offered_when_its_time_has_come(store: Store, clock: FakeClock) -> None:
    plan(store, clock, {"now": 0, "soon": 30})
    tray = Tray()
    ticker = Ticker(store.agenda, tray, clock)
    assert ticker.tick() == 1
    assert tray.taken == [Task("default", "acme", "now")]
    clock.advance(30)
    assert ticker.tick() == 1
    assert streams(tray) == ["now", "soon"]


def test_no_more_is_offered_than_there_is_room_for(store: Store, clock: FakeClock) -> None:
    plan(store, clock, {f"s{n}": -n for n in range(9)})
    tray = Tray(room=2)
    ticker = Ticker(store.agenda, tray, clock)
    assert (ticker.tick(), ticker.tick()) == (2, 0)


def test_other_kinds_of_work_come_when_no_stream_is_left(store: Store, clock: FakeClock) -> None:
    plan(store, clock, {"a": 0, "b": 0})
    part = Task("default", "acme", "a", "1/2024")
    tray = Tray(room=2)
    ticker = Ticker(store.agenda, tray, clock, more=lambda _now, _limit: [part])
    assert ticker.tick() == 2
    tray.room = 1
    assert ticker.tick() == 1
    assert tray.taken[2] == part


def test_who_has_no_turn_looks_for_nothing(store: Store, clock: FakeClock) -> None:
    plan(store, clock, {"a": 0})
    tray = Tray()
    assert Ticker(store.agenda, tray, clock, turn=lambda: False).tick() == 0
    assert Ticker(store.agenda, tray, clock).tick() == 1


def test_a_stream_left_by_a_dead_process_of_this_host_is_offered_at_once(
    store: Store, clock: FakeClock
) -> None:
    plan(store, clock, {"left": 0, "elsewhere": 0, "alive": 0})
    me = Owner.of_this_process()
    owners = {
        "left": str(me).replace(f"/{me.pid}/", f"/{2**22 + 1}/"),
        "elsewhere": str(me).replace(me.host, "other-host").replace(f"/{me.pid}/", "/1/"),
        "alive": str(me),
    }
    for stream, owner in owners.items():
        lease = Lease("default", "acme", stream, owner, 0, times.moment(2**52))
        assert store.streams.claim(lease, now=0)
    tray = Tray()
    ticker = Ticker(store.agenda, tray, clock, turn=lambda: False)  # every host looks for its own
    assert ticker.tick() == 1
    assert streams(tray) == ["left"]
    tray.taken.clear()
    assert ticker.tick() == 0  # not at every look
    clock.advance(obituary.LOOK_S)
    assert ticker.tick() == 1


def test_after_a_night_without_anybody_each_stream_is_offered_once(
    store: Store, clock: FakeClock
) -> None:
    plan(store, clock, {f"s{n}": n for n in range(5)})
    clock.advance(10 * 3600)
    tray = Tray()
    ticker = Ticker(store.agenda, tray, clock)
    assert [ticker.tick() for _ in range(3)] == [5, 0, 0]


def test_fifty_workers_that_start_at_once_hardly_reach_for_the_same(
    store: Store, clock: FakeClock
) -> None:
    """200 streams are due, each worker has room for two. In order of time all would reach for the
    same two; as it is, most get what they reach for."""
    plan(store, clock, {f"s{n}": -n for n in range(200)})

    def reach(workers: int, shuffle: Callable[[Ticker], None] = lambda _ticker: None) -> int:
        reached: Counter[Task] = Counter()
        for seed in range(workers):
            tray = Tray(room=2)
            ticker = Ticker(store.agenda, tray, clock, chance=Random(seed))
            shuffle(ticker)
            ticker.tick()
            reached.update(tray.taken)
        return len(reached)

    class InOrder(Random):
        def shuffle(self, x: object) -> None:  # type: ignore[override]
            pass

    def in_order(ticker: Ticker) -> None:
        ticker.chance = InOrder()

    assert reach(5, in_order) == 2
    assert reach(50) == 8


@pytest.mark.sqlite
def test_ten_thousand_streams_of_which_none_is_due_cost_next_to_nothing(
    backend: str, tmp_path: Path, clock: FakeClock
) -> None:
    """Under a second of CPU a minute: 60 looks of the loop."""
    assert backend == "sqlite"
    with open_store(url_in(tmp_path)) as store:
        store.connections.save(connection(), {}, now=0)
        plan(store, clock, {f"stream_{n}": 3600 + n % 600 for n in range(10_000)})
        tray = Tray()
        service = Service(Ticker(store.agenda, tray, clock), [], clock, Stop())
        began = time.thread_time()
        for _ in range(60):
            assert service.turn() == 0
            clock.advance(1)
        spent = time.thread_time() - began
    assert service.failures == 0
    assert threading.active_count() < 20
    assert spent < 0.5, f"{spent:.2f} s"
