"""Being stopped: seen by everybody, slept through by nobody, asked for at any moment."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading

import pytest

from penstock.errors import StoppedError
from penstock.work.stop import Stop, StoppableClock
from tests.upstream.clock import FakeClock

STORM = """
import os, signal, threading
from penstock.work.stop import Stop, at_signals

stop = Stop()
with at_signals(stop):
    awake = threading.Event()
    stop.tell(awake.set)
    print("ready", flush=True)
    while not stop.is_urgent:
        awake.clear()          # takes the lock that a handler would want
        awake.wait(0.0001)
print("stopped", flush=True)
"""


def test_whoever_sleeps_is_woken_and_ends() -> None:
    stop = Stop()
    clock = StoppableClock(FakeClock(), stop)
    clock.sleep(0)
    ended: list[str] = []

    def sleep_long() -> None:
        with pytest.raises(StoppedError, match="goes on from its last page"):
            clock.sleep(3600)
        ended.append("sleeper")

    sleeper = threading.Thread(target=sleep_long)
    sleeper.start()
    stop.ask()
    sleeper.join(10)
    assert ended == ["sleeper"]


def test_a_page_may_begin_until_the_stop_is_asked_for() -> None:
    stop = Stop()
    stop.between_pages()
    stop.ask()
    with pytest.raises(StoppedError):
        stop.between_pages()


def test_who_waits_for_something_else_is_told() -> None:
    stop, told = Stop(), threading.Event()
    stop.tell(told.set)
    stop.ask()
    assert told.is_set()


class TestGrace:
    def test_ends_when_all_has_ended(self) -> None:
        looks = iter([False, False, True])
        assert Stop().grace(lambda _wait: next(looks), 30, FakeClock())

    def test_ends_with_its_time(self) -> None:
        clock = FakeClock()
        assert not Stop().grace(lambda wait: clock.advance(wait) is not None, 30, clock)
        assert 30 <= clock.monotonic() < 31

    def test_ends_when_the_stop_is_asked_for_twice(self) -> None:
        stop, clock = Stop(), FakeClock()
        stop.ask()
        stop.ask()
        assert not stop.grace(lambda wait: clock.advance(wait) is not None, 30, clock)
        assert clock.monotonic() < 1


def test_a_storm_of_signals_at_any_moment_blocks_nothing() -> None:
    """A handler that took a lock would hang here, sooner or later."""
    for _ in range(2):
        child = subprocess.Popen([sys.executable, "-c", STORM], stdout=subprocess.PIPE, text=True)
        assert child.stdout is not None
        assert child.stdout.readline() == "ready\n"
        for number in (signal.SIGTERM, signal.SIGINT) * 20:
            if child.poll() is None:
                os.kill(child.pid, number)
        out, _ = child.communicate(timeout=60)
        assert (out, child.returncode) == ("stopped\n", 0)
