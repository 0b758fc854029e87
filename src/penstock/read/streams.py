"""A stream as people see it: where it goes on, who works on it, why it stands."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from penstock.model.connection import StreamState
from penstock.read import notation


@dataclass(frozen=True, slots=True)
class StreamView:
    """cursor: the connector's own resume point. since: when the state last changed.

    lease_owner is None where nobody works on the stream.
    """

    connection: str
    stream: str
    partition: str
    state: str
    reason: str | None
    since: str | None
    cursor: Any
    enumeration: dict[str, Any] | None
    watermark: str | None
    next_run_at: str | None
    lease_owner: str | None
    lease_until: str | None
    epoch: int

    @classmethod
    def of(cls, row: StreamState) -> StreamView:
        held = bool(row.lease_owner)
        return cls(
            connection=row.connection,
            stream=row.stream,
            partition=row.partition,
            state=row.state,
            reason=row.reason,
            since=notation.instant(row.since),
            cursor=row.cursor,
            enumeration=row.enumeration,
            watermark=notation.instant(row.watermark),
            next_run_at=notation.instant(row.next_run_at),
            lease_owner=row.lease_owner if held else None,
            lease_until=notation.instant(row.lease_until) if held else None,
            epoch=row.epoch,
        )

    @classmethod
    def never_run(cls, connection: str, stream: str) -> StreamView:
        """The view of a declared stream of which the store knows nothing yet."""
        return cls(
            connection=connection,
            stream=stream,
            partition="",
            state="new",
            reason=None,
            since=None,
            cursor=None,
            enumeration=None,
            watermark=None,
            next_run_at=None,
            lease_owner=None,
            lease_until=None,
            epoch=0,
        )

    def as_json(self) -> dict[str, Any]:
        return notation.members(self)
