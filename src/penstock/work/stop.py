"""Being stopped: what runs ends at its next page, and nobody sleeps through it."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from datetime import datetime

from penstock.clock import Clock
from penstock.errors import StoppedError

STOPPING = "the worker was stopped; the stream goes on from its last page"


@dataclass(frozen=True, slots=True)
class Stop:
    """Asked for once, by a signal for instance, and seen by every thread."""

    _asked: threading.Event = field(default_factory=threading.Event)

    @property
    def is_asked(self) -> bool:
        return self._asked.is_set()

    def ask(self) -> None:
        self._asked.set()

    def wait(self, seconds: float) -> bool:
        """True as soon as it is asked for, False after so many seconds."""
        return self._asked.wait(seconds)

    def between_pages(self) -> None:
        """Raises StoppedError where it is asked for."""
        if self.is_asked:
            raise StoppedError(STOPPING)


@dataclass(frozen=True, slots=True)
class StoppableClock:
    """A clock on which one sleeps until the stop at the latest. Its sleep raises StoppedError."""

    clock: Clock
    stop: Stop

    def now(self) -> datetime:
        return self.clock.now()

    def monotonic(self) -> float:
        return self.clock.monotonic()

    def sleep(self, seconds: float) -> None:
        if self.stop.wait(seconds):
            raise StoppedError(STOPPING)
