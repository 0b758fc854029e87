"""A clock that stands still until it is told to move, or asked to sleep."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

MONDAY = datetime(2026, 3, 2, 10, tzinfo=UTC)


class ManualClock:
    """Sleeping moves it forward at once; `slept` remembers every pause in seconds."""

    def __init__(self, now: datetime = MONDAY) -> None:
        self.slept: list[float] = []

        self._start = now
        self._passed_s = 0.0

    def now(self) -> datetime:
        return self._start + timedelta(seconds=self._passed_s)

    def monotonic(self) -> float:
        return self._passed_s

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.advance(seconds)

    def advance(self, seconds: float) -> None:
        self._passed_s += seconds
