"""One line of the provider's database: a record, how it is shown, and what it must lead to."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum

import msgspec

from penstock.simulator.calendar import OPENED, unix
from penstock.simulator.faults import Fault, Shape
from penstock.simulator.record import Record

Key = tuple[int, str]
"""Order of every listing: the stamp in Unix seconds, then the id as shown."""

_ENCODER = msgspec.json.Encoder(decimal_format="number")


class Fate(StrEnum):
    """What a reader must do with a record as it is shown."""

    ACCEPTED = "accepted"
    FILTERED = "filtered"
    SET_ASIDE = "set_aside"


@dataclass(frozen=True, slots=True)
class Entry:
    """versions: how many a reader has by now that looked after every change; 0 if none."""

    record: Record
    updated_at: datetime
    fault: Fault | None = None
    versions: int = 0

    @property
    def fate(self) -> Fate:
        if self.fault:
            return Fate.SET_ASIDE
        return Fate.FILTERED if self.record.test else Fate.ACCEPTED

    def shown(self, updated_at: datetime) -> Shape:
        shape = self.record.shape(updated_at)
        return self.fault.spoil(shape) if self.fault else shape

    def rendered(self) -> tuple[Key, bytes]:
        """Where the record stands in its listing, and its bytes."""
        shape = self.shown(self.updated_at)
        data = _ENCODER.encode(shape)
        if self.fault:
            data = self.fault.spoil_bytes(data)
        return (unix(self.updated_at), shape["id"]), data

    def same_content(self, other: Entry) -> bool:
        """Whether both show the same, whenever they were touched."""
        return self.shown(OPENED) == other.shown(OPENED)

    @classmethod
    def after(
        cls, last: Entry | None, record: Record, fault: Fault | None, updated_at: datetime
    ) -> Entry:
        """The entry that follows `last` (None: the record is new).

        One version more where the content is accepted and not the one of the last version.
        """
        entry = cls(record, updated_at, fault, last.versions if last else 0)
        same = last is not None and last.versions and last.same_content(entry)
        if entry.fate is not Fate.ACCEPTED or same:
            return entry
        return replace(entry, versions=entry.versions + 1)
