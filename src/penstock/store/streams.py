"""Streams: resume points and leases, one row for each stream and partition."""

from __future__ import annotations

from typing import Any

from sqlalchemy import (
    ColumnElement,
    Executable,
    Row,
    and_,
    case,
    func,
    literal,
    null,
    or_,
    select,
    update,
)

from penstock.errors import StreamBusyError
from penstock.model import times
from penstock.model.connection import StreamState
from penstock.model.standing import Condition, Standing
from penstock.model.unit import Checkpoint, Lease
from penstock.store import json_text
from penstock.store.engines import Engines
from penstock.store.tables import Number, stream_state

_KEY = ("workspace", "connection", "stream", "partition")
_UNTOUCHED = {
    "lease_owner": "",
    "lease_until": 0,
    "epoch": 0,
    "unit_no": 0,
    "state": Condition.NEW,
    "attempts": 0,
    "failures": 0,
}


class SqlStreams:
    """Role `Streams` over the tables. Every change is one statement that compares and sets."""

    def __init__(self, engines: Engines) -> None:
        self._engines = engines

    def get(
        self, workspace: str, connection: str, stream: str, partition: str = ""
    ) -> StreamState | None:
        """The stream's row, None before its first use."""
        key = (workspace, connection, stream, partition)
        with self._engines.reader.connect() as reading:
            row = reading.execute(select(stream_state).where(_is(*key))).one_or_none()
        return _state(row) if row else None

    def unwell(self) -> list[StreamState]:
        """Streams of all workspaces whose condition is neither ok nor new, partitions left out."""
        row = stream_state.c
        return self._found(row.partition == "", row.state.not_in((Condition.OK, Condition.NEW)))

    def held(self) -> list[StreamState]:
        """Streams and partitions of all workspaces under a lease, living or not."""
        return self._found(stream_state.c.lease_owner != "")

    def _found(self, *asked: ColumnElement[bool]) -> list[StreamState]:
        wanted = select(stream_state).where(*asked)
        wanted = wanted.order_by(*(stream_state.c[name] for name in _KEY))
        with self._engines.reader.connect() as reading:
            return [_state(row) for row in reading.execute(wanted)]

    def list(self, workspace: str, connection: str | None = None) -> list[StreamState]:
        """All rows, in order of connection, stream and partition."""
        wanted = select(stream_state).where(stream_state.c.workspace == workspace)
        if connection is not None:
            wanted = wanted.where(stream_state.c.connection == connection)
        wanted = wanted.order_by(*(stream_state.c[name] for name in _KEY))
        with self._engines.reader.connect() as reading:
            return [_state(row) for row in reading.execute(wanted)]

    def conditions(self) -> dict[tuple[str, str], int]:
        """(workspace, condition) to the number of streams, partitions left out."""
        row = stream_state.c
        wanted = select(row.workspace, row.state, func.count()).where(row.partition == "")
        with self._engines.reader.connect() as reading:
            found = reading.execute(wanted.group_by(row.workspace, row.state))
            return {(workspace, state): number for workspace, state, number in found}

    def claim(self, lease: Lease, *, now: int, held_by: str | None = None) -> StreamState | None:
        """Take the lease if it is free, run out, or still held by `held_by`; else None."""
        row = stream_state.c
        taken = {"lease_owner": lease.owner, "lease_until": times.microseconds(lease.until)}
        claim = (
            self._engines.upsert(stream_state)
            .values(_UNTOUCHED | _key_of(lease) | taken | {"epoch": 1})
            .on_conflict_do_update(
                index_elements=_KEY,
                set_=taken | {"epoch": row.epoch + 1},
                where=or_(
                    row.lease_owner == "", row.lease_until <= now, row.lease_owner == held_by
                ),
            )
            .returning(stream_state)
        )
        with self._engines.writer.begin() as writing:
            claimed = writing.execute(claim).one_or_none()
        return _state(claimed) if claimed else None

    def release(self, lease: Lease) -> bool:
        """Give the lease back if it is still ours (owner and epoch). True if it was."""
        row = stream_state.c
        ours = and_(
            _is(lease.workspace, lease.connection, lease.stream, lease.partition),
            row.lease_owner == lease.owner,
            row.epoch == lease.epoch,
        )
        free = update(stream_state).where(ours).values(lease_owner="", lease_until=0)
        with self._engines.writer.begin() as writing:
            return writing.execute(free).rowcount == 1

    def release_all(self, owners: str) -> int:
        """Give back every lease whose owner's name begins so; how many. Whoever still works under
        one of them writes nothing more."""
        row = stream_state.c
        free = (
            update(stream_state)
            .where(row.lease_owner.startswith(owners, autoescape=True))
            .values(lease_owner="", lease_until=0)
        )
        with self._engines.writer.begin() as writing:
            return writing.execute(free).rowcount

    def set_checkpoint(
        self, workspace: str, connection: str, stream: str, checkpoint: Checkpoint, *, now: int
    ) -> None:
        """Overwrite the resume point by hand; raises StreamBusyError under a running lease.

        The epoch moves on, so that a worker whose lease ran out cannot write over it.
        """
        row = stream_state.c
        key = (workspace, connection, stream, "")
        point = {
            "cursor": json_text.dump(checkpoint.cursor),
            "enumeration": json_text.dump(checkpoint.enumeration),
            "watermark": checkpoint.watermark,
        }
        overwrite = (
            self._engines.upsert(stream_state)
            .values(_UNTOUCHED | dict(zip(_KEY, key, strict=True)) | point)
            .on_conflict_do_update(
                index_elements=_KEY,
                set_=point | {"lease_owner": "", "lease_until": 0, "epoch": row.epoch + 1},
                where=or_(row.lease_owner == "", row.lease_until <= now),
            )
            .returning(row.epoch)
        )
        with self._engines.writer.begin() as writing:
            if writing.execute(overwrite).one_or_none() is None:
                holder = writing.execute(select(stream_state).where(_is(*key))).one()
                raise StreamBusyError(
                    f"{connection}/{stream} is being run by {holder.lease_owner}; its checkpoint "
                    "can be set when that run has ended",
                    owner=holder.lease_owner,
                    until=times.moment(holder.lease_until),
                )

    def note(self, workspace: str, connection: str, stream: str, notes: tuple[str, ...]) -> None:
        """What is doubtful about the stream's cursor, in place of what was noted before."""
        noted = update(stream_state).where(_is(workspace, connection, stream, ""))
        with self._engines.writer.begin() as writing:
            writing.execute(noted.values(notes=json_text.dump(notes)))

    def set_standing(
        self,
        workspace: str,
        connection: str,
        stream: str,
        standing: Standing,
        *,
        now: int,
        partition: str = "",
    ) -> None:
        """One condition, one reason, one next run; `since` moves only with the condition."""
        with self._engines.writer.begin() as writing:
            key = (workspace, connection, stream, partition)
            writing.execute(told(self._engines, key, standing, now=now))


def told(
    engines: Engines,
    key: tuple[str, str, str, str],
    standing: Standing,
    *,
    now: int,
    next_run_at: ColumnElement[int | None] | None = None,
) -> Executable:
    """The statement that writes a standing, for whoever has a transaction open.

    next_run_at: in place of the standing's, for a row that is there already.
    """
    row = stream_state.c
    said = {
        "state": standing.condition,
        "reason": standing.reason,
        "failures": standing.failures,
        "attempts": 0,
    }
    moved = {"since": case((row.state == standing.condition, row.since), else_=now)}
    new = {"since": now, "next_run_at": standing.next_run_at}
    due = standing.next_run_at if next_run_at is None else next_run_at
    return (
        engines.upsert(stream_state)
        .values(_UNTOUCHED | dict(zip(_KEY, key, strict=True)) | new | said)
        .on_conflict_do_update(index_elements=_KEY, set_=said | moved | {"next_run_at": due})
    )


def due_after_run(standing: Standing, was_due_at: int | None) -> ColumnElement[int | None]:
    """The next run as a run's end leaves it. was_due_at: the stream's next_run_at when it began.

    What woke the stream meanwhile stays, unless the run ended so that the stream has to wait; a
    paused one has none.
    """
    row = stream_state.c
    planned: ColumnElement[int | None] = literal(standing.next_run_at, Number)
    unchanged = row.next_run_at.is_not_distinct_from(was_due_at)
    due = planned
    if standing.condition == Condition.OK or standing.next_run_at is None:
        due = case((unchanged, planned), else_=func.coalesce(row.next_run_at, planned))
    return case((row.paused_at.is_not(None), null()), else_=due)


def _is(workspace: str, connection: str, stream: str, partition: str) -> ColumnElement[bool]:
    row = stream_state.c
    return and_(
        row.workspace == workspace,
        row.connection == connection,
        row.stream == stream,
        row.partition == partition,
    )


def _key_of(lease: Lease) -> dict[str, str]:
    return {name: getattr(lease, name) for name in _KEY}


def _state(row: Row[Any]) -> StreamState:
    fields = dict(row._mapping)
    fields["cursor"] = json_text.load(row.cursor)
    fields["enumeration"] = json_text.load(row.enumeration)
    fields["notes"] = tuple(json_text.load(row.notes) or ())
    return StreamState(**fields)
