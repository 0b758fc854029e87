"""Roles of whoever works for months: what is due, who is there to do it, who is told of it.

As in `store.roles`: what each verb returns, what is atomic, what conflicts.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from penstock.model.backfill import BackfillState, NewBackfill, PartitionEnd, Slice
from penstock.model.notice import Notice, StoredNotice
from penstock.model.unit import Lease
from penstock.store.rows import (
    DuePartition,
    DueStream,
    OverdueStream,
    PlannedStream,
    StoredBackfill,
    StoredPartition,
    WorkerRow,
)


class Backfills(Protocol):
    """Backfills and their partitions: a ledger of what is to be pulled, and what came of it.

    A partition's checkpoint and lease are a row of the streams, under its name; it goes when the
    partition is done or canceled.
    """

    def create(self, new: NewBackfill, slices: Sequence[Slice]) -> int:
        """Write a running backfill with a waiting partition for each slice; its number."""

    def get(self, workspace: str, backfill_no: int) -> StoredBackfill | None: ...

    def state(self, workspace: str, backfill_no: int) -> BackfillState | None:
        """Its state alone: asked for after every page of a partition."""

    def latest(
        self, workspace: str, *, connection: str | None = None, limit: int = 50
    ) -> list[StoredBackfill]:
        """Latest first."""

    def partitions(self, backfill_no: int) -> list[StoredPartition]:
        """All of them, in order."""

    def due(self, now: int, limit: int, *, backfill_no: int | None = None) -> list[DuePartition]:
        """Partitions to be pulled now, of all running backfills of active connections or of one.

        Those whose time has come, under no living lease; of each backfill so many that no more
        than its `parallel` are under way, in turn with other backfills.
        """

    def held(self, backfill_no: int | None = None) -> list[Lease]:
        """The leases under which partitions of running backfills are pulled, living or not; only
        their names and owners count."""

    def begin(self, lease: Lease, *, most_attempts: int, now: int) -> StoredPartition | None:
        """Begin an attempt, under the partition's lease: attempts + 1, or 1 where the attempt
        before got further than where it began. None where there is nothing to begin: paused,
        ended, not yet due, or parked just now, after `most_attempts` that died. Of a partition that
        is done or canceled the row of the streams goes, which the lease may just have made.
        """

    def end(self, lease: Lease, end: PartitionEnd, *, now: int) -> None:
        """End an attempt: state, reason and counts of the partition, and with the last open one
        the backfill's end, in one transaction. Raises LeaseLostError where the lease is another's,
        or the backfill was canceled; then nothing is written."""

    def pause(self, workspace: str, backfill_no: int, *, reason: str | None) -> bool:
        """Nothing more is due. False where it is not running."""

    def resume(self, workspace: str, backfill_no: int) -> bool:
        """It runs again, what had failed or waits for a time at once. False where it has ended."""

    def cancel(self, workspace: str, backfill_no: int, *, now: int) -> bool:
        """What is not done never will be; checkpoints and leases go, which ends whoever pulls.
        False where it has ended."""


class Agenda(Protocol):
    """What is due, by the clock that `Store.ahead` tells of.

    Only streams of active connections that nobody has paused are ever due.
    """

    def due(self, now: int, limit: int) -> list[DueStream]:
        """Streams whose time has come and that nobody holds, the longest due first."""

    def held(self, now: int, limit: int) -> list[DueStream]:
        """Streams whose time has come and that are held; their owners may be dead."""

    def next_at(self, after: int) -> int | None:
        """The next time behind `after` at which a stream will be due."""

    def overdue(self, before: int, now: int, limit: int) -> list[OverdueStream]:
        """Streams that were due before and that nobody works on now, the longest due first."""

    def planned(self) -> list[PlannedStream]:
        """Every stream that has a row, of all workspaces."""

    def plan(self, streams: Sequence[tuple[PlannedStream, int | None]]) -> None:
        """Write schedules down, each with the next run by it; one transaction.

        What is due sooner stays so, a parked stream waits for its time, a paused one has none.
        """

    def begin(self, lease: Lease, *, most_attempts: int) -> int | None:
        """Count an attempt, under the stream's lease: its number since a run last ended by itself
        or wrote a page. None, and nothing written, where it would be more than `most_attempts`, or
        the lease is another's."""

    def move(self, lease: Lease, next_run_at: int | None, was_due_at: int | None) -> None:
        """Set the next run of a stream whose run has no say about anything else."""

    def pause(self, workspace: str, connection: str, stream: str, *, now: int) -> bool:
        """No run by itself until it is resumed. False where it is paused already."""

    def resume(self, workspace: str, connection: str, stream: str, *, now: int) -> bool:
        """Due at once, whatever was missed. False where it is not paused."""

    def wake(self, workspace: str, connection: str, stream: str, *, now: int) -> bool:
        """Due now, with a clean sheet. False where it is paused."""

    def counts(self, now: int) -> tuple[int, int]:
        """How many streams have a time, and how many of those are due."""


class Workers(Protocol):
    """Who works on this database."""

    def beat(self, worker: WorkerRow, *, forget_before: int) -> None:
        """Say that a worker lives, and forget those that have not since `forget_before`."""

    def leave(self, owner: str) -> None:
        """A worker ends by itself."""

    def list(self) -> list[WorkerRow]:
        """All of them, the longest at work first."""

    def take_turn(self, what: str, *, now: int, every: int) -> bool:
        """Whether it is the caller's turn at what one of all workers does every so often.

        True where nobody has had a turn within `every` microseconds, or the clock has gone back
        since. Compare and set: of many callers one gets it.
        """


class Notices(Protocol):
    """What somebody is told: once for each cause, until it is over."""

    def open(self) -> list[StoredNotice]:
        """Those that are not over, of all workspaces, oldest first."""

    def write(self, new: Sequence[Notice]) -> None:
        """Open notices; where one of the same subject is open already, nothing is written."""

    def attempt(self, notice: StoredNotice) -> bool:
        """Count an attempt to tell it; False where another one has been made meanwhile, or it is
        over: of two callers one gets it."""

    def told(self, notice_no: int, *, now: int) -> None:
        """Somebody has been told."""

    def clear(self, notice_nos: Sequence[int], *, now: int) -> None:
        """Their causes are over: the next of the same subject is a new one."""

    def forget(self, before: int) -> int:
        """Remove those that were over before; how many."""
