"""Where pages come from: a collection endpoint, or a route of the author's."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, Protocol

from penstock.pipeline.enumeration import Enumeration
from penstock.pipeline.stage import Stage
from penstock.upstream.since import Since
from penstock.upstream.trail import Trail


@dataclass(frozen=True, slots=True)
class Page:
    """One page, staged. cursor: how to go on (JSON); where has_more is False, what the next run
    starts with. trail: the way so far, this page's following one included. watermark: microseconds,
    where the route names one itself. hold: it belongs to an update that counts only as a whole, and
    that goes on. again_in: how long to wait before the next page."""

    stage: Stage
    cursor: Any
    has_more: bool
    trail: Trail = field(default_factory=Trail)
    watermark: int | None = None
    hold: bool = False
    again_in: timedelta | None = None


class Source(Protocol):
    """Yields staged pages; each is committed before the next one is asked for."""

    @property
    def since(self) -> Since | None: ...

    @property
    def filtered(self) -> bool:
        """Whether it asks by the watermark, so that what did not change is not shown."""

    def pages(self, cursor: Any, enumeration: Enumeration) -> Generator[Page, None, None]:
        """From the cursor of the last committed page, None for the first page."""
