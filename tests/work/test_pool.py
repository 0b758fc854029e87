"""The pool: what is offered begins where there is room, once at a time, and nothing ends it."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from penstock.errors import StoreUnavailableError
from penstock.work.pool import Pool
from penstock.work.task import Task


def task(number: int) -> Task:
    return Task("default", "acme", f"stream {number}")


class Gate:
    """Runs tasks that end when they are let through."""

    def __init__(self) -> None:
        self.begun: list[Task] = []
        self.open = threading.Event()

    def run(self, task: Task) -> None:
        self.begun.append(task)
        assert self.open.wait(10)


@pytest.fixture
def gate() -> Iterator[Gate]:
    gate = Gate()
    yield gate
    gate.open.set()


def test_as_many_begin_as_there_is_room_for(gate: Gate) -> None:
    pool = Pool(gate.run, slots=2)
    assert pool.offer([task(1), task(2), task(3)]) == 2
    assert (pool.busy, pool.room) == (2, 0)
    assert pool.offer([task(3)]) == 0
    gate.open.set()
    assert pool.ended(10)
    assert sorted(gate.begun) == [task(1), task(2)]
    assert pool.room == 2


def test_one_that_is_under_way_is_not_begun_again(gate: Gate) -> None:
    pool = Pool(gate.run, slots=4)
    assert pool.offer([task(1), task(1)]) == 1
    assert pool.offer([task(1), task(2)]) == 1
    gate.open.set()
    assert pool.ended(10)
    assert sorted(gate.begun) == [task(1), task(2)]


def test_when_one_has_ended_there_is_room_and_somebody_is_told(gate: Gate) -> None:
    freed = threading.Event()
    pool = Pool(gate.run, slots=1, freed=freed.set)
    pool.offer([task(1)])
    gate.open.set()
    assert freed.wait(10)
    assert pool.offer([task(1)]) == 1


@pytest.mark.parametrize("error", [StoreUnavailableError("away"), ZeroDivisionError("a bug")])
def test_what_a_task_raises_is_told_and_goes_no_further(
    error: Exception, caplog: pytest.LogCaptureFixture
) -> None:
    def run(_: Task) -> None:
        raise error

    pool = Pool(run, slots=1)
    pool.offer([task(1)])
    assert pool.ended(10)
    assert pool.room == 1
    (told,) = caplog.records
    assert "task=default/acme/stream 1" in told.message


def test_a_closed_pool_waits_for_what_is_under_way_as_long_as_it_is_told(gate: Gate) -> None:
    pool = Pool(gate.run, slots=1)
    pool.offer([task(1)])
    pool.close()
    assert not pool.ended(0)
    gate.open.set()
    assert pool.ended(10)
