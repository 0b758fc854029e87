"""Retention: what is older than it has to be kept goes, a small transaction at a time."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta

from penstock.clock import Clock
from penstock.model import times
from penstock.store.roles import Store
from penstock.telemetry import event

AT_ONCE = 1000
"""Rows of one transaction: a writer who waits for it waits for milliseconds."""

NOTICES = timedelta(days=30)


@dataclass(frozen=True, slots=True)
class Retention:
    """How long what is kept, None for ever. letters: closed ones; an open one stays until somebody
    closes it. pages: the bodies of archived responses; what is known of them stays."""

    runs: timedelta | None = None
    letters: timedelta | None = None
    pages: timedelta | None = None

    @classmethod
    def of_days(
        cls, runs: str | None = None, letters: str | None = None, pages: str | None = None
    ) -> Retention:
        """From settings, which are checked texts."""
        kept = (runs, letters, pages)
        return cls(*(None if days is None else timedelta(int(days)) for days in kept))


@dataclass(frozen=True, slots=True)
class Retainer:
    """One tick lets go of all that is too old."""

    store: Store
    retention: Retention
    clock: Clock

    def tick(self) -> dict[str, int]:
        """How many of each are gone."""
        kept, store = self.retention, self.store
        gone = {
            "runs": self._forget(kept.runs, store.runs.forget),
            "letters": self._forget(kept.letters, store.letters.forget),
            "pages": self._empty(kept.pages),
        }
        store.notices.forget(self._before(NOTICES))
        if any(gone.values()):
            event("retention.forgot", **gone)
        return gone

    def _forget(self, kept: timedelta | None, forget: Callable[..., int]) -> int:
        if kept is None:
            return 0
        before, gone, some = self._before(kept), 0, AT_ONCE
        while some == AT_ONCE:
            some = forget(before, limit=AT_ONCE)
            gone += some
        return gone

    def _empty(self, kept: timedelta | None) -> int:
        """What came of a page's records stays, and cannot be derived once more."""
        if kept is None:
            return 0
        before, gone, last = self._before(kept), 0, 0
        while True:
            some = self.store.archive.forget(before=before, after=last)
            gone += some.pages
            if some.last is None:
                return gone
            last = some.last

    def _before(self, kept: timedelta) -> int:
        return times.microseconds(self.clock.now() - kept)
