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

    started_at: when it began, by the source's clock where the source tells it; asked_at: by ours.
    since: the watermark it asks from, None for everything. full: made without the watermark. high:
    greatest time of change seen so far. trail: the way so far, against being led in circles.

    first: the cursor it began with, or that of the update under way. began: number of its first
    unit. proves: whether what it does not show may count as absent. holding: pages of an update
    are kept; sealed: the update is complete, and they are being applied.
    """

    started_at: int
    since: int | None
    full: bool
    high: int | None = None
    pages: int = 0
    trail: Trail = field(default_factory=Trail)
    asked_at: int = 0
    first: Any = None
    began: int = 0
    proves: bool = True
    holding: bool = False
    sealed: bool = False

    def after_page(self, high: int | None, trail: Trail) -> Enumeration:
        best = high if self.high is None else self.high if high is None else max(self.high, high)
        return replace(self, high=best, pages=self.pages + 1, trail=trail)

    def is_whole(self, *, filtered: bool) -> bool:
        """Whether it began at the very beginning, and no watermark limits it.

        filtered: whether the source asks by the watermark at all.
        """
        return self.first is None and (self.since is None or not filtered)

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
            "asked_at": self.asked_at,
            "first": self.first,
            "began": self.began,
            "proves": self.proves,
            "holding": self.holding,
            "sealed": self.sealed,
        }

    @classmethod
    def from_json(cls, stored: dict[str, Any]) -> Enumeration:
        """What `as_json` wrote; one that an older release began proves no absence."""
        return cls(**({"proves": False} | stored | {"trail": Trail.from_json(stored["trail"])}))
