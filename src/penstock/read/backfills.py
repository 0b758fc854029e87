"""Backfills as people see them: how far one has come, and each of its partitions."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from penstock.model.backfill import BackfillState, PartitionState, label_of
from penstock.model.outcome import Counters
from penstock.read import notation
from penstock.store.rows import StoredBackfill, StoredPartition


@dataclass(frozen=True, slots=True)
class BackfillView:
    """partitions: how many are in each state, in the order of a partition's life. seconds_left: if
    the open ones are like those that are done, None before the first. cutoff_at: what the live
    stream stored after it stays. next_try_at: of the first partition that waits for a time."""

    backfill_no: int
    connection: str
    stream: str
    from_at: str | None
    to_at: str | None
    by: str
    parallel: int
    state: str
    reason: str | None
    partitions: Mapping[str, int]
    counters: Counters
    seconds_left: float | None
    next_try_at: str | None
    cutoff_at: str | None
    created_at: str | None
    finished_at: str | None

    @classmethod
    def of(cls, row: StoredBackfill) -> BackfillView:
        left_us = row.tally.left_us(row.parallel)
        return cls(
            backfill_no=row.backfill_no,
            connection=row.connection,
            stream=row.stream,
            from_at=notation.instant(row.from_at),
            to_at=notation.instant(row.to_at),
            by=row.by.value,
            parallel=row.parallel,
            state=row.state.value,
            reason=row.reason,
            partitions={state.value: row.tally.states.get(state, 0) for state in PartitionState},
            counters=row.tally.counters,
            seconds_left=None if left_us is None else round(left_us / 1_000_000, 1),
            next_try_at=notation.instant(row.tally.next_try_at),
            cutoff_at=notation.instant(row.cutoff_at),
            created_at=notation.instant(row.created_at),
            finished_at=notation.instant(row.finished_at),
        )

    @property
    def runs(self) -> bool:
        """Whether its partitions are there to be pulled."""
        return self.state == BackfillState.RUNNING

    @property
    def total(self) -> int:
        return sum(self.partitions.values())

    @property
    def done(self) -> int:
        return self.partitions[PartitionState.DONE]

    @property
    def is_complete(self) -> bool:
        return self.state == BackfillState.DONE

    def as_json(self) -> dict[str, Any]:
        """Its counters as members, as in a run; `partitions` with their total."""
        members = _members(self, backfill_no="backfill")
        members["partitions"] = {"total": self.total, **self.partitions}
        return members


@dataclass(frozen=True, slots=True)
class PartitionView:
    """partition: its name within the backfill. attempts: begun since one last ended by itself, or
    got further than the one before it. failures: failed attempts in a row."""

    partition: str
    from_at: str | None
    to_at: str | None
    keys: Mapping[str, str]
    state: str
    reason: str | None
    attempts: int
    failures: int
    next_try_at: str | None
    started_at: str | None
    finished_at: str | None
    counters: Counters

    @classmethod
    def of(cls, row: StoredPartition) -> PartitionView:
        return cls(
            partition=label_of(row.part.partition),
            from_at=notation.instant(row.part.slice.from_at),
            to_at=notation.instant(row.part.slice.to_at),
            keys=dict(row.part.slice.keys),
            state=row.state.value,
            reason=row.reason,
            attempts=row.attempts,
            failures=row.failures,
            next_try_at=notation.instant(row.next_try_at),
            started_at=notation.instant(row.started_at),
            finished_at=notation.instant(row.finished_at),
            counters=row.counters,
        )

    def as_json(self) -> dict[str, Any]:
        """Its counters as members, as in a run."""
        return _members(self)


def _members(view: BackfillView | PartitionView, **names: str) -> dict[str, Any]:
    """A view as a JSON object, its counters flat. names: of members that are called otherwise."""
    names = {"from_at": "from", "to_at": "to"} | names
    members = {names.get(name, name): value for name, value in notation.members(view).items()}
    counters: dict[str, Any] = members.pop("counters")
    return members | counters
