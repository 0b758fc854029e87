"""Serving: what runs for months. Ticker, pool and chores around one app, for all its workspaces."""

from __future__ import annotations

import logging
import random
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from importlib.metadata import version

from penstock.app import upkeep
from penstock.app.app import App
from penstock.app.backfilling import Backfilling
from penstock.clock import SharedClock
from penstock.errors import PenstockError, UsageError
from penstock.model import times
from penstock.model.connection import Connection
from penstock.model.standing import Condition, Standing
from penstock.read.service import ReadService
from penstock.sdk import loader
from penstock.sdk.connector import Connector
from penstock.store.rows import PlannedStream, WorkerRow
from penstock.telemetry import event
from penstock.work.backlog import Backlog
from penstock.work.owner import Owner
from penstock.work.pool import Pool
from penstock.work.service import Chore, Service
from penstock.work.sources import polls
from penstock.work.stop import Stop, StoppableClock
from penstock.work.task import Task
from penstock.work.ticker import Ticker
from penstock.work.timetable import after_run, next_slot

BEAT_S = 10.0
PLAN_S = 15.0
ADJUST_S = 300.0
FORGOTTEN_AFTER_US = 24 * 3600 * 1_000_000
"""Workers that have not been heard of for a day are no longer told of."""

MOST_WORKERS = 256


@dataclass(slots=True)
class Serving:
    """app: on any workspace; streams of all are run. kind: what the process calls itself."""

    app: App
    stop: Stop
    workers: int
    kind: str = "serve"
    began: int = field(init=False)
    me: Owner = field(init=False, default_factory=Owner.of_this_process)
    pool: Pool = field(init=False)
    backlog: Backlog = field(init=False)
    service: Service = field(init=False)

    def __post_init__(self) -> None:
        if not 1 <= self.workers <= MOST_WORKERS:
            raise UsageError(f"--workers {self.workers} must be 1 to {MOST_WORKERS}")
        clock = self.app.clock
        self.began = self._now()
        self.pool = Pool(self.run_task, self.workers, freed=self._freed)
        self.backlog = Backlog(self.app.store.backfills, clock)
        ticker = Ticker(self.app.store.agenda, self.pool, clock, more=self.partitions)
        self.service = Service(ticker, self.chores(), clock, self.stop)

    def chores(self) -> list[Chore]:
        chores = [Chore("beat", BEAT_S, self.beat), Chore("plan", PLAN_S, self.plan)]
        if isinstance(self.app.clock, SharedClock):
            chores.append(Chore("adjust", ADJUST_S, self.app.clock.adjust))
        return [*chores, *upkeep.chores(self.app)]

    def run(self, grace_s: float) -> bool:
        """Until the stop is asked for; True where all that was under way has ended in time."""
        self.service.run()
        return self.close(grace_s)

    def run_once(self, grace_s: float) -> bool:
        """Until nothing is due any more, or the stop is asked for."""
        while not self.stop.is_asked:
            self.service.awake.clear()
            taken = self.service.turn()
            if not taken and not self.pool.busy and not self.service.failures:
                break
            self.service.pause(self.service.pause_s)
        return self.close(grace_s)

    def close(self, grace_s: float) -> bool:
        """Wait for what is under way, then give back what leases are left."""
        ended = self.pool.close(grace_s)
        owners = "/".join((self.me.host, self.me.boot, str(self.me.pid), self.me.started, ""))
        given_back = self.app.store.streams.release_all(owners)
        if given_back:
            event("worker.gave_back", logging.WARNING, leases=given_back, after_s=grace_s)
        self.app.store.workers.leave(str(self.me))
        upkeep.finish(self.service.chores, grace_s)
        return ended

    def run_task(self, task: Task) -> None:
        """Run what is due; what keeps it from running is written where the stream stands."""
        app = self.of(task.workspace)
        if task.partition:
            Backfilling(app).run(task, self.stop)
            return
        try:
            app.run_due(task.connection, task.stream, self.stop)
        except PenstockError as error:
            self._cannot_run(task, error)
            raise

    def partitions(self, now: int, limit: int) -> list[Task]:
        """Partitions of backfills that are due: never so many that streams find no worker free."""
        under_way = sum(1 for task in self.pool.tasks if task.partition)
        most = max(1, self.workers // 2)
        return self.backlog.due(now, min(limit, most - under_way))

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
                kind=self.kind,
                version=version("penstock"),
                slots=self.workers,
                busy=self.pool.busy,
                started_at=self.began,
                beat_at=now,
            ),
            forget_before=now - FORGOTTEN_AFTER_US,
        )

    def plan(self) -> None:
        """Give every stream the schedule of its manifest. A new stream is due at once."""
        agenda = self.app.store.agenda
        known = {tuple(row[:3]): row.schedule for row in agenda.planned()}
        connectors = _loader()
        changed = [
            (stream, self._first(stream, is_new=stream[:3] not in known))
            for connection in self.app.store.connections.list()
            for stream in _scheduled(connection, connectors(connection.target))
            if known.get(stream[:3]) != stream.schedule
        ]
        if changed:
            agenda.plan(changed)

    def _first(self, stream: PlannedStream, *, is_new: bool) -> int | None:
        if stream.schedule is None:
            return None
        now = self._now()
        return now if is_new else next_slot(stream.schedule, "/".join(stream[:3]), now)

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


def _loader() -> Callable[[str], Connector | None]:
    """Connectors by their target, each loaded once; None for one that cannot be."""
    loaded: dict[str, Connector | None] = {}

    def connector(target: str) -> Connector | None:
        if target not in loaded:
            try:
                loaded[target] = loader.load(target).connector
            except PenstockError as error:
                event("connector.unloadable", logging.WARNING, target=target, reason=error.code)
                loaded[target] = None
        return loaded[target]

    return connector


def _scheduled(connection: Connection, connector: Connector | None) -> Iterable[PlannedStream]:
    """The polls of a connection, with the schedules they should have."""
    if connector is None:
        return
    for key in polls(connector):
        schedule = connector.stream(key).schedule
        yield PlannedStream(connection.workspace, connection.name, key, schedule)
