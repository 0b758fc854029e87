"""The obituary: who of those that hold something is certainly dead, looked up now and then."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

from penstock.clock import Clock
from penstock.work.owner import dead_among

LOOK_S = 5.0
"""Between two looks: each asks the system about every process that holds something."""

T = TypeVar("T")


@dataclass(slots=True)
class Obituary:
    """Reads only about this host: of others nothing is certain."""

    clock: Clock
    looked: float = float("-inf")

    def read(self, held: Callable[[], Sequence[T]], owner_of: Callable[[T], str]) -> list[T]:
        """Those rows of what is held whose owner is dead; none where it has just been looked."""
        if self.clock.monotonic() - self.looked < LOOK_S:
            return []
        self.looked = self.clock.monotonic()
        rows = held()
        dead = dead_among(map(owner_of, rows))
        return [row for row in rows if owner_of(row) in dead]
