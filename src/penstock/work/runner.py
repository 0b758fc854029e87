"""Running one stream: lease, run row, pull, and one honest ending, whatever happened."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from penstock.clock import Clock
from penstock.errors import LeaseLostError, ParkedError, PenstockError
from penstock.model import times
from penstock.model.outcome import Counters
from penstock.model.run import NewRun, RunKind, RunState
from penstock.model.unit import UnitOfWork
from penstock.pipeline.letters import Postmaster
from penstock.pipeline.pull import Progress, Pull, Start
from penstock.pipeline.reading import Installation
from penstock.pipeline.source import Source
from penstock.pipeline.unit import UnitWriter
from penstock.store.roles import Store
from penstock.telemetry import event
from penstock.work.lease import Held, take

SourceMaker = Callable[[str, Postmaster, int, bool], Source]
"""(stream, postmaster, run number, observing) to the stream's source."""


@dataclass(frozen=True, slots=True)
class RunReport:
    """How a run of one stream ended. work_seconds: from the first request to the last commit."""

    run_no: int
    connection: str
    stream: str
    kind: RunKind
    state: RunState
    reason: str | None
    message: str | None
    counters: Counters
    work_seconds: float

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
        }


@dataclass(frozen=True, slots=True)
class StreamRunner:
    """Runs the streams of one connection, one after the other."""

    store: Store
    installation: Installation
    make_source: SourceMaker
    clock: Clock
    observing: bool = False

    def run(
        self,
        stream: str,
        start: Start,
        *,
        wait_s: float,
        progress: Callable[[Progress], None] | None = None,
    ) -> RunReport:
        """Run one stream to its end. What stops it is in the report; nothing expected is raised.

        Raises StreamBusyError where a living worker has the stream, and what is broken in us.
        """
        connection = self.installation.connection
        held = take(
            self.store.streams,
            connection.workspace,
            connection.name,
            stream,
            wait_s=wait_s,
            clock=self.clock,
        )
        try:
            return self._run_held(held, start, progress)
        finally:
            self.store.streams.release(held.lease)

    def _run_held(
        self, held: Held, start: Start, progress: Callable[[Progress], None] | None
    ) -> RunReport:
        run = self._new_run(held, start)
        run_no = self.store.runs.start(run)
        postmaster = Postmaster(run.workspace, run.connection, run.stream)
        stopped: PenstockError | None = None
        pull: Pull | None = None
        try:
            source = self.make_source(run.stream, postmaster, run_no, self.observing)
            pull = self._pull(held, run_no, source, postmaster, progress)
            pull.run(start)
        except PenstockError as error:
            stopped = error
        except BaseException as error:
            self._finish(run, run_no, pull, RunState.FAILED, "internal_error", repr(error)[:500])
            raise
        return self._end(run, run_no, pull, stopped)

    def _new_run(self, held: Held, start: Start) -> NewRun:
        connector = self.installation.loaded.connector
        lease = held.lease
        now = times.microseconds(self.clock.now())
        kind = RunKind.FULL if start.full else RunKind.POLL
        return NewRun(
            workspace=lease.workspace,
            connection=lease.connection,
            stream=lease.stream,
            kind=RunKind.OBSERVE if self.observing else kind,
            connector=connector.key,
            connector_version=connector.version,
            owner=lease.owner,
            started_at=now,
        )

    def _pull(
        self,
        held: Held,
        run_no: int,
        source: Source,
        postmaster: Postmaster,
        progress: Callable[[Progress], None] | None,
    ) -> Pull:
        lease = held.lease
        self.store.runs.interrupt(
            lease.workspace,
            lease.connection,
            lease.stream,
            now=times.microseconds(self.clock.now()),
            except_run=run_no,
        )
        commit = _keep_nothing if self.observing else self.store.documents.commit
        return Pull(
            lease=lease,
            state=held.state,
            run_no=run_no,
            source=source,
            writer=UnitWriter(self.store.documents, commit),
            postmaster=postmaster,
            letters=self.store.letters,
            clock=self.clock,
            observing=self.observing,
            progress=progress,
        )

    def _end(
        self, run: NewRun, run_no: int, pull: Pull | None, stopped: PenstockError | None
    ) -> RunReport:
        state = RunState.DONE if stopped is None else RunState.FAILED
        reason = stopped.code if stopped else None
        message = stopped.message if stopped else None
        if pull is not None and not pull.counters.balanced:
            state, reason = RunState.FAILED, "internal_error"
            message = f"the counts do not balance: {pull.counters}"
        self._finish(run, run_no, pull, state, reason, message)
        if not isinstance(stopped, LeaseLostError):
            self._set_stream_state(run, stopped, reason, message)
        return RunReport(
            run_no,
            run.connection,
            run.stream,
            run.kind,
            state,
            reason,
            message,
            pull.counters if pull else Counters(),
            pull.work_seconds if pull else 0.0,
        )

    def _finish(
        self,
        run: NewRun,
        run_no: int,
        pull: Pull | None,
        state: RunState,
        reason: str | None,
        message: str | None,
    ) -> None:
        counters = pull.counters if pull and self.observing else None
        self.store.runs.finish(
            run_no,
            state=state,
            reason=reason,
            message=message,
            finished_at=times.microseconds(self.clock.now()),
            work_us=int((pull.work_seconds if pull else 0) * 1_000_000),
            counters=counters,
        )
        event("run.finished", connection=run.connection, stream=run.stream, state=state)

    def _set_stream_state(
        self, run: NewRun, stopped: PenstockError | None, reason: str | None, message: str | None
    ) -> None:
        """One state and one reason for the stream, for everybody who looks."""
        if self.observing:
            return
        parked = stopped if isinstance(stopped, ParkedError) else None
        self.store.streams.set_state(
            run.workspace,
            run.connection,
            run.stream,
            state="parked" if parked else "failed" if reason else "ok",
            reason=message if reason else None,
            now=times.microseconds(self.clock.now()),
            next_run_at=times.microseconds(parked.until) if parked else None,
        )


def _keep_nothing(unit: UnitOfWork) -> None:
    """The commit of observation mode."""
