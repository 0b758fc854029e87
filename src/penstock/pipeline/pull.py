"""The loop over pages: stage, decide, commit, go on. A crash anywhere repeats one page at most."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from email.utils import parsedate_to_datetime

from penstock.clock import Clock
from penstock.model import times
from penstock.model.connection import StreamState
from penstock.model.outcome import Counters
from penstock.model.rejection import rejected
from penstock.model.unit import Checkpoint, ClosedLetter, Lease, LetterState, NewLetter, UnitOfWork
from penstock.pipeline.brake import Brake
from penstock.pipeline.collection import UnreadablePageError
from penstock.pipeline.enumeration import Enumeration
from penstock.pipeline.letters import Postmaster
from penstock.pipeline.route import RefusedRouteError
from penstock.pipeline.source import Page, Source
from penstock.pipeline.unit import Frame, UnitWriter
from penstock.store.roles import Letters
from penstock.telemetry import event

LEASE = timedelta(seconds=180)
"""Longer than one request may take with all its retries; prolonged by every commit."""


@dataclass(frozen=True, slots=True)
class Start:
    """What a run was asked for. full: ignore watermark and resume point; since: begin there."""

    full: bool = False
    since: int | None = None


@dataclass(frozen=True, slots=True)
class Progress:
    """After each committed page. seconds: since the run's first request."""

    stream: str
    counters: Counters
    seconds: float


@dataclass(slots=True)
class Pull:
    """One run of one stream under one lease.

    observing: decide everything, commit nothing. counters and work_seconds are true at any time,
    also after an exception.
    """

    lease: Lease
    state: StreamState
    run_no: int
    source: Source
    writer: UnitWriter
    postmaster: Postmaster
    letters: Letters
    clock: Clock
    observing: bool = False
    brake: Brake = field(default_factory=Brake)
    progress: Callable[[Progress], None] | None = None
    counters: Counters = field(default_factory=Counters)
    work_seconds: float = 0.0

    def run(self, start: Start) -> None:
        """Pull until the source has no more. Raises what stops a run; commits are kept."""
        began = self.clock.monotonic()
        enumeration, cursor = self.resume(start)
        watermark = self.state.watermark
        try:
            with closing(self.source.pages(cursor, enumeration)) as pages:
                for page in pages:
                    enumeration = self.advance(enumeration, page)
                    self.commit(page, self.checkpoint(page, enumeration, watermark))
                    self.work_seconds = self.clock.monotonic() - began
                    self.report()
                    self.brake.check(self.counters)
        except UnreadablePageError as error:
            self.keep_page(error)
            raise error.refusal from error
        except RefusedRouteError as error:
            self.keep(error.refused.letter)
            raise error.refused.error from error

    def resume(self, start: Start) -> tuple[Enumeration, object]:
        """The enumeration to go on with and its cursor, or a new one from the watermark."""
        state = self.state
        asked = start.full or start.since is not None
        if state.enumeration is not None and not asked:
            return Enumeration.from_json(state.enumeration), state.cursor
        since = start.since if start.since is not None else state.watermark
        enumeration = Enumeration(
            started_at=times.microseconds(self.clock.now()),
            since=None if start.full else since,
            full=start.full,
        )
        return enumeration, None if asked else state.cursor

    def advance(self, enumeration: Enumeration, page: Page) -> Enumeration:
        """The enumeration with this page in it; its first page tells the source's own time."""
        if enumeration.pages == 0 and page.stage.responses:
            told = source_time(page.stage.responses[0].headers.get("date", ""))
            if told is not None:
                enumeration = replace(enumeration, started_at=min(told, enumeration.started_at))
        return enumeration.after_page(page.stage.high, page.trail)

    def checkpoint(self, page: Page, enumeration: Enumeration, watermark: int | None) -> Checkpoint:
        if page.has_more:
            return Checkpoint(page.cursor, enumeration.as_json(), watermark)
        reached = enumeration.watermark(watermark, self.source.since, page.watermark)
        return Checkpoint(page.cursor, None, reached)

    def commit(self, page: Page, checkpoint: Checkpoint) -> None:
        """Decide the page and write it with its checkpoint, in one transaction."""
        now = self.clock.now()
        self.lease = replace(self.lease, until=now + LEASE)
        unit_no = self.state.unit_no + self.counters.pages + 1
        frame = Frame(
            workspace=self.lease.workspace,
            connection=self.lease.connection,
            stream=self.lease.stream,
            run_no=self.run_no,
            recorded_at=times.microseconds(now),
            lease=self.lease,
            unit_no=unit_no,
            checkpoint=checkpoint,
            closed=self.closed_letters(),
        )
        counters = self.writer.write(page.stage, frame)
        self.counters += counters
        event("page.committed", stream=self.lease.stream, **counters.as_json())

    def closed_letters(self) -> tuple[ClosedLetter, ...]:
        """With the first page of a run that can be read, an older unreadable one is history."""
        if self.counters.pages:
            return ()
        return (ClosedLetter(self.postmaster.page_letter_id, LetterState.SUPERSEDED),)

    def report(self) -> None:
        if self.progress is not None:
            self.progress(Progress(self.lease.stream, self.counters, self.work_seconds))

    def keep_page(self, error: UnreadablePageError) -> None:
        """Keep the bytes of a response that could not be read; the checkpoint stays."""
        rejection = rejected(error.refusal.code, error.refusal.message)
        body, received_at = error.response.body, error.response.received_at
        self.keep(self.postmaster.page_letter(rejection, body, times.microseconds(received_at)))

    def keep(self, letter: NewLetter) -> None:
        """Write one letter by itself: nothing else of its page is stored."""
        if self.observing:
            return
        unit = UnitOfWork(
            workspace=self.lease.workspace,
            connection=self.lease.connection,
            stream=self.lease.stream,
            run_no=self.run_no,
            recorded_at=times.microseconds(self.clock.now()),
            letters=(letter,),
        )
        self.letters.write(unit)


def source_time(date_header: str) -> int | None:
    """Microseconds of an HTTP Date header, None where it is absent or unreadable."""
    try:
        told = parsedate_to_datetime(date_header)
    except (TypeError, ValueError):
        return None
    return times.microseconds(told) if isinstance(told, datetime) and told.tzinfo else None
