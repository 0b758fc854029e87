"""Backfills: the ledger of their partitions, and which of them may be pulled now.

Whatever changes a backfill or one of its partitions locks the backfill's row first, so that of two
partitions that end at once one is the last.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from itertools import chain, islice, zip_longest
from typing import Any

from sqlalchemy import (
    Column,
    ColumnElement,
    Connection,
    Row,
    Select,
    Table,
    and_,
    case,
    delete,
    func,
    insert,
    or_,
    select,
    update,
)

from penstock.errors import LeaseLostError
from penstock.model import times
from penstock.model.backfill import (
    BELOW,
    ENDED,
    OPEN,
    BackfillState,
    NewBackfill,
    Part,
    PartitionEnd,
    PartitionState,
    Slice,
    Step,
    Tally,
    number_of,
    partition_name,
)
from penstock.model.connection import ConnectionState
from penstock.model.outcome import COUNTER_NAMES, Counters
from penstock.model.unit import Lease
from penstock.store import json_text
from penstock.store.engines import Engines
from penstock.store.rows import DuePartition, StoredBackfill, StoredPartition
from penstock.store.tables import (
    backfill_partitions,
    backfills,
    connections,
    held_pages,
    runs,
    stream_state,
)

_PART = backfill_partitions.c
_ROW = stream_state.c
_OVER = (PartitionState.DONE, PartitionState.CANCELED)
_SUMS = [func.coalesce(func.sum(runs.c[name]), 0).label(name) for name in COUNTER_NAMES]


class SqlBackfills:
    """Role `Backfills` over the tables."""

    def __init__(self, engines: Engines) -> None:
        self._engines = engines

    def create(self, new: NewBackfill, slices: Sequence[Slice]) -> int:
        """Write a running backfill with a waiting partition for each slice; its number."""
        row = {
            "workspace": new.workspace,
            "connection": new.connection,
            "stream": new.stream,
            "from_at": new.from_at,
            "to_at": new.to_at,
            "by": new.by,
            "parallel": new.parallel,
            "state": BackfillState.RUNNING,
            "cutoff_at": new.created_at,
            "created_at": new.created_at,
        }
        with self._engines.writer.begin() as writing:
            made = writing.execute(insert(backfills).values(row).returning(backfills.c.backfill_no))
            number = int(made.scalar_one())
            writing.execute(insert(backfill_partitions), [_new(number, one) for one in slices])
        return number

    def get(self, workspace: str, backfill_no: int) -> StoredBackfill | None:
        """The backfill, None where there is none of that number."""
        wanted = select(backfills).where(
            backfills.c.workspace == workspace, backfills.c.backfill_no == backfill_no
        )
        return next(iter(self._stored(wanted)), None)

    def state(self, workspace: str, backfill_no: int) -> BackfillState | None:
        """Its state alone, None where there is none of that number."""
        row = backfills.c
        wanted = select(row.state).where(row.backfill_no == backfill_no, row.workspace == workspace)
        with self._engines.reader.connect() as reading:
            found = reading.scalar(wanted)
        return None if found is None else BackfillState(found)

    def latest(
        self, workspace: str, *, connection: str | None = None, limit: int = 50
    ) -> list[StoredBackfill]:
        """Latest first."""
        wanted = select(backfills).where(backfills.c.workspace == workspace)
        if connection is not None:
            wanted = wanted.where(backfills.c.connection == connection)
        return self._stored(wanted.order_by(backfills.c.backfill_no.desc()).limit(limit))

    def partitions(self, backfill_no: int) -> list[StoredPartition]:
        """All of them, in order."""
        wanted = _whole().where(_PART.backfill_no == backfill_no).order_by(_PART.partition)
        with self._engines.reader.connect() as reading:
            found = [_partition(row) for row in reading.execute(wanted)]
            going_on = _counted(reading, [backfill_no])
        return [
            replace(one, counters=going_on.get(one.part.partition, one.counters)) for one in found
        ]

    def due(self, now: int, limit: int, *, backfill_no: int | None = None) -> list[DuePartition]:
        """Partitions to be pulled now, in turn for each backfill: see the role."""
        with self._engines.reader.connect() as reading:
            each = [
                _due_of(reading, running, now, limit)
                for running in reading.execute(_running(backfill_no)).all()
            ]
        in_turn = chain.from_iterable(zip_longest(*each))
        return list(islice(filter(None, in_turn), limit))

    def held(self, backfill_no: int | None = None) -> list[Lease]:
        """The leases of partitions under way, living or not."""
        with self._engines.reader.connect() as reading:
            found = [
                row
                for running in reading.execute(_running(backfill_no)).all()
                for row in reading.execute(_leased(running))
            ]
        return [_lease(row) for row in found]

    def begin(self, lease: Lease, *, most_attempts: int, now: int) -> StoredPartition | None:
        """Begin an attempt, under the partition's lease: see the role."""
        with self._engines.writer.begin() as writing:
            found = _locked(writing, lease)
            if found is None:
                return None
            if not _may_begin(found, now):
                if found.state in _OVER:  # it ended while the lease was reached for
                    _forget(writing, found, _exactly(found.partition))
                return None
            reached = writing.scalar(select(_ROW.unit_no).where(_is(lease)))
            attempts = found.attempts if reached == found.reached else 0
            if attempts >= most_attempts:
                reason = f"its process died {attempts} times at the same page"
                _set(writing, found, state=PartitionState.PARKED, reason=reason, next_try_at=None)
                _conclude(writing, found.backfill_no, now)
                return None
            _set(
                writing,
                found,
                state=PartitionState.RUNNING,
                attempts=attempts + 1,
                reached=reached,
                next_try_at=None,
                started_at=now,
            )
            begun = writing.execute(_whole().where(_same(found))).one()
        return _partition(begun)

    def end(self, lease: Lease, end: PartitionEnd, *, now: int) -> None:
        """End an attempt, and with the last one the backfill: see the role."""
        with self._engines.writer.begin() as writing:
            found = _locked(writing, lease)
            ours = and_(_is(lease), _ROW.lease_owner == lease.owner, _ROW.epoch == lease.epoch)
            if found is None or writing.scalar(select(_ROW.unit_no).where(ours)) is None:
                raise LeaseLostError(
                    f"{lease.connection}/{lease.stream} {lease.partition} was taken over by "
                    "another worker, or canceled; nothing of its end was written"
                )
            _set(
                writing,
                found,
                state=end.state,
                reason=end.reason,
                attempts=0,
                failures=end.failures,
                next_try_at=end.next_try_at,
                finished_at=None if end.state in OPEN else now,
                **_sum(writing, found).as_json(),
            )
            if end.state is PartitionState.DONE:
                _forget(writing, found, _exactly(found.partition))
            _conclude(writing, found.backfill_no, now)

    def pause(self, workspace: str, backfill_no: int, *, reason: str | None) -> bool:
        """Nothing more is due. False where it is not running."""
        return self._change(
            workspace,
            backfill_no,
            from_=[BackfillState.RUNNING],
            to={"state": BackfillState.PAUSED, "reason": reason},
        )

    def resume(self, workspace: str, backfill_no: int) -> bool:
        """It runs again, with what had failed. False where it has ended."""
        stuck = (PartitionState.WAITING, PartitionState.FAILED, PartitionState.PARKED)
        again = {
            "state": PartitionState.WAITING,
            "attempts": 0,
            "failures": 0,
            "next_try_at": None,
            "finished_at": None,
        }
        return self._change(
            workspace,
            backfill_no,
            from_=[state for state in BackfillState if state not in ENDED],
            to={"state": BackfillState.RUNNING, "reason": None, "finished_at": None},
            partitions=(stuck, again),
        )

    def cancel(self, workspace: str, backfill_no: int, *, now: int) -> bool:
        """What is not done never will be. False where it has ended."""
        with self._engines.writer.begin() as writing:
            running = _lock(writing, backfill_no, workspace)
            if running is None or running.state in ENDED:
                return False
            # With the leases gone first, whoever was about to commit has, and is counted.
            _forget(writing, running, lambda name: _begins(name, partition_name(backfill_no, "")))
            counted = _counted(writing, [backfill_no])
            for partition, counters in counted.items():
                same = and_(_PART.backfill_no == backfill_no, _PART.partition == partition)
                writing.execute(
                    update(backfill_partitions).where(same).values(**counters.as_json())
                )
            ended = {"state": PartitionState.CANCELED, "finished_at": now, "next_try_at": None}
            left = and_(_PART.backfill_no == backfill_no, _PART.state != PartitionState.DONE)
            writing.execute(update(backfill_partitions).where(left).values(ended))
            canceled = {"state": BackfillState.CANCELED, "reason": None, "finished_at": now}
            _set_backfill(writing, backfill_no, canceled)
        return True

    def _change(
        self,
        workspace: str,
        backfill_no: int,
        *,
        from_: Sequence[BackfillState],
        to: dict[str, Any],
        partitions: tuple[Sequence[PartitionState], dict[str, Any]] | None = None,
    ) -> bool:
        with self._engines.writer.begin() as writing:
            found = _lock(writing, backfill_no, workspace)
            if found is None or found.state not in from_:
                return False
            _set_backfill(writing, backfill_no, to)
            if partitions is not None:
                states, values = partitions
                which = and_(_PART.backfill_no == backfill_no, _PART.state.in_(states))
                writing.execute(update(backfill_partitions).where(which).values(values))
        return True

    def _stored(self, wanted: Select[Any]) -> list[StoredBackfill]:
        with self._engines.reader.connect() as reading:
            found = reading.execute(wanted).all()
            tallies = _tallies(reading, [row.backfill_no for row in found])
        return [_backfill(row, tallies[row.backfill_no]) for row in found]


# ── what may be pulled ──


def _running(backfill_no: int | None) -> Select[Any]:
    """Running backfills of active connections, oldest first."""
    row, its = backfills.c, connections.c
    active = and_(
        its.workspace == row.workspace,
        its.name == row.connection,
        its.state == ConnectionState.ACTIVE,
    )
    wanted = select(backfills).join(connections, active).where(row.state == BackfillState.RUNNING)
    if backfill_no is not None:
        wanted = wanted.where(row.backfill_no == backfill_no)
    return wanted.order_by(row.backfill_no)


def _leased(running: Row[Any]) -> Select[Any]:
    """Rows of its partitions that somebody holds."""
    return select(stream_state).where(
        _of(stream_state, running),
        _begins(_ROW.partition, partition_name(running.backfill_no, "")),
        _ROW.partition.notlike(f"%{BELOW}%"),
        _ROW.lease_owner != "",
    )


def _due_of(reading: Connection, running: Row[Any], now: int, limit: int) -> list[DuePartition]:
    held = {row.partition for row in reading.execute(_leased(running)) if row.lease_until > now}
    room = min(running.parallel - len(held), limit)
    if room <= 0:
        return []
    come = or_(_PART.next_try_at.is_(None), _PART.next_try_at <= now)
    wanted = (
        select(_PART.partition)
        .where(_PART.backfill_no == running.backfill_no, _PART.state.in_(OPEN), come)
        .order_by(_PART.partition)
        .limit(room + len(held))
    )
    names = [name for name in reading.scalars(wanted) if name not in held]
    home = (running.workspace, running.connection, running.stream)
    return [DuePartition(*home, name) for name in names[:room]]


def _may_begin(found: Row[Any], now: int) -> bool:
    if found.backfill_state != BackfillState.RUNNING or found.state not in OPEN:
        return False
    return found.next_try_at is None or bool(found.next_try_at <= now)


# ── changing it ──


def _lock(writing: Connection, backfill_no: int, workspace: str) -> Row[Any] | None:
    """The backfill's row, nobody else's until the transaction ends."""
    row = backfills.c
    wanted = select(backfills).where(row.backfill_no == backfill_no, row.workspace == workspace)
    return writing.execute(wanted.with_for_update()).one_or_none()


def _locked(writing: Connection, lease: Lease) -> Row[Any] | None:
    """A partition with its backfill, whose row is locked; None where there is none."""
    number = number_of(lease.partition)
    if number is None or _lock(writing, number, lease.workspace) is None:
        return None
    wanted = _whole().where(_PART.backfill_no == number, _PART.partition == lease.partition)
    return writing.execute(wanted).one_or_none()


def _set(writing: Connection, found: Row[Any], **values: Any) -> None:
    writing.execute(update(backfill_partitions).where(_same(found)).values(values))


def _set_backfill(writing: Connection, backfill_no: int, values: dict[str, Any]) -> None:
    writing.execute(update(backfills).where(backfills.c.backfill_no == backfill_no).values(values))


def _conclude(writing: Connection, backfill_no: int, now: int) -> None:
    """With the last open partition the backfill has ended."""
    its = _PART.backfill_no == backfill_no
    if writing.execute(select(_PART.partition).where(its, _PART.state.in_(OPEN)).limit(1)).first():
        return
    done = func.count().filter(_PART.state == PartitionState.DONE)
    total, finished = writing.execute(select(func.count(), done).where(its)).one()
    undone = total - finished
    said = f"{undone} of {total} partitions are not done" if undone else None
    state = BackfillState.FAILED if undone else BackfillState.DONE
    _set_backfill(writing, backfill_no, {"state": state, "reason": said, "finished_at": now})


def _forget(
    writing: Connection, home: Row[Any], which: Callable[[Column[str]], ColumnElement[bool]]
) -> None:
    """Checkpoints, leases and held pages of the partitions that `which` names."""
    for table in (stream_state, held_pages):
        writing.execute(delete(table).where(_of(table, home), which(table.c.partition)))


def _exactly(partition: str) -> Callable[[Column[str]], ColumnElement[bool]]:
    """One partition, and what is below it."""
    return lambda name: or_(name == partition, _begins(name, partition + BELOW))


# ── counting ──


def _tallies(reading: Connection, numbers: Sequence[int]) -> dict[int, Tally]:
    """What the partitions of each backfill come to, those under way up to their last page."""
    took = case((_PART.state == PartitionState.DONE, _PART.finished_at - _PART.started_at), else_=0)
    sums = [func.sum(_PART[name]).label(name) for name in COUNTER_NAMES]
    wanted = (
        select(
            _PART.backfill_no,
            _PART.state,
            func.count().label("count_of_them"),
            func.sum(took).label("worked_us"),
            func.min(_PART.next_try_at).label("next_try_at"),
            *sums,
        )
        .where(_PART.backfill_no.in_(numbers))
        .group_by(_PART.backfill_no, _PART.state)
    )
    found: defaultdict[int, list[Row[Any]]] = defaultdict(list)
    for row in reading.execute(wanted):
        found[row.backfill_no].append(row)
    return {number: _tally(reading, number, found[number]) for number in numbers}


def _tally(reading: Connection, backfill_no: int, rows: Sequence[Row[Any]]) -> Tally:
    settled = [_counters(row) for row in rows if row.state != PartitionState.RUNNING]
    running = any(row.state == PartitionState.RUNNING for row in rows)
    going_on = _counted(reading, [backfill_no]).values() if running else ()
    times_to_try = [row.next_try_at for row in rows if row.next_try_at is not None]
    return Tally(
        {PartitionState(row.state): row.count_of_them for row in rows},
        sum((*settled, *going_on), Counters()),
        int(sum(row.worked_us for row in rows)),
        min(times_to_try, default=None),
    )


def _counted(reading: Connection, numbers: Iterable[int]) -> dict[str, Counters]:
    """The counts of running partitions, from their runs."""
    mine = and_(
        runs.c.workspace == backfills.c.workspace,
        runs.c.connection == backfills.c.connection,
        runs.c.stream == backfills.c.stream,
        runs.c.partition == _PART.partition,
    )
    wanted = (
        select(_PART.partition, *_SUMS)
        .join(backfills, backfills.c.backfill_no == _PART.backfill_no)
        .join(runs, mine)
        .where(_PART.backfill_no.in_(numbers), _PART.state == PartitionState.RUNNING)
        .group_by(_PART.partition)
    )
    return {row.partition: _counters(row) for row in reading.execute(wanted)}


def _sum(reading: Connection, found: Row[Any]) -> Counters:
    """What all runs of a partition did, the killed ones too."""
    row = runs.c
    its = select(*_SUMS).where(
        row.workspace == found.workspace,
        row.connection == found.connection,
        row.stream == found.stream,
        row.partition == found.partition,
    )
    return _counters(reading.execute(its).one())


# ── rows and values ──


def _whole() -> Select[Any]:
    """Partitions with what they have from their backfill."""
    of = backfills.c
    both = (of.workspace, of.connection, of.stream, of.cutoff_at, of.state.label("backfill_state"))
    joined = backfill_partitions.join(backfills, of.backfill_no == _PART.backfill_no)
    return select(backfill_partitions, *both).select_from(joined)


def _same(found: Row[Any]) -> ColumnElement[bool]:
    return and_(_PART.backfill_no == found.backfill_no, _PART.partition == found.partition)


def _is(lease: Lease) -> ColumnElement[bool]:
    return and_(
        _ROW.workspace == lease.workspace,
        _ROW.connection == lease.connection,
        _ROW.stream == lease.stream,
        _ROW.partition == lease.partition,
    )


def _of(table: Table, home: Row[Any]) -> ColumnElement[bool]:
    """Rows of the backfill's stream."""
    return and_(
        table.c.workspace == home.workspace,
        table.c.connection == home.connection,
        table.c.stream == home.stream,
    )


def _begins(name: Column[str], prefix: str) -> ColumnElement[bool]:
    """As a range, which the primary key serves."""
    return and_(name >= prefix, name < prefix[:-1] + chr(ord(prefix[-1]) + 1))


def _new(backfill_no: int, one: Slice) -> dict[str, Any]:
    return {
        "backfill_no": backfill_no,
        "partition": partition_name(backfill_no, one.label),
        "from_at": one.from_at,
        "to_at": one.to_at,
        "keys": json_text.dump(dict(one.keys)),
        "state": PartitionState.WAITING,
        "attempts": 0,
        "reached": 0,
        "failures": 0,
    } | Counters().as_json()


def _backfill(row: Row[Any], tally: Tally) -> StoredBackfill:
    fields = dict(row._mapping)
    fields["by"] = Step(row.by)
    fields["state"] = BackfillState(row.state)
    return StoredBackfill(**fields, tally=tally)


def _partition(row: Row[Any]) -> StoredPartition:
    one = Slice(row.from_at, row.to_at, json_text.load(row.keys))
    return StoredPartition(
        backfill_no=row.backfill_no,
        part=Part(row.partition, one, row.cutoff_at),
        state=PartitionState(row.state),
        reason=row.reason,
        attempts=row.attempts,
        failures=row.failures,
        next_try_at=row.next_try_at,
        started_at=row.started_at,
        finished_at=row.finished_at,
        counters=_counters(row),
    )


def _lease(row: Row[Any]) -> Lease:
    return Lease(
        row.workspace,
        row.connection,
        row.stream,
        row.lease_owner,
        row.epoch,
        times.moment(row.lease_until),
        row.partition,
    )


def _counters(row: Row[Any]) -> Counters:
    return Counters(*(int(row._mapping[name]) for name in COUNTER_NAMES))
