"""What an enumeration shows to be doubtful about a stream's cursor, as sentences for the author.

Nothing is lost by what is noted here; it says where something could be, or where work is wasted.
"""

from __future__ import annotations

from dataclasses import dataclass

from penstock.model import times
from penstock.pipeline.stage import Stage
from penstock.upstream.since import Since

SKEW = 60_000_000
"""Microseconds between two clocks that are worth a word: the usual settle window."""
DAY = 86_400_000_000
ENOUGH = 20
"""Records with a time of change, before their precision is judged."""
FIRST_BUSINESS = times.read("1980-01-01T00:00:00Z")


@dataclass(slots=True)
class CursorLint:
    """Looks at every page of a run, in constant space.

    source_at: what the source's clock showed at the first page, and ahead: by how much it was
    before ours, microseconds.
    """

    fetched: int = 0
    unmarked: int = 0
    unmoved: int = 0
    high: int | None = None
    low: int | None = None
    whole_days: bool = True
    source_at: int | None = None
    ahead: int = 0

    def see_clock(self, told: int | None, received_at: int) -> None:
        """The source's Date at the first response, where it gave one."""
        self.source_at = received_at if told is None else told
        self.ahead = 0 if told is None else told - received_at

    def see(self, stage: Stage) -> None:
        """A page that was decided."""
        self.fetched += stage.fetched
        self.unmarked += stage.unmarked
        self.unmoved += stage.unmoved
        if stage.high is None or stage.low is None:
            return
        self.high = stage.high if self.high is None else max(self.high, stage.high)
        self.low = stage.low if self.low is None else min(self.low, stage.low)
        self.whole_days = self.whole_days and not (stage.high % DAY or stage.low % DAY)

    def notes(self, since: Since | None, *, whole: bool) -> tuple[str, ...]:
        """What is doubtful, the gravest first. whole: everything was enumerated."""
        if since is None:
            return ()
        found = (
            self._unread(since),
            self._wrong_unit(since),
            self._from_the_future(since),
            self._unmoved(since) if whole else None,
            self._skewed(),
            self._coarse(since),
        )
        return tuple(note for note in found if note is not None)

    def _unread(self, since: Since) -> str | None:
        if not self.unmarked:
            return None
        return (
            f"{self.unmarked} of {self.fetched} records have no {since.field} that can be read as "
            f"{since.format}: they are stored, the watermark does not move by them, and only a "
            "full run finds their changes (Stream(full=…))"
        )

    def _wrong_unit(self, since: Since) -> str | None:
        if since.format != "unix_ms" or self.high is None or self.high >= FIRST_BUSINESS:
            return None
        return f"{since.field} counts seconds, not milliseconds: format='unix'"

    def _from_the_future(self, since: Since) -> str | None:
        if self.high is None or self.source_at is None or self.high <= self.source_at + SKEW:
            return None
        by = _told(self.high - self.source_at)
        return (
            f"{since.field} lies up to {by} ahead of the source's own clock: perhaps local time "
            "without an offset; the watermark stops before the start of the run"
        )

    def _unmoved(self, since: Since) -> str | None:
        if not self.unmoved:
            return None
        return (
            f"{self.unmoved} of {self.fetched} records have changed and kept their {since.field} "
            "(unless the mapping was edited): only a full run finds such changes (Stream(full=…))"
        )

    def _skewed(self) -> str | None:
        if abs(self.ahead) <= SKEW:
            return None
        side = "ahead of" if self.ahead > 0 else "behind"
        return f"the source's clock is {_told(abs(self.ahead))} {side} ours; its own time counts"

    def _coarse(self, since: Since) -> str | None:
        """Declared against observed precision: both directions only cost requests."""
        if self.fetched - self.unmarked < ENOUGH or self.high == self.low or self.high is None:
            return None
        if self.whole_days and since.format != "date":
            return (
                f"{since.field} holds whole days, asked for to the second: each run reads the last "
                "day again; format='date' says the same"
            )
        if since.asks and since.format == "date" and not self.whole_days:
            return (
                f"{since.field} is finer than format='date': each run reads up to a day and a half "
                "again; declare a finer format if the provider takes one"
            )
        return None


def _told(micros: int) -> str:
    """A duration in whole minutes, so that the same fault is the same sentence the next time."""
    return f"{round(micros / 60_000_000):,} min"
