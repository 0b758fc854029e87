"""The backlog: partitions of backfills that somebody may pull now, as tasks."""

from __future__ import annotations

from dataclasses import dataclass

from penstock.clock import Clock
from penstock.store.work_roles import Backfills
from penstock.work.owner import dead_among
from penstock.work.task import Task
from penstock.work.ticker import DEAD_S


@dataclass(slots=True)
class Backlog:
    """Of all running backfills, or of one."""

    backfills: Backfills
    clock: Clock
    backfill_no: int | None = None
    looked_for_dead: float = float("-inf")

    def due(self, now: int, limit: int) -> list[Task]:
        """At most so many, those that a dead process of this host holds among them and first."""
        if limit <= 0:
            return []
        due = self.backfills.due(now, limit, backfill_no=self.backfill_no)
        found = [Task(d.workspace, d.connection, d.stream, d.partition) for d in due]
        return (self.left_by_the_dead() + found)[:limit]

    def left_by_the_dead(self) -> list[Task]:
        """Partitions whose lease is not over but whose owner is."""
        if self.clock.monotonic() - self.looked_for_dead < DEAD_S:
            return []
        self.looked_for_dead = self.clock.monotonic()
        held = self.backfills.held(self.backfill_no)
        dead = dead_among(lease.owner for lease in held)
        return [
            Task(lease.workspace, lease.connection, lease.stream, lease.partition)
            for lease in held
            if lease.owner in dead
        ]
