"""Serving: what runs for months. Ticker, runner and chores around one app, all its workspaces."""

from __future__ import annotations

import logging
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from importlib.metadata import version
from typing import Protocol

from penstock.app import upkeep
from penstock.app.app import App
from penstock.app.backfilling import Backfilling
from penstock.app.planning import Planning
from penstock.clock import SharedClock
from penstock.errors import PenstockError, UsageError
from penstock.model import times
from penstock.model.standing import Condition, Standing
from penstock.read.service import ReadService
from penstock.store.rows import WorkerRow
from penstock.telemetry import event
from penstock.work.backlog import Backlog
from penstock.work.owner import Owner
from penstock.work.pool import Pool
from penstock.work.service import Chore, Service
from penstock.work.stop import Stop, StoppableClock
from penstock.work.task import Task
from penstock.work.ticker import LOOK_S, Ticker
from penstock.work.timetable import after_run

BEAT_S = 10.0
PLAN_S = 20.0
ADJUST_S = 300.0
FORGOTTEN_AFTER_US = 24 * 3600 * 1_000_000
"""Workers that have not been heard of for a day are no longer told of."""

MOST_WORKERS = 256

GIVE_WAY_US = 5 * 1_000_000
"""Streams that have waited so long for a worker get that of a partition at its next page."""

_SECOND_US = 1_000_000


class Runner(Protocol):
    """Runs tasks, several at once, until it is closed."""

    @property
    def busy(self) -> int:
        """How many are under way."""

    def start(self) -> None:
        """Begin to work."""

    def close(self) -> None:
        """Begin nothing more."""

    def ended(self, wait_s: float) -> bool:
        """Whether all that was under way has ended, waiting up to so many seconds for it."""


@dataclass(slots=True)
class Serving:
    """app: on any workspace; streams of all are run. workers: how many at the same time.

    queues: None to run here what is due; else the queues of a PostgreSQL database to work on,
    which all processes that do so fill and empty together. stale_s: see `Crew`.
    """

    app: App
    stop: Stop
    workers: int
    queues: Sequence[str] | None = None
    stale_s: float | None = None
    began: int = field(init=False)
    me: Owner = field(init=False, default_factory=Owner.of_this_process)
    backlog: Backlog = field(init=False)
    runner: Runner = field(init=False)
    service: Service = field(init=False)
    closers: list[Callable[[], None]] = field(init=False, default_factory=list)

    def __post_init__(self) -> None:
        if not 1 <= self.workers <= MOST_WORKERS:
            raise UsageError(f"--workers {self.workers} must be 1 to {MOST_WORKERS}")
        self.began = self._now()
        self.backlog = Backlog(self.app.store.backfills, self.app.clock)
        ticker = self._in_threads() if self.queues is None else self._over(self.queues)
        self.service = Service(ticker, self.chores(), self.app.clock, self.stop)

    def chores(self) -> list[Chore]:
        chores = [Chore("beat", BEAT_S, self.beat), Chore("plan", PLAN_S / 4, self.plan)]
        if isinstance(self.app.clock, SharedClock):
            chores.append(Chore("adjust", ADJUST_S, self.app.clock.adjust))
        return [*chores, *upkeep.chores(self.app)]

    def run(self, grace_s: float) -> bool:
        """Until the stop is asked for; True where all that was under way has ended in time."""
        self.runner.start()
        self.service.run()
        return self.close(grace_s)

    def run_once(self, grace_s: float) -> bool:
        """Until nothing is due any more, or the stop is asked for. Only without queues."""
        self._planning().plan()
        while not self.stop.is_asked:
            taken = self.service.turn()
            if not taken and not self.runner.busy and not self.service.failures:
                break
            self.service.pause()
        return self.close(grace_s)

    def close(self, grace_s: float) -> bool:
        """Wait for what is under way, then give back what leases are left."""
        self.runner.close()
        ended = self.stop.grace(self.runner.ended, grace_s, self.app.clock)
        given_back = self.app.store.streams.release_all(self.me.all_holders)
        if given_back:
            event("worker.gave_back", logging.WARNING, leases=given_back)
        self.app.store.workers.leave(str(self.me))
        upkeep.finish(self.service.chores, grace_s)
        for close in self.closers:
            close()
        return ended

    def run_task(self, task: Task) -> None:
        """Run what is due; what keeps it from running is written where the stream stands."""
        app = self.of(task.workspace)
        if task.partition:
            Backfilling(app).run(task, self.stop, self.crowded)
            return
        try:
            app.run_due(task.connection, task.stream, self.stop)
        except PenstockError as error:
            self._cannot_run(task, error)
            raise

    def crowded(self) -> bool:
        """Whether streams have been due for a while and nobody here is free to run them."""
        if self.runner.busy < self.workers:
            return False
        return bool(self.app.store.agenda.due(self._now() - GIVE_WAY_US, 1))

    def of(self, workspace: str) -> App:
        """The app on another workspace; it waits no longer than the stop lets it."""
        app = self.app
        settings = replace(app.settings, workspace=workspace)
        clock = StoppableClock(app.clock, self.stop)
        return replace(
            app,
            settings=settings,
            read=ReadService(app.store, workspace),
            clock=clock,
            wiring=replace(app.wiring, settings=settings, clock=clock),
        )

    def beat(self) -> None:
        now = self._now()
        self.app.store.workers.beat(
            WorkerRow(
                owner=str(self.me),
                kind="serve" if self.queues is None else "worker",
                version=version("penstock"),
                slots=self.workers,
                busy=self.runner.busy,
                started_at=self.began,
                beat_at=now,
            ),
            forget_before=now - FORGOTTEN_AFTER_US,
        )

    def plan(self) -> None:
        """Look at all manifests; of all workers one does that, every so often."""
        if self._is_my_turn("plan", PLAN_S):
            self._planning().plan()

    def _planning(self) -> Planning:
        return Planning(self.app.store, self.app.clock)

    def _in_threads(self) -> Ticker:
        self.runner = pool = Pool(self.run_task, self.workers, freed=self._freed)
        more = partial(self._partitions, pool)
        return Ticker(self.app.store.agenda, pool, self.app.clock, more=more)

    def _partitions(self, pool: Pool, now: int, limit: int) -> list[Task]:
        """Partitions of backfills that are due: never so many that streams find no worker free."""
        under_way = sum(1 for task in pool.tasks if task.partition)
        most = max(1, self.workers // 2)
        return self.backlog.due(now, min(limit, most - under_way))

    def _over(self, queues: Sequence[str]) -> Ticker:
        """Every worker may fill the queues, and once a second one of them does."""
        from penstock.work.crew import STALE_S, Crew
        from penstock.work.queue import Queue

        url = self.app.settings.database
        queue = Queue.open(url)
        self.closers.append(queue.close)
        stale_s = self.stale_s or STALE_S
        self.runner = Crew(url, self.run_task, self.workers, queues=queues, stale_s=stale_s)
        my_turn = partial(self._is_my_turn, "tick", LOOK_S)
        more = self.backlog.due
        return Ticker(self.app.store.agenda, queue, self.app.clock, more=more, turn=my_turn)

    def _is_my_turn(self, what: str, every_s: float) -> bool:
        every = int(every_s * _SECOND_US)
        return self.app.store.workers.take_turn(what, now=self._now(), every=every)

    def _cannot_run(self, task: Task, error: PenstockError) -> None:
        """Before its run began: no connector, no secret, no connection any more."""
        streams = self.app.store.streams
        row = streams.get(task.workspace, task.connection, task.stream)
        if row is None:
            return
        standing = after_run(
            Standing(Condition.FAILED, error.message),
            row.schedule,
            str(task),
            failures=row.failures,
            now=self._now(),
            chance=random.random(),  # noqa: S311 - spreads retries
        )
        name = (task.workspace, task.connection, task.stream)
        streams.set_standing(*name, standing, now=self._now())

    def _freed(self) -> None:
        self.service.wake()

    def _now(self) -> int:
        return times.microseconds(self.app.clock.now())
