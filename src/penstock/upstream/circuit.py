"""The circuit to one provider: after repeated failure nobody asks for a while, and it says so."""

from __future__ import annotations

import threading
from datetime import datetime, timedelta

from penstock.errors import ParkedError

FAILURES = 12
"""Attempts in a row, whoever sent them, after which the circuit opens: two sends with all their
retries, or many streams at their first."""

FIRST_PAUSE = timedelta(minutes=1)
LONGEST_PAUSE = timedelta(hours=1)


class Circuit:
    """Closed while requests succeed. Open, it refuses at once, retries too; when the pause is over
    one attempt is let through: it closes the circuit or doubles the pause, up to an hour. So an
    outage costs a provider little more than the requests that met it. Safe to use from several
    threads."""

    def __init__(self, host: str) -> None:
        self.host = host

        self._lock = threading.Lock()
        self._failures = 0
        self._since: datetime | None = None
        self._until: datetime | None = None
        self._last = ""

    def check(self, now: datetime) -> None:
        """Raises ParkedError while the circuit is open."""
        with self._lock:
            if self._until is not None and now < self._until:
                raise ParkedError(
                    f"{self.host} has failed since {self._since:%Y-%m-%d %H:%M:%S} UTC, at last "
                    f"with {self._last}; it is left alone until {self._until:%H:%M:%S} UTC",
                    until=self._until,
                )

    def failed(self, now: datetime, reason: str) -> datetime | None:
        """An attempt failed; until when nobody asks now, None while the circuit is closed."""
        with self._lock:
            self._failures += 1
            self._since, self._last = self._since or now, reason
            if self._failures < FAILURES:
                return None
            doublings = min(self._failures - FAILURES, 10)
            self._until = now + min(FIRST_PAUSE * 2**doublings, LONGEST_PAUSE)
            return self._until

    def worked(self) -> None:
        """A request was answered properly."""
        if self._failures:
            with self._lock:
                self._failures, self._since, self._until = 0, None, None
