"""The backlog: partitions of backfills that somebody may pull now, as tasks."""

from __future__ import annotations

from dataclasses import dataclass, field

from penstock.clock import Clock
from penstock.store.work_roles import Backfills
from penstock.work.obituary import Obituary
from penstock.work.task import Task


@dataclass(slots=True)
class Backlog:
    """Of all running backfills, or of one."""

    backfills: Backfills
    clock: Clock
    backfill_no: int | None = None
    obituary: Obituary = field(init=False)

    def __post_init__(self) -> None:
        self.obituary = Obituary(self.clock)

    def due(self, now: int, limit: int) -> list[Task]:
        """At most so many, those that a dead process of this host holds among them and first."""
        if limit <= 0:
            return []
        due = self.backfills.due(now, limit, backfill_no=self.backfill_no)
        found = [Task(d.workspace, d.connection, d.stream, d.partition) for d in due]
        return (self.left_by_the_dead() + found)[:limit]

    def left_by_the_dead(self) -> list[Task]:
        """Partitions whose lease is not over but whose owner is."""
        left = self.obituary.read(
            lambda: self.backfills.held(self.backfill_no), lambda lease: lease.owner
        )
        return [
            Task(lease.workspace, lease.connection, lease.stream, lease.partition) for lease in left
        ]
