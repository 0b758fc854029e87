"""Running one stream: lease, run row, pull, and one honest ending, whatever happened."""

from __future__ import annotations

import logging
import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Protocol

from penstock.clock import Clock
from penstock.errors import LeaseLostError, PenstockError, StreamBusyError
from penstock.model import times
from penstock.model.backfill import BELOW, Part
from penstock.model.identity import from_text
from penstock.model.outcome import Counters
from penstock.model.run import NewRun, RunKind, RunState
from penstock.model.standing import Condition, Standing
from penstock.model.unit import Lease, UnitOfWork
from penstock.pipeline.letters import Postmaster
from penstock.pipeline.pull import Progress, Pull, Start
from penstock.pipeline.reading import Installation
from penstock.pipeline.source import Source
from penstock.pipeline.sweep import Sweeper
from penstock.pipeline.unit import UnitWriter
from penstock.pipeline.watch import DriftWatch
from penstock.store.roles import Store
from penstock.telemetry import about, event
from penstock.vault.redaction import NOTHING_HIDDEN, Redactor
from penstock.work.children import Children, Parent
from penstock.work.due import what_is_due
from penstock.work.ending import Ending
from penstock.work.lease import Held, give_back, take
from penstock.work.timetable import MOST_ATTEMPTS, after_run


class SourceMaker(Protocol):
    """Makes the source of a stream."""

    def __call__(
        self, stream: str, postmaster: Postmaster, run_no: int, observing: bool
    ) -> Source: ...

    def below(self, parent: Mapping[str, Any]) -> SourceMaker:
        """The same for the children of one parent."""

    def within(self, part: Part) -> SourceMaker:
        """The same for a part of a backfill."""


@dataclass(frozen=True, slots=True)
class RunReport:
    """How a run of one stream ended. work_seconds: from the first request to the last commit.

    counters: those of the stored run (of what was decided, in observation). run_no: None where
    another worker held the stream, so that no run came to be. notes: what is doubtful about the
    stream's cursor, and what waits for a person; sentences. stopped: the error that ended it.
    """

    run_no: int | None
    connection: str
    stream: str
    kind: RunKind
    state: RunState
    reason: str | None
    message: str | None
    counters: Counters
    work_seconds: float
    notes: tuple[str, ...] = ()
    stopped: PenstockError | None = None

    @property
    def failed(self) -> bool:
        return self.state is not RunState.DONE

    def as_json(self) -> dict[str, Any]:
        """The counters' names carry would_ where nothing was committed."""
        prefix = "would_" if self.kind is RunKind.OBSERVE else ""
        counters = self.counters.as_json()
        outcomes = ("created", "updated", "unchanged", "stale", "rejected")
        return {
            "run": self.run_no,
            "connection": self.connection,
            "stream": self.stream,
            "kind": self.kind,
            "state": self.state,
            "reason": self.reason,
            "message": self.message,
            **{(prefix + n if n in outcomes else n): c for n, c in counters.items()},
            "work_seconds": round(self.work_seconds, 4),
            "notes": list(self.notes),
        }


@dataclass(frozen=True, slots=True)
class StreamRunner:
    """Runs the streams of one connection, one after the other. redact: takes the connection's
    secrets out of what is kept and told.

    part: of a backfill, that is run in place of a stream as it is now; see `within`. between_pages:
    see `Pull`.
    """

    store: Store
    installation: Installation
    make_source: SourceMaker
    clock: Clock
    observing: bool = False
    redact: Redactor = NOTHING_HIDDEN
    part: Part | None = None
    between_pages: Callable[[], None] | None = None

    def within(self, part: Part, between_pages: Callable[[], None]) -> StreamRunner:
        """The same for a part of a backfill, which moves neither watermark nor standing."""
        make_source = self.make_source.within(part)
        return replace(self, make_source=make_source, part=part, between_pages=between_pages)

    def run(
        self,
        stream: str,
        start: Start,
        *,
        wait_s: float,
        progress: Callable[[Progress], None] | None = None,
    ) -> RunReport:
        """Run one stream to its end. What stops it is in the report; nothing expected is raised.

        A stream that a living worker holds for longer than `wait_s` is told as failed by
        `stream_busy`, its owner named. Raises what is broken in us.
        """
        connection = self.installation.connection
        try:
            held = take(
                self.store.streams,
                connection.workspace,
                connection.name,
                stream,
                wait_s=wait_s,
                clock=self.clock,
            )
        except StreamBusyError as busy:
            return self._not_run(stream, start, busy)
        try:
            return self.run_held(held, start, progress)
        finally:
            give_back(self.store.streams, held.lease)

    def run_due(self, stream: str) -> RunReport | None:
        """Run a stream that the agenda calls due; None where it is not, or not for us.

        The lease decides: of all who were told, one gets it, and finds it due or lets it go. A
        stream whose process died too often is parked instead. Raises what is broken in us.
        """
        connection = self.installation.connection
        name = (connection.workspace, connection.name, stream)
        try:
            held = take(self.store.streams, *name, wait_s=0, clock=self.clock)
        except StreamBusyError:
            return None
        try:
            if not self._is_due(held):
                return None
            if self.store.agenda.begin(held.lease, most_attempts=MOST_ATTEMPTS) is None:
                self._park_for_good(held)
                return None
            return self.run_held(held, Start())
        finally:
            give_back(self.store.streams, held.lease)

    def _is_due(self, held: Held) -> bool:
        due = held.state.next_run_at
        now = times.microseconds(self.clock.now())
        return due is not None and due <= now and held.state.paused_at is None

    def _park_for_good(self, held: Held) -> None:
        """Written while the lease is ours; a lost one leaves it to its new owner."""
        lease, now = held.lease, times.microseconds(self.clock.now())
        standing = Standing(
            Condition.FAILED,
            f"its process died {MOST_ATTEMPTS} times in a row at the same page; `penstock streams "
            f"run-now {lease.connection} {lease.stream}` tries again",
        )
        self.store.streams.set_standing(
            lease.workspace, lease.connection, lease.stream, standing, now=now
        )
        event(
            "stream.poisoned",
            logging.ERROR,
            connection=lease.connection,
            stream=lease.stream,
            attempts=MOST_ATTEMPTS,
        )

    def _not_run(self, stream: str, start: Start, busy: StreamBusyError) -> RunReport:
        return RunReport(
            None,
            self.installation.connection.name,
            stream,
            self._kind(start),
            RunState.FAILED,
            busy.code,
            busy.message,
            Counters(),
            0.0,
        )

    def run_held(
        self, held: Held, start: Start, progress: Callable[[Progress], None] | None = None
    ) -> RunReport:
        """The same under a lease that the caller has taken and gives back."""
        start = self._due(held, start)
        run = self._new_run(held, start)
        run_no = self.store.runs.start(run)
        home = {"workspace": run.workspace, "connection": run.connection, "stream": run.stream}
        with about(**home, run=run_no):
            event("run.started", kind=run.kind.value, partition=run.partition)
            return self._run_begun(held, run, run_no, start, progress)

    def _run_begun(
        self,
        held: Held,
        run: NewRun,
        run_no: int,
        start: Start,
        progress: Callable[[Progress], None] | None,
    ) -> RunReport:
        postmaster = Postmaster(run.workspace, run.connection, run.stream, partition=run.partition)
        stopped: PenstockError | None = None
        pull: Pull | Children | None = None
        try:
            pull = self._work(held, run_no, postmaster, progress)
            pull.run(start)
        except PenstockError as error:
            error.args = (self.redact(error.message), *error.args[1:])
            stopped = error
        except BaseException as error:
            told = self.redact(repr(error))[:500]
            self._finish(held, run_no, pull, self._ending(PenstockError(told)))
            raise
        return self._end(held, run, run_no, pull, stopped)

    def _work(
        self,
        held: Held,
        run_no: int,
        postmaster: Postmaster,
        progress: Callable[[Progress], None] | None,
    ) -> Pull | Children:
        """The pull of a stream, or those of a child stream's parents."""
        mapping = self.installation.loaded.connector.mappings.get(postmaster.stream)
        endpoint = mapping.endpoint if mapping is not None else None
        watch = self._watch(held.lease, run_no)
        if endpoint is None or endpoint.parent is None:
            source = self.make_source(postmaster.stream, postmaster, run_no, self.observing)
            return self._pull(held, run_no, source, postmaster, progress, watch)

        def pull_of(held: Held, parent: Parent, show: Callable[[Progress], None]) -> Pull:
            make = self.make_source.below(parent.payload)
            own = replace(postmaster, parent_id=from_text(parent.key))
            source = make(own.stream, own, run_no, self.observing)
            return self._pull(held, run_no, source, own, show, watch)

        return Children(
            self.store,
            self.installation,
            endpoint,
            held,
            run_no,
            pull_of,
            watch,
            self.clock,
            observing=self.observing,
            progress=progress,
            between=self.between_pages,
            prefix=self.part.partition + BELOW if self.part is not None else "",
        )

    def _new_run(self, held: Held, start: Start) -> NewRun:
        connector = self.installation.loaded.connector
        lease = held.lease
        now = times.microseconds(self.clock.now())
        return NewRun(
            workspace=lease.workspace,
            connection=lease.connection,
            stream=lease.stream,
            kind=self._kind(start),
            connector=connector.key,
            connector_version=connector.version,
            owner=lease.owner,
            started_at=now,
            partition=lease.partition,
        )

    def _kind(self, start: Start) -> RunKind:
        if self.observing:
            return RunKind.OBSERVE
        if self.part is not None:
            return RunKind.BACKFILL
        if start.confirmed:
            return RunKind.DELETES
        return RunKind.FULL if start.full else RunKind.POLL

    def _pull(
        self,
        held: Held,
        run_no: int,
        source: Source,
        postmaster: Postmaster,
        progress: Callable[[Progress], None] | None,
        watch: DriftWatch,
    ) -> Pull:
        lease = held.lease
        self.store.runs.interrupt(
            lease.workspace,
            lease.connection,
            lease.stream,
            now=times.microseconds(self.clock.now()),
            except_run=run_no,
            partition=postmaster.partition,
        )
        commit = _keep_nothing if self.observing else self.store.documents.commit
        return Pull(
            lease=lease,
            state=held.state,
            run_no=run_no,
            source=source,
            writer=UnitWriter(self.store.documents, commit, self.redact),
            postmaster=postmaster,
            letters=self.store.letters,
            held_pages=self.store.held_pages,
            watch=watch,
            clock=self.clock,
            sweeper=self._sweeper(postmaster),
            observing=self.observing,
            cutoff_at=self.part.cutoff_at if self.part is not None else None,
            between_pages=self.between_pages,
            progress=progress,
        )

    def _watch(self, lease: Lease, run_no: int) -> DriftWatch:
        return DriftWatch(
            self.store.shapes,
            self.installation.loaded.connector,
            lease.workspace,
            lease.connection,
            lease.stream,
            run_no,
            self.redact,
            blind=self.part is not None,
        )

    def _sweeper(self, postmaster: Postmaster) -> Sweeper | None:
        mapping = self.installation.loaded.connector.mappings.get(postmaster.stream)
        if mapping is None or mapping.endpoint is None or not mapping.endpoint.sweeps:
            return None
        if self.part is not None:
            return None
        return Sweeper(self.installation, postmaster, self.store.sweeps)

    def _due(self, held: Held, start: Start) -> Start:
        """What was asked for, or a full run where one is due."""
        if self.part is not None:
            return start
        connector, key = self.installation.loaded.connector, held.lease.stream
        mapping = connector.mappings.get(key)
        since = mapping.endpoint.since if mapping is not None and mapping.endpoint else None
        return what_is_due(start, held.state, connector.stream(key), since, self.clock.now())

    def _end(
        self,
        held: Held,
        run: NewRun,
        run_no: int,
        pull: Pull | Children | None,
        stopped: PenstockError | None,
    ) -> RunReport:
        counters = self._counters(run_no, pull)
        if not counters.balanced:
            stopped = PenstockError(f"the counts do not balance: {counters}")
        ending = self._ending(stopped)
        self._finish(held, run_no, pull, ending)
        return RunReport(
            run_no,
            run.connection,
            run.stream,
            run.kind,
            ending.state,
            ending.reason,
            ending.message,
            counters,
            pull.work_seconds if pull else 0.0,
            self._noted(held, pull),
            stopped,
        )

    def _ending(self, stopped: PenstockError | None) -> Ending:
        return Ending.of(stopped, times.microseconds(self.clock.now()))

    def _noted(self, held: Held, pull: Pull | Children | None) -> tuple[str, ...]:
        """What the run has to say beside its counts, kept with the stream where it is lasting."""
        if pull is None or self.part is not None:
            return ()
        lease = held.lease
        if pull.notes is not None and not self.observing and pull.notes != held.state.notes:
            self.store.streams.note(lease.workspace, lease.connection, lease.stream, pull.notes)
            for note in pull.notes:
                event("cursor.doubtful", logging.WARNING, stream=lease.stream, note=note)
        return (*(pull.notes or ()), *pull.waiting, *pull.watch.notes)

    def _counters(self, run_no: int, pull: Pull | Children | None) -> Counters:
        """What the run came to: the pull misses a page whose commit gave no answer, its row not."""
        if self.observing:
            return pull.counters if pull else Counters()
        run = self.store.runs.get(run_no)
        assert run is not None  # begun by this very worker
        return run.counters

    def _finish(
        self, held: Held, run_no: int, pull: Pull | Children | None, ending: Ending
    ) -> None:
        """The run's end and its stream's standing; an observation has no say about the stream, but
        when it is run again."""
        now, was_due_at = times.microseconds(self.clock.now()), held.state.next_run_at
        standing = self._planned(held, ending, now) if self.part is None else None
        if ending.reason == LeaseLostError.code:
            event(
                "lease.lost",
                logging.WARNING,
                connection=held.lease.connection,
                stream=held.lease.stream,
                partition=held.lease.partition,
                epoch=held.lease.epoch,
            )
        self.store.runs.finish(
            run_no,
            state=ending.state,
            reason=ending.reason,
            message=ending.message,
            finished_at=now,
            work_us=int((pull.work_seconds if pull else 0) * 1_000_000),
            counters=pull.counters if pull and self.observing else None,
            standing=None if self.observing else standing,
            was_due_at=was_due_at,
        )
        if self.observing and standing is not None:
            self.store.agenda.move(held.lease, standing.next_run_at, was_due_at)
        event(
            "run.finished",
            connection=held.lease.connection,
            stream=held.lease.stream,
            state=ending.state.value,
            reason=ending.reason,
            seconds=round(pull.work_seconds, 6) if pull else 0.0,
        )

    def _planned(self, held: Held, ending: Ending, now: int) -> Standing | None:
        """The standing with its next run by the manifest's schedule of today."""
        if ending.standing is None:
            return None
        lease = held.lease
        return after_run(
            ending.standing,
            self.installation.loaded.connector.stream(lease.stream).schedule,
            "/".join((lease.workspace, lease.connection, lease.stream)),
            failures=held.state.failures,
            now=now,
            chance=random.random(),  # noqa: S311 - spreads retries
        )


def _keep_nothing(unit: UnitOfWork) -> None:
    """The commit of observation mode."""
