"""The agenda: which streams are due, by one index in order of time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import ColumnElement, and_, case, func, null, or_, select, update

from penstock.model.connection import ConnectionState
from penstock.model.standing import Condition
from penstock.model.unit import Lease
from penstock.store.engines import Engines
from penstock.store.rows import DueStream, OverdueStream, PlannedStream
from penstock.store.tables import connections, stream_state

_ROW = stream_state.c
_NAME = (_ROW.workspace, _ROW.connection, _ROW.stream)
_STREAM_OF_ACTIVE = stream_state.join(
    connections,
    and_(
        connections.c.workspace == _ROW.workspace,
        connections.c.name == _ROW.connection,
        connections.c.state == ConnectionState.ACTIVE,
    ),
)
_KEY = ("workspace", "connection", "stream", "partition")
_NEW = {
    "partition": "",
    "lease_owner": "",
    "lease_until": 0,
    "epoch": 0,
    "unit_no": 0,
    "state": Condition.NEW,
    "attempts": 0,
    "failures": 0,
}


class SqlAgenda:
    """Role `Agenda` over the tables."""

    def __init__(self, engines: Engines) -> None:
        self._engines = engines

    def due(self, now: int, limit: int) -> list[DueStream]:
        """Streams whose time has come and that nobody holds, the longest due first."""
        return self._found(or_(_ROW.lease_owner == "", _ROW.lease_until <= now), now, limit)

    def held(self, now: int, limit: int) -> list[DueStream]:
        """Streams whose time has come and that are held; their owners may be dead."""
        return self._found(and_(_ROW.lease_owner != "", _ROW.lease_until > now), now, limit)

    def overdue(self, before: int, now: int, limit: int) -> list[OverdueStream]:
        """Streams that were due before and that nobody works on now, the longest due first."""
        wanted = (
            select(*_NAME, _ROW.schedule, _ROW.next_run_at)
            .select_from(_STREAM_OF_ACTIVE)
            .where(_ROW.next_run_at < before, _ROW.partition == "", _ROW.paused_at.is_(None))
            .where(or_(_ROW.lease_owner == "", _ROW.lease_until <= now))
            .order_by(_ROW.next_run_at)
            .limit(limit)
        )
        with self._engines.reader.connect() as reading:
            return [OverdueStream(*row) for row in reading.execute(wanted)]

    def next_at(self, after: int) -> int | None:
        """The next time behind `after` at which a stream will be due."""
        soonest = select(_ROW.next_run_at).where(_ROW.next_run_at > after)
        with self._engines.reader.connect() as reading:
            return reading.scalar(soonest.order_by(_ROW.next_run_at).limit(1))

    def planned(self) -> list[PlannedStream]:
        """Every stream that has a row, with the schedule that its next run was reckoned by."""
        wanted = select(*_NAME, _ROW.schedule).where(_ROW.partition == "")
        with self._engines.reader.connect() as reading:
            return [PlannedStream(*row) for row in reading.execute(wanted)]

    def plan(self, streams: Sequence[tuple[PlannedStream, int | None]]) -> None:
        """Write schedules down, each with the next run by it; one transaction.

        What is due sooner stays so, a parked stream waits for its time, a paused one has none.
        """
        row = self._engines.upsert(stream_state)
        planned = row.excluded.next_run_at
        waits = or_(_ROW.state == Condition.PARKED, _ROW.state == Condition.RATE_LIMITED)
        kept = or_(waits, _ROW.next_run_at < planned)
        due = case((_ROW.paused_at.is_not(None), null()), (kept, _ROW.next_run_at), else_=planned)
        changed = {"schedule": row.excluded.schedule, "next_run_at": due}
        planning = row.on_conflict_do_update(index_elements=_KEY, set_=changed)
        rows = [_NEW | stream._asdict() | {"next_run_at": at} for stream, at in streams]
        with self._engines.writer.begin() as writing:
            writing.execute(planning, rows)

    def begin(self, lease: Lease, *, most_attempts: int) -> int | None:
        """Count an attempt, under the stream's lease: its number since a run last ended by itself
        or wrote a page. None, and nothing written, where it would be more than `most_attempts`, or
        the lease is another's."""
        count = (
            update(stream_state)
            .where(_is(lease.workspace, lease.connection, lease.stream))
            .where(_ROW.lease_owner == lease.owner, _ROW.epoch == lease.epoch)
            .where(_ROW.attempts < most_attempts)
            .values(attempts=_ROW.attempts + 1)
            .returning(_ROW.attempts)
        )
        with self._engines.writer.begin() as writing:
            counted: int | None = writing.scalar(count)
        return counted

    def move(self, lease: Lease, next_run_at: int | None, was_due_at: int | None) -> None:
        """Set the next run of a stream whose run has no say about anything else."""
        with self._engines.writer.begin() as writing:
            writing.execute(
                update(stream_state)
                .where(_is(lease.workspace, lease.connection, lease.stream))
                .where(_ROW.next_run_at.is_not_distinct_from(was_due_at))
                .values(next_run_at=next_run_at, attempts=0)
            )

    def pause(self, workspace: str, connection: str, stream: str, *, now: int) -> bool:
        """No run by itself until it is resumed. False where it is paused already."""
        values = {"paused_at": now, "next_run_at": None}
        return self._set_unpaused(workspace, connection, stream, values)

    def resume(self, workspace: str, connection: str, stream: str, *, now: int) -> bool:
        """Due at once, whatever was missed. False where it is not paused."""
        resumed = (
            update(stream_state)
            .where(_is(workspace, connection, stream), _ROW.paused_at.is_not(None))
            .values(paused_at=None, next_run_at=now, attempts=0)
        )
        with self._engines.writer.begin() as writing:
            return writing.execute(resumed).rowcount == 1

    def wake(self, workspace: str, connection: str, stream: str, *, now: int) -> bool:
        """Due now, with a clean sheet. False where it is paused."""
        values = {"next_run_at": now, "attempts": 0, "failures": 0}
        return self._set_unpaused(workspace, connection, stream, values)

    def counts(self, now: int) -> tuple[int, int]:
        """How many streams have a time, and how many of those are due."""
        wanted = select(func.count(), func.count().filter(_ROW.next_run_at <= now)).where(
            _ROW.next_run_at.is_not(None)
        )
        with self._engines.reader.connect() as reading:
            planned, due = reading.execute(wanted).one()
        return planned, due

    def _set_unpaused(
        self, workspace: str, connection: str, stream: str, values: Mapping[str, int | None]
    ) -> bool:
        row = self._new(workspace, connection, stream, values)
        change = row.on_conflict_do_update(
            index_elements=_KEY, set_=values, where=_ROW.paused_at.is_(None)
        ).returning(_ROW.stream)
        with self._engines.writer.begin() as writing:
            return writing.execute(change).one_or_none() is not None

    def _new(self, workspace: str, connection: str, stream: str, values: Mapping[str, Any]) -> Any:
        name = {"workspace": workspace, "connection": connection, "stream": stream}
        return self._engines.upsert(stream_state).values(_NEW | name | dict(values))

    def _found(self, held: ColumnElement[bool], now: int, limit: int) -> list[DueStream]:
        wanted = (
            select(*_NAME, _ROW.next_run_at, _ROW.lease_owner)
            .select_from(_STREAM_OF_ACTIVE)
            .where(_ROW.next_run_at <= now, _ROW.partition == "", _ROW.paused_at.is_(None), held)
            .order_by(_ROW.next_run_at)
            .limit(limit)
        )
        with self._engines.reader.connect() as reading:
            return [DueStream(*row) for row in reading.execute(wanted)]


def _is(workspace: str, connection: str, stream: str) -> ColumnElement[bool]:
    return and_(
        _ROW.workspace == workspace,
        _ROW.connection == connection,
        _ROW.stream == stream,
        _ROW.partition == "",
    )
