"""The service: chores by the clock, failures that keep nothing else from being done."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence

import pytest

from penstock.errors import StoreUnavailableError
from penstock.store.rows import DueStream
from penstock.store.work_roles import Agenda
from penstock.work.service import Chore, Service
from penstock.work.stop import Stop
from penstock.work.task import Task
from penstock.work.ticker import LOOK_S, Ticker
from tests.upstream.clock import FakeClock


class Nothing:
    """A carrier without room."""

    room = 0

    def offer(self, tasks: Sequence[Task]) -> int:
        return len(tasks) * 0


class NothingDue:
    def due(self, now: int, limit: int) -> list[DueStream]:
        return []


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def make(clock: FakeClock) -> Callable[..., Service]:
    def make(*chores: Chore, stop: Stop | None = None) -> Service:
        agenda: Agenda = NothingDue()  # type: ignore[assignment]
        return Service(Ticker(agenda, Nothing(), clock), list(chores), clock, stop or Stop())

    return make


def test_chores_are_done_at_once_and_then_by_the_clock(
    make: Callable[..., Service], clock: FakeClock
) -> None:
    done: list[str] = []
    service = make(
        Chore("often", 10, lambda: done.append("often")),
        Chore("rarely", 30, lambda: done.append("rarely")),
    )
    for _ in range(7):
        service.turn()
        clock.advance(5)
    assert done == ["often", "rarely", "often", "often", "often", "rarely"]


def test_after_a_long_sleep_a_chore_is_done_once(
    make: Callable[..., Service], clock: FakeClock
) -> None:
    done: list[str] = []
    service = make(Chore("often", 10, lambda: done.append("often")))
    service.turn()
    clock.advance(3600)
    service.turn()
    service.turn()
    assert len(done) == 2


@pytest.mark.parametrize("error", [StoreUnavailableError("away"), ZeroDivisionError("a bug")])
def test_what_fails_keeps_nothing_else_from_being_done(
    make: Callable[..., Service], error: Exception, caplog: pytest.LogCaptureFixture
) -> None:
    done: list[str] = []

    def fail() -> None:
        raise error

    service = make(Chore("broken", 10, fail), Chore("sound", 10, lambda: done.append("sound")))
    service.turn()
    assert done == ["sound"]
    assert service.failures == 1
    assert "part=broken" in caplog.text
    service.turn()
    assert service.failures == 0
    assert "service.recovered" in caplog.text


def test_while_it_fails_it_looks_less_and_less_often(
    make: Callable[..., Service], clock: FakeClock
) -> None:
    def fail() -> None:
        raise StoreUnavailableError("away")

    service = make(Chore("broken", 0, fail))
    assert service.pause_s == LOOK_S
    pauses = []
    for _ in range(7):
        service.turn()
        pauses.append(service.pause_s)
        clock.advance(1)
    assert pauses == [1, 2, 4, 8, 16, 30, 30]


def test_it_ends_at_once_when_it_is_stopped(make: Callable[..., Service]) -> None:
    stop = Stop()
    service = make(stop=stop)
    running = threading.Thread(target=service.run)
    running.start()
    stop.ask()
    running.join(LOOK_S / 2)
    assert not running.is_alive()


def test_somebody_may_make_it_look_again_at_once(make: Callable[..., Service]) -> None:
    service = make()
    service.turn()
    service.failures = 6  # else it would pause for 30 s
    service.wake()
    service.pause()
