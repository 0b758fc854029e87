"""The ticker: looks at the agenda and offers what is due to whoever carries it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from random import Random
from typing import Protocol

from penstock.clock import Clock
from penstock.model import times
from penstock.store.roles import Agenda
from penstock.store.rows import DueStream
from penstock.work.owner import dead_among
from penstock.work.task import Task

LOOK_S = 1.0
"""Between two looks: a person or a commit may make a stream due at any moment."""

DEAD_S = 5.0
"""Between two looks for dead owners of leases on this host."""

WIDE = 4
"""So many times the room is looked at, in random order: workers that look at the same moment do not
all reach for the same streams."""


class Carrier(Protocol):
    """Brings tasks to a worker."""

    @property
    def room(self) -> int:
        """How many tasks are welcome now."""

    def offer(self, task: Task) -> bool:
        """Take a task; False where it is on its way already or not wanted."""


@dataclass(slots=True)
class Ticker:
    """more: tasks of another kind that are due, at most so many; they come after the streams."""

    agenda: Agenda
    carrier: Carrier
    clock: Clock
    more: Callable[[int, int], Sequence[Task]] = lambda _now, _limit: ()
    chance: Random = field(default_factory=Random)
    looked_for_dead: float = float("-inf")

    def tick(self) -> int:
        """Offer what is due; how much was taken."""
        room = self.carrier.room
        if room <= 0:
            return 0
        now = times.microseconds(self.clock.now())
        taken = self._offer([_task(due) for due in self.due(now, room)], room)
        if taken < room:
            taken += self._offer(list(self.more(now, WIDE * room)), room - taken)
        return taken

    def due(self, now: int, room: int) -> list[DueStream]:
        """What is due, those that a dead process of this host holds among it."""
        due = self.agenda.due(now, WIDE * room)
        self.chance.shuffle(due)
        return self.left_by_the_dead(now) + due

    def left_by_the_dead(self, now: int) -> list[DueStream]:
        """Streams whose lease is not over but whose owner is, as far as this host can tell."""
        if self.clock.monotonic() - self.looked_for_dead < DEAD_S:
            return []
        self.looked_for_dead = self.clock.monotonic()
        held = self.agenda.held(now, 10_000)
        dead = dead_among(row.lease_owner for row in held)
        return [row for row in held if row.lease_owner in dead]

    def _offer(self, tasks: list[Task], room: int) -> int:
        taken = 0
        for task in tasks:
            if taken == room:
                break
            taken += self.carrier.offer(task)
        return taken


def _task(due: DueStream) -> Task:
    return Task(due.workspace, due.connection, due.stream)
