"""A stream as people see it: where it goes on, who works on it, why it stands."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from penstock.model.connection import Connection, ConnectionState, StreamState
from penstock.model.standing import Condition
from penstock.read import notation
from penstock.read.connections import ConnectionView


@dataclass(frozen=True, slots=True)
class StreamView:
    """cursor: the connector's own resume point. since: when the state last changed.

    lease_owner is None where nobody works on the stream. full_at: when the last complete
    enumeration of everything began. notes: what is doubtful about the cursor. schedule: by which it
    runs by itself. paused_at: when a person paused it.
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
    full_at: str | None = None
    notes: tuple[str, ...] = ()
    schedule: str | None = None
    paused_at: str | None = None

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
            full_at=notation.instant(row.full_at),
            notes=row.notes,
            schedule=row.schedule,
            paused_at=notation.instant(row.paused_at),
        )

    @classmethod
    def never_run(cls, connection: str, stream: str) -> StreamView:
        """The view of a declared stream of which the store knows nothing yet."""
        return cls(
            connection=connection,
            stream=stream,
            partition="",
            state=Condition.NEW,
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

    @property
    def standing(self) -> str:
        """State with the time that belongs to it: "parked until …", "upstream_failing since …"."""
        if self.paused_at is not None:
            return f"paused since {notation.to_the_second(self.paused_at)}"
        if self.state in (Condition.PARKED, Condition.RATE_LIMITED) and self.next_run_at:
            return f"{self.state} until {notation.to_the_second(self.next_run_at)}"
        if self.since and self.state not in (Condition.NEW, Condition.OK):
            return f"{self.state} since {notation.to_the_second(self.since)}"
        return self.state

    def under(self, connection: Connection | ConnectionView) -> StreamView:
        """The view as its connection lets it be: where that has lost its access, no stream runs."""
        if connection.state != ConnectionState.NEEDS_REAUTH:
            return self
        return replace(self, state=Condition.NEEDS_REAUTH.value, reason=connection.reason)

    def as_json(self) -> dict[str, Any]:
        return notation.members(self)
