"""One enumeration of a stream: from its first page to its last, over any number of runs. Pure.

It travels in the checkpoint, so a run that was killed goes on with the same start and ceiling.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any

from penstock.upstream.since import Since
from penstock.upstream.trail import Trail

SETTLE = timedelta(seconds=60)


@dataclass(frozen=True, slots=True)
class Enumeration:
    """All instants in microseconds.

    started_at: when it began, by the source's clock where the source tells it. since: the
    watermark it asks from, None for everything. high: greatest time of change seen so far.
    full: made without the watermark. trail: the way so far, against being led in circles.
    """

    started_at: int
    since: int | None
    full: bool
    high: int | None = None
    pages: int = 0
    trail: Trail = field(default_factory=Trail)

    def after_page(self, high: int | None, trail: Trail) -> Enumeration:
        best = high if self.high is None else self.high if high is None else max(self.high, high)
        return replace(self, high=best, pages=self.pages + 1, trail=trail)

    def watermark(self, before: int | None, since: Since | None, asked: int | None) -> int | None:
        """The watermark when the last page is in.

        Never past the start less the settle window, never back, and unmoved where no record had a
        time of change. asked: what the route named itself, instead of `high`.
        """
        reached = self.high if asked is None else asked
        if reached is None:
            return before
        settle = since.settle if since is not None else SETTLE
        reached = min(reached, self.started_at - settle // timedelta(microseconds=1))
        return reached if before is None else max(before, reached)

    def as_json(self) -> dict[str, Any]:
        return {
            "started_at": self.started_at,
            "since": self.since,
            "full": self.full,
            "high": self.high,
            "pages": self.pages,
            "trail": self.trail.as_json(),
        }

    @classmethod
    def from_json(cls, stored: dict[str, Any]) -> Enumeration:
        return cls(
            started_at=stored["started_at"],
            since=stored["since"],
            full=stored["full"],
            high=stored["high"],
            pages=stored["pages"],
            trail=Trail.from_json(stored["trail"]),
        )
