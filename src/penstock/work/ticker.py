"""The ticker: looks at the agenda and offers what is due to whoever carries it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from random import Random
from typing import Protocol

from penstock.clock import Clock
from penstock.model import times
from penstock.store.rows import DueStream
from penstock.store.work_roles import Agenda
from penstock.work.obituary import Obituary
from penstock.work.task import Task

LOOK_S = 1.0
"""Between two looks: a person or a commit may make a stream due at any moment."""

WIDE = 4
"""So many times the room is looked at, in random order: workers that look at the same moment do not
all reach for the same streams."""

MOST_HELD = 10_000
"""Leases whose owners are looked up at once."""


class Carrier(Protocol):
    """Brings tasks to a worker."""

    @property
    def room(self) -> int:
        """How many tasks are welcome now, at most."""

    def offer(self, tasks: Sequence[Task]) -> int:
        """Take tasks, in order, as many as there is room for, and none that is on its way already;
        how many were taken."""


@dataclass(slots=True)
class Ticker:
    """more: tasks of another kind that are due, at most so many; they come after the streams.

    turn: where many tickers fill one carrier, whether it is this one's turn to look.
    """

    agenda: Agenda
    carrier: Carrier
    clock: Clock
    more: Callable[[int, int], Sequence[Task]] = lambda _now, _limit: ()
    turn: Callable[[], bool] = lambda: True
    chance: Random = field(default_factory=Random)
    obituary: Obituary = field(init=False)

    def __post_init__(self) -> None:
        self.obituary = Obituary(self.clock)

    def tick(self) -> int:
        """Offer what is due; how much was taken."""
        now = times.microseconds(self.clock.now())
        # Only this host can tell its dead: they are looked for whosever turn it is.
        taken = self._offer(_tasks(self.left_by_the_dead(now)))
        room = self.carrier.room if self.turn() else 0
        if room <= 0:
            return taken
        taken += self._offer(_tasks(self.due(now, room)))
        if taken < room:  # streams come first, and leave room or not
            taken += self._offer(self.more(now, WIDE * room))
        return taken

    def due(self, now: int, room: int) -> list[DueStream]:
        """Some of what has been due longest, in random order."""
        due = self.agenda.due(now, WIDE * room)
        self.chance.shuffle(due)
        return due

    def left_by_the_dead(self, now: int) -> list[DueStream]:
        """Streams whose lease is not over but whose owner is, as far as this host can tell."""
        return self.obituary.read(
            lambda: self.agenda.held(now, MOST_HELD), lambda row: row.lease_owner
        )

    def _offer(self, tasks: Sequence[Task]) -> int:
        return self.carrier.offer(tasks) if tasks else 0


def _tasks(streams: Sequence[DueStream]) -> list[Task]:
    return [Task(due.workspace, due.connection, due.stream) for due in streams]
