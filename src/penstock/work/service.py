"""The service: one loop that ticks, and does the house's chores, until it is stopped."""

from __future__ import annotations

import logging
import threading
import traceback
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeVar

from penstock.clock import Clock
from penstock.errors import PenstockError
from penstock.telemetry import event
from penstock.work.stop import Stop
from penstock.work.ticker import LOOK_S, Ticker

LONGEST_PAUSE_S = 30.0
"""Between two tries while the database does not answer: 1 s at first, twice as long each time."""

T = TypeVar("T")


@dataclass(slots=True)
class Chore:
    """Something to be done every so many seconds. due: by the monotonic clock."""

    name: str
    every_s: float
    do: Callable[[], None]
    due: float = float("-inf")


@dataclass(slots=True)
class Service:
    """ticker: what brings the work. chores: done in this order, at first at once.

    What fails is tried again and keeps nothing else from being done. failures: turns in a row in
    which something failed.
    """

    ticker: Ticker
    chores: list[Chore]
    clock: Clock
    stop: Stop
    failures: int = 0
    _failed: bool = False
    _awake: threading.Event = field(default_factory=threading.Event)

    def __post_init__(self) -> None:
        self.stop.tell(self.wake)

    def run(self) -> None:
        """Until it is stopped."""
        while not self.stop.is_asked:
            self.turn()
            self.pause()

    def turn(self) -> int:
        """One look: chores that are due, then tasks. How many tasks were taken."""
        self._awake.clear()
        self._failed = False
        for chore in self.chores:
            now = self.clock.monotonic()
            if now >= chore.due:
                chore.due = now + chore.every_s
                self._try(chore.name, chore.do)
        taken = self._try("tick", self.ticker.tick) or 0
        self._count()
        return taken

    def pause(self) -> None:
        """Until something has ended, the stop is asked for, or it is time to look again."""
        if not self.stop.is_asked:
            self._awake.wait(self.pause_s)

    @property
    def pause_s(self) -> float:
        return LOOK_S if not self.failures else min(2.0 ** (self.failures - 1), LONGEST_PAUSE_S)

    def wake(self) -> None:
        """Look again at once."""
        self._awake.set()

    def _try(self, name: str, do: Callable[[], T]) -> T | None:
        try:
            return do()
        except PenstockError as error:
            told = {"reason": error.code, "message": error.message}
            event("service.failing", logging.WARNING, part=name, failures=self.failures + 1, **told)
        except Exception:
            # Months with nobody watching: a fault in one part must not end the others.
            trace = traceback.format_exc(limit=-5)
            event("service.broken", logging.ERROR, part=name, trace=trace)
        self._failed = True
        return None

    def _count(self) -> None:
        if self._failed:
            self.failures += 1
        elif self.failures:
            event("service.recovered", logging.WARNING, after=self.failures)
            self.failures = 0
