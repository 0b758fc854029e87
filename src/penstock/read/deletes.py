"""Deletes that wait for a person, as they are shown."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from penstock.read import notation
from penstock.store.rows import Sweep


@dataclass(frozen=True, slots=True)
class WaitingDeletes:
    """gone: of the stream's live documents. proved_at: when the second enumeration was asked for
    that lacked them."""

    connection: str
    stream: str
    gone: int
    documents: int
    proved_at: str | None

    @classmethod
    def of(cls, sweep: Sweep) -> WaitingDeletes:
        return cls(
            connection=sweep.connection,
            stream=sweep.stream,
            gone=sweep.waiting or 0,
            documents=sweep.members or 0,
            proved_at=notation.instant(sweep.began_at),
        )

    def as_json(self) -> dict[str, Any]:
        return notation.members(self)
