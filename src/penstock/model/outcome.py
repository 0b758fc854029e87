"""What happened to a record, and the laws that the counts obey."""

from __future__ import annotations

from dataclasses import dataclass, fields
from enum import StrEnum


class Outcome(StrEnum):
    """What one submitted record did to the store."""

    CREATED = "created"
    UPDATED = "updated"
    UNCHANGED = "unchanged"
    STALE = "stale"
    REJECTED = "rejected"


@dataclass(frozen=True, slots=True)
class Counters:
    """Counts of one page, or of a whole run.

    Two laws hold for any of them (`balanced`):
    submitted = created + updated + unchanged + stale + rejected, always; and where records were
    fetched by a collection, fetched + extra_emits = submitted + filtered + mapping_errors.

    unmarked: of the fetched, those whose time of change could not be read. absent: deletes that two
    enumerations proved; no record told them, so they are among the extra_emits.
    """

    pages: int = 0
    fetched: int = 0
    extra_emits: int = 0
    filtered: int = 0
    mapping_errors: int = 0
    submitted: int = 0
    created: int = 0
    updated: int = 0
    unchanged: int = 0
    stale: int = 0
    rejected: int = 0
    unmarked: int = 0
    absent: int = 0

    def __add__(self, other: Counters) -> Counters:
        return Counters(*(getattr(self, n) + getattr(other, n) for n in COUNTER_NAMES))

    @property
    def balanced(self) -> bool:
        outcomes = self.created + self.updated + self.unchanged + self.stale + self.rejected
        if self.submitted != outcomes:
            return False
        if not self.fetched:
            return True
        return self.fetched + self.extra_emits == (
            self.submitted + self.filtered + self.mapping_errors
        )

    @property
    def set_aside(self) -> int:
        """Records that became dead letters."""
        return self.rejected + self.mapping_errors

    def as_json(self) -> dict[str, int]:
        return {name: getattr(self, name) for name in COUNTER_NAMES}


COUNTER_NAMES = tuple(field.name for field in fields(Counters))
