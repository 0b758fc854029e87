"""Time as an argument: whoever waits or stamps takes a Clock, so tests need no sleep."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Protocol


class Clock(Protocol):
    """Wall time for stamps, monotonic time for durations, and the only way to wait."""

    def now(self) -> datetime:
        """Aware, UTC."""

    def monotonic(self) -> float:
        """Seconds; only differences mean something."""

    def sleep(self, seconds: float) -> None: ...


class SystemClock:
    """The machine's own clocks."""

    def now(self) -> datetime:
        return datetime.now(UTC)

    def monotonic(self) -> float:
        return time.monotonic()

    def sleep(self, seconds: float) -> None:
        time.sleep(seconds)


class SharedClock(SystemClock):
    """The clock of hosts that share a database: the machine's own, set by the database's.

    Leases, due times and the shared pace compare instants that different hosts have written, and
    hosts disagree. ahead: by how much the database's clock is ahead of the one it is given.
    """

    def __init__(self, ahead: Callable[[Callable[[], datetime]], timedelta]) -> None:
        self._measure = ahead
        self._ahead = ahead(super().now)

    def now(self) -> datetime:
        return super().now() + self._ahead

    def adjust(self) -> None:
        """Set it again, every some minutes of a long life. Raises what the database raises."""
        self._ahead = self._measure(super().now)
