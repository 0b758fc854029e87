"""The service: one loop that ticks, and does the house's chores, until it is stopped."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass, field

from penstock.clock import Clock
from penstock.errors import PenstockError
from penstock.telemetry import event
from penstock.work.stop import Stop
from penstock.work.ticker import LOOK_S, Ticker

LONGEST_PAUSE_S = 30.0
"""Between two tries while the database does not answer: 1 s at first, twice as long each time."""


@dataclass(slots=True)
class Chore:
    """Something to be done every so many seconds. due: by the monotonic clock."""

    name: str
    every_s: float
    do: Callable[[], None]
    due: float = float("-inf")


@dataclass(slots=True)
class Service:
    """ticker: what brings the work. chores: done in this order, at first at once."""

    ticker: Ticker
    chores: list[Chore]
    clock: Clock
    stop: Stop
    awake: threading.Event = field(default_factory=threading.Event)
    failures: int = 0

    def run(self) -> None:
        """Until it is stopped. What the database refuses is tried again, and told once."""
        while not self.stop.is_asked:
            self.awake.clear()
            self.turn()
            self.pause(self.pause_s)

    def turn(self) -> int:
        """One look: chores that are due, then tasks. How many tasks were taken."""
        try:
            self.do_chores()
            taken = self.ticker.tick()
        except PenstockError as error:
            self.failures += 1
            event("service.failing", logging.WARNING, reason=error.code, message=error.message)
            return 0
        if self.failures:
            event("service.recovered", after=self.failures)
            self.failures = 0
        return taken

    def do_chores(self) -> None:
        for chore in self.chores:
            now = self.clock.monotonic()
            if now >= chore.due:
                chore.do()
                chore.due = now + chore.every_s

    @property
    def pause_s(self) -> float:
        return LOOK_S if not self.failures else min(2.0 ** (self.failures - 1), LONGEST_PAUSE_S)

    def pause(self, seconds: float) -> None:
        """Until something has ended, the stop is asked for, or so many seconds are over."""
        if not self.stop.is_asked:
            self.awake.wait(seconds)

    def wake(self) -> None:
        """Look again at once."""
        self.awake.set()
