"""Re-derivation of one stream: its versions in spans, derived by a team, written by one.

Whoever derives has read today's connector; only this process writes, page by page under the
stream's lease, so a crash repeats at most a page, and repeating one changes nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any

from penstock.clock import Clock
from penstock.errors import MendError, PenstockError, StopRunError, UsageError
from penstock.model import times
from penstock.model.outcome import Counters
from penstock.model.run import NewRun, RunKind, RunState
from penstock.pipeline.brake import Brake
from penstock.pipeline.derivation import UNREADABLE, Derived, DerivedPage, Span
from penstock.pipeline.difference import Difference
from penstock.pipeline.letters import Postmaster
from penstock.pipeline.pull import LEASE, Progress
from penstock.pipeline.reading import Installation
from penstock.pipeline.unit import Frame, UnitWriter
from penstock.store.roles import Archive, Store
from penstock.telemetry import event
from penstock.work.lease import Held, take
from penstock.work.team import Team

SPAN = 1_000
"""Versions in a span: a fraction of a second, and some megabytes."""


@dataclass(frozen=True, slots=True)
class RederiveReport:
    """How a stream differs. run_no, counters: of the run that applied it, None where nothing was
    applied. processes: how many derived at once."""

    connection: str
    stream: str
    difference: Difference
    seconds: float
    processes: int
    run_no: int | None = None
    counters: Counters | None = None

    @property
    def set_aside(self) -> bool:
        """Whether records were refused, or could not be read."""
        return bool(self.difference.rejected or self.difference.untouched.get(UNREADABLE))

    def as_json(self) -> dict[str, Any]:
        return {
            "connection": self.connection,
            "stream": self.stream,
            "run": self.run_no,
            "applied": self.run_no is not None,
            **self.difference.as_json(),
            "counters": self.counters.as_json() if self.counters is not None else None,
            "processes": self.processes,
            "seconds": round(self.seconds, 4),
        }


@dataclass(slots=True)
class Rederiver:
    """One re-derivation of one stream. difference: so far, at any time."""

    store: Store
    installation: Installation
    stream: str
    team: Team
    clock: Clock
    progress: Callable[[Progress], None] | None = None
    span: int = SPAN
    difference: Difference = field(default_factory=Difference)
    counters: Counters = field(default_factory=Counters)
    units: int = 0
    began: float = 0.0
    brake: Brake = field(default_factory=Brake)

    def preview(self) -> RederiveReport:
        """Only look. Raises MendError, StopRunError, TryAgainError."""
        self.began = self.clock.monotonic()
        for derived in self.derive():
            self.add(derived.difference)
        return self.report(None)

    def apply(self, *, wait_s: float) -> RederiveReport:
        """Write what differs as new versions, under the stream's lease, counted in a run.

        Raises StreamBusyError, and what ends a run; what was written until then stays.
        """
        connection = self.installation.connection
        self.began = self.clock.monotonic()
        place = (connection.workspace, connection.name, self.stream)
        held = take(self.store.streams, *place, wait_s=wait_s, clock=self.clock)
        try:
            return self.apply_held(held)
        finally:
            self.store.streams.release(held.lease)

    def apply_held(self, held: Held) -> RederiveReport:
        """The same under a lease that the caller has taken and gives back."""
        run_no = self.store.runs.start(self.new_run(held))
        try:
            self.write_all(held, run_no)
        except PenstockError as error:
            self.finish(run_no, RunState.FAILED, error.code, error.message)
            raise
        except BaseException as error:
            self.finish(run_no, RunState.FAILED, "internal_error", repr(error))
            raise
        self.finish(run_no, RunState.DONE, None, None)
        return self.report(run_no)

    def write_all(self, held: Held, run_no: int) -> None:
        connection = self.installation.connection
        writer = UnitWriter(self.store.documents, self.store.documents.commit)
        postmaster = Postmaster(connection.workspace, connection.name, self.stream)
        for derived in self.derive():
            for page in derived.pages:
                held = self.write(held, run_no, writer, page, postmaster)
            self.add(derived.difference)

    def write(
        self,
        held: Held,
        run_no: int,
        writer: UnitWriter,
        page: DerivedPage,
        postmaster: Postmaster,
    ) -> Held:
        """One page in one transaction; the lease is prolonged with it."""
        now = self.clock.now()
        held = replace(held, lease=replace(held.lease, until=now + LEASE))
        frame = Frame(
            workspace=held.lease.workspace,
            connection=held.lease.connection,
            stream=self.stream,
            run_no=run_no,
            recorded_at=times.microseconds(now),
            lease=held.lease,
            unit_no=held.state.unit_no + self.units + 1,
        )
        counters = writer.write(page.stage(postmaster), frame)
        self.units += 1
        self.counters += counters
        event("page.rederived", stream=self.stream, **counters.as_json())
        self.brake.check(self.counters)
        return held

    def derive(self) -> Iterator[Derived]:
        """Every span's answer, in order. Raises what a worker failed of."""
        for derived in self.team.derive(spans(self.store.archive, self.span)):
            if derived.failure is not None:
                message, to_mend = derived.failure
                raise UsageError(message) if to_mend else StopRunError(message)
            yield derived

    def add(self, difference: Difference) -> None:
        self.difference += difference
        if self.progress is not None:
            seconds = self.clock.monotonic() - self.began
            self.progress(Progress(self.stream, self.difference.counters, seconds))

    def new_run(self, held: Held) -> NewRun:
        connector = self.installation.loaded.connector
        return NewRun(
            workspace=held.lease.workspace,
            connection=held.lease.connection,
            stream=self.stream,
            kind=RunKind.REDERIVE,
            connector=connector.key,
            connector_version=connector.version,
            owner=held.lease.owner,
            started_at=times.microseconds(self.clock.now()),
        )

    def finish(self, run_no: int, state: RunState, reason: str | None, message: str | None) -> None:
        self.store.runs.finish(
            run_no,
            state=state,
            reason=reason,
            message=message if message is None else message[:500],
            finished_at=times.microseconds(self.clock.now()),
            work_us=int((self.clock.monotonic() - self.began) * 1_000_000),
        )

    def report(self, run_no: int | None) -> RederiveReport:
        run = None if run_no is None else self.store.runs.get(run_no)
        return RederiveReport(
            self.installation.connection.name,
            self.stream,
            self.difference,
            self.clock.monotonic() - self.began,
            self.team.size,
            run_no,
            None if run is None else run.counters,
        )


def spans(archive: Archive, width: int) -> Iterator[Span]:
    """The versions that are there now, in spans that part no page. What is written meanwhile has
    come from today's connector."""
    last, after = archive.last(), 0
    while after < last:
        upto = min(archive.cut(min(after + width, last)), last)
        yield Span(after, upto)
        after = upto


def failed(error: PenstockError) -> Derived:
    """How a worker answers a span that it cannot derive."""
    return Derived(Difference(), failure=(error.message, isinstance(error, MendError)))
