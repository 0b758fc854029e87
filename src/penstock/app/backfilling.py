"""Backfilling: a stream's past is cut up and written down, and pulled here or by whoever comes."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

from penstock.app.app import App, check_backfills
from penstock.errors import MendError, UsageError
from penstock.model import times
from penstock.model.backfill import NewBackfill, Step, cut, number_of, times_keys
from penstock.read.backfills import BackfillView
from penstock.sdk.past import past_of
from penstock.telemetry import event
from penstock.work.backfilling import PartitionRunner
from penstock.work.backlog import Backlog
from penstock.work.pool import Pool
from penstock.work.runner import RunReport
from penstock.work.stop import Stop, StoppableClock
from penstock.work.task import Task
from penstock.work.ticker import LOOK_S

MOST_PARALLEL = 64
SHOWN_S = 0.5
"""Between two looks at how far it has come, which cost more the more partitions there are."""

GRACE_S = 30.0
"""Time for pages under way when pulling is broken off."""

Show = Callable[[BackfillView], None]


@dataclass(frozen=True, slots=True)
class Backfilling:
    """The verbs of backfills, on the workspace of an app."""

    app: App

    def start(
        self,
        name: str,
        stream: str,
        from_: datetime,
        to: datetime | None,
        by: Step,
        *,
        keys: Sequence[tuple[str, str]] = (),
        parallel: int = 2,
    ) -> BackfillView:
        """Write a backfill of [from_, to) down; its partitions are due at once, for everybody.

        to: None for now, which is also the latest there is: what comes later is the live stream's.
        keys: pairs that limit the partitions; several values of a key make that many of each slice.
        Raises UsageError and UnknownStreamError for what cannot be pulled so.
        """
        installation = self.app.wiring.installation(name)
        check_backfills(installation.connection)
        past_of(installation.loaded.connector, stream).check(stream, {key for key, _ in keys})
        if not 1 <= parallel <= MOST_PARALLEL:
            raise UsageError(f"--parallel {parallel} must be 1 to {MOST_PARALLEL}")
        now = self.app.clock.now()
        to = now if to is None else min(to, now)
        try:
            slices = times_keys(cut(from_, to, by), keys)
        except ValueError as error:
            raise UsageError(str(error)) from error
        new = NewBackfill(
            workspace=self.app.settings.workspace,
            connection=name,
            stream=stream,
            from_at=times.microseconds(from_),
            to_at=times.microseconds(to),
            by=by,
            parallel=parallel,
            created_at=times.microseconds(now),
        )
        return self.app.read.backfill(self.app.store.backfills.create(new, slices))

    def pull(self, backfill_no: int, stop: Stop, show: Show = lambda _: None) -> BackfillView:
        """Pull a running backfill here, beside whoever else does, until nothing of it is left or
        the stop is asked for. show: told now and then.

        Raises UsageError where it does not run, and MendError for what must be changed first.
        """
        view = self.app.read.backfill(backfill_no)
        if not view.runs:
            raise UsageError(_not_running(view))
        app = self._stoppable(stop)
        with app.partitions(view.connection, stop) as runner:
            return Pulling(app, runner, stop, view, show).run()

    def run(self, task: Task, stop: Stop, crowded: Callable[[], bool]) -> RunReport | None:
        """Make an attempt at a partition. Where a person must change something first, its backfill
        is paused with that reason, and the error raised. crowded: see `PartitionRunner`."""
        try:
            with self.app.partitions(task.connection, stop, crowded) as runner:
                return runner.run(task.stream, task.partition)
        except MendError as error:
            number = number_of(task.partition)
            if number is not None:
                self.app.store.backfills.pause(task.workspace, number, reason=error.message)
            raise

    def pause(self, backfill_no: int) -> BackfillView:
        """Nothing more of it is pulled; what is under way ends at its next page.

        Raises UsageError where it does not run.
        """
        view = self.app.read.backfill(backfill_no)
        if not self.app.store.backfills.pause(
            self.app.settings.workspace, backfill_no, reason="by hand"
        ):
            raise UsageError(_not_running(view))
        return self._changed(backfill_no)

    def resume(self, backfill_no: int) -> BackfillView:
        """It runs again: what has failed or waits is due at once, each partition from its last
        page on. Raises UsageError where it has ended."""
        view = self.app.read.backfill(backfill_no)
        if not self.app.store.backfills.resume(self.app.settings.workspace, backfill_no):
            raise UsageError(f"backfill {backfill_no} is {view.state} and cannot be resumed")
        return self._changed(backfill_no)

    def cancel(self, backfill_no: int) -> BackfillView:
        """What is not done never will be; what is stored stays. Raises UsageError where it has
        ended."""
        view, now = self.app.read.backfill(backfill_no), times.microseconds(self.app.clock.now())
        workspace = self.app.settings.workspace
        if not self.app.store.backfills.cancel(workspace, backfill_no, now=now):
            raise UsageError(f"backfill {backfill_no} is {view.state} already")
        return self._changed(backfill_no)

    def _changed(self, backfill_no: int) -> BackfillView:
        view = self.app.read.backfill(backfill_no)
        event("backfill.changed", backfill=backfill_no, state=view.state)
        return view

    def _stoppable(self, stop: Stop) -> App:
        """The app with waits that the stop ends."""
        clock = StoppableClock(self.app.clock, stop)
        return replace(self.app, clock=clock, wiring=replace(self.app.wiring, clock=clock))


@dataclass(slots=True)
class Pulling:
    """One backfill, pulled by threads of this process. view: how far it has come."""

    app: App
    runner: PartitionRunner
    stop: Stop
    view: BackfillView
    show: Show
    looked: float = float("-inf")
    awake: threading.Event = field(default_factory=threading.Event)
    pool: Pool = field(init=False)
    backlog: Backlog = field(init=False)

    def __post_init__(self) -> None:
        self.pool = Pool(self._run, self.view.parallel, freed=self.awake.set)
        number = self.view.backfill_no
        self.backlog = Backlog(self.app.store.backfills, self.app.clock, number)

    def run(self) -> BackfillView:
        """Until nothing is left to pull. Whatever breaks it off, pages under way are finished."""
        try:
            while not self.stop.is_asked:
                self.awake.clear()
                self.offer()
                self.look_now_and_then()
                if self.is_over:
                    break
                self.awake.wait(LOOK_S)
        finally:
            self.stop.ask()
            self.pool.close()
            self.pool.ended(GRACE_S)
        self.look()
        return self.view

    def offer(self) -> None:
        """Give what is due to the threads that are free."""
        now = times.microseconds(self.app.clock.now())
        self.pool.offer(self.backlog.due(now, self.pool.room))

    def look_now_and_then(self) -> None:
        if not self.pool.busy or self.app.clock.monotonic() >= self.looked + SHOWN_S:
            self.look()

    def look(self) -> None:
        self.looked = self.app.clock.monotonic()
        self.view = self.app.read.backfill(self.view.backfill_no)
        self.show(self.view)

    @property
    def is_over(self) -> bool:
        """Raises UsageError or NeedsReauthError where its connection may no longer run."""
        if self.pool.busy:
            return False
        if not self.view.runs:
            return True
        workspace, name = self.app.settings.workspace, self.view.connection
        if connection := self.app.store.connections.get(workspace, name):
            check_backfills(connection)
        return False

    def _run(self, task: Task) -> None:
        self.runner.run(task.stream, task.partition)


def _not_running(view: BackfillView) -> str:
    number = view.backfill_no
    if view.state in ("paused", "failed"):
        return f"backfill {number} is {view.state}; `penstock backfills resume {number}` first"
    return f"backfill {number} is {view.state}; nothing of it is left to pull"
