"""The loop over pages: stage, decide, commit, go on. A crash anywhere repeats one page at most."""

from __future__ import annotations

import logging
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Any

from penstock.clock import Clock
from penstock.errors import CursorExpiredError, ParkedError
from penstock.model import times
from penstock.model.connection import StreamState
from penstock.model.outcome import Counters
from penstock.model.rejection import rejected
from penstock.model.unit import (
    Checkpoint,
    ClosedLetter,
    Lease,
    LetterState,
    NewLetter,
    Seal,
    UnitOfWork,
)
from penstock.pipeline import held
from penstock.pipeline.brake import Brake
from penstock.pipeline.cleansing import cleansed
from penstock.pipeline.collection import UnreadablePageError
from penstock.pipeline.enumeration import Enumeration
from penstock.pipeline.letters import Postmaster
from penstock.pipeline.lint import CursorLint
from penstock.pipeline.route import RefusedRouteError
from penstock.pipeline.source import Page, Source
from penstock.pipeline.sweep import Sweeper
from penstock.pipeline.unit import Frame, UnitWriter
from penstock.pipeline.watch import DriftWatch
from penstock.store.roles import HeldPages, Letters
from penstock.telemetry import event

LEASE = timedelta(seconds=180)
"""Longer than one request may take with all its retries; prolonged by every commit."""

UPDATE_RESTARTS = 5
"""How often in a run an update whose pages are held may begin again."""


@dataclass(frozen=True, slots=True)
class Start:
    """What a run was asked for. full: ignore watermark and resume point; since: begin there.
    confirmed: fetch nothing, and make the deletes that wait to be confirmed."""

    full: bool = False
    since: int | None = None
    confirmed: bool = False


@dataclass(frozen=True, slots=True)
class Progress:
    """After each committed page. seconds: since the run's first request."""

    stream: str
    counters: Counters
    seconds: float


@dataclass(slots=True)
class Pull:
    """One run of one stream under one lease.

    observing: decide everything, commit nothing. cutoff_at: of a backfill, see `Stage.come_before`.
    between_pages: asked after each page that another one follows; raises what ends the run there.
    counters and work_seconds are those of the commits
    that answered, at any time, also after an exception. sweeper: of a stream whose deletes are
    proven by absence. enumeration, cursor: where the run stands. notes: what the enumeration showed
    to be doubtful about the cursor, None while it is not complete.
    """

    lease: Lease
    state: StreamState
    run_no: int
    source: Source
    writer: UnitWriter
    postmaster: Postmaster
    letters: Letters
    held_pages: HeldPages
    watch: DriftWatch
    clock: Clock
    sweeper: Sweeper | None = None
    observing: bool = False
    cutoff_at: int | None = None
    between_pages: Callable[[], None] | None = None
    brake: Brake = field(default_factory=Brake)
    progress: Callable[[Progress], None] | None = None
    counters: Counters = field(default_factory=Counters)
    work_seconds: float = 0.0
    notes: tuple[str, ...] | None = None
    waiting: tuple[str, ...] = ()
    enumeration: Enumeration = field(init=False)
    cursor: Any = None
    units: int = 0
    restarts: int = 0
    settled: Counters = field(default_factory=Counters)
    began: float = 0.0
    lint: CursorLint = field(default_factory=CursorLint)

    def run(self, start: Start) -> None:
        """Pull until the source has no more. Raises what stops a run; commits are kept."""
        self.began = self.clock.monotonic()
        if not start.confirmed:
            self.check_drift()
            self.resume(start)
            self.read_on()
            self.check_drift()
        self.sweep(confirmed=start.confirmed)

    def resume(self, start: Start) -> None:
        """Stand where the last run stopped, or before a new enumeration from the watermark."""
        state = self.state
        asked = start.full or start.since is not None
        if state.enumeration is not None and not asked:
            self.enumeration, self.cursor = Enumeration.from_json(state.enumeration), state.cursor
            return
        since = start.since if start.since is not None else state.watermark
        since = None if start.full else since
        self.stand_before(since, None if asked else state.cursor, full=start.full)

    def stand_before(self, since: int | None, cursor: Any, *, full: bool) -> None:
        """Stand before the first page of a new enumeration."""
        now = times.microseconds(self.clock.now())
        self.enumeration = Enumeration(
            started_at=now,
            since=since,
            full=full,
            asked_at=now,
            first=cursor,
            began=self.next_unit,
        )
        self.cursor = cursor

    def read_on(self) -> None:
        """To the last page, beginning again where the provider asks for that."""
        while True:
            try:
                self.read_pages()
                return
            except CursorExpiredError as expired:
                self.begin_again(expired)
            except UnreadablePageError as error:
                self.keep_page(error)
                raise error.refusal from error
            except RefusedRouteError as error:
                self.keep(error.refused.letter)
                raise error.refused.error from error

    def read_pages(self) -> None:
        if self.enumeration.sealed and self.apply_held():
            return
        with closing(self.source.pages(self.cursor, self.enumeration)) as pages:
            for page in pages:
                self.take(page)
        whole = self.enumeration.is_whole(filtered=self.source.filtered)
        self.notes = self.lint.notes(self.source.since, whole=whole)

    def take(self, page: Page) -> None:
        """Commit a page, or keep it until its update is complete."""
        self.advance(page)
        goes_on = page.hold and page.has_more
        if self.observing:
            self.observe(page, holding=goes_on)
        elif goes_on:
            self.hold(page, sealed=False)
        elif self.enumeration.holding:
            self.hold(page, sealed=True)
            self.apply_held()
        else:
            self.commit(page, self.checkpoint(page))
        self.check_drift()
        if page.again_in is not None:
            raise self.parked(page.again_in)
        if page.has_more and self.between_pages is not None:
            self.between_pages()

    def check_drift(self) -> None:
        """Raises PausedByDriftError where drift waits to be accepted and the stream for that."""
        if not self.observing:
            self.watch.check()

    def advance(self, page: Page) -> None:
        """The enumeration with this page in it; its first page tells the source's own time."""
        enumeration, stage = self.enumeration, page.stage
        if enumeration.pages == 0 and stage.responses:
            told = source_time(stage.responses[0].headers.get("date", ""))
            self.lint.see_clock(told, stage.received_at)
            if told is not None:
                enumeration = replace(enumeration, started_at=min(told, enumeration.started_at))
        proves = enumeration.proves and not stage.nameless
        proves = proves and not any(response.skipped for response in stage.responses)
        self.enumeration = replace(enumeration, proves=proves).after_page(stage.high, page.trail)
        self.cursor = page.cursor

    def checkpoint(self, page: Page) -> Checkpoint:
        enumeration, watermark = self.enumeration, self.state.watermark
        if page.has_more:
            return Checkpoint(page.cursor, enumeration.as_json(), watermark)
        whole = enumeration.is_whole(filtered=self.source.filtered)
        return Checkpoint(
            page.cursor,
            None,
            enumeration.watermark(watermark, self.source.since, page.watermark),
            full_at=enumeration.asked_at if whole else None,
        )

    def observe(self, page: Page, *, holding: bool) -> None:
        """Nothing is stored, so nothing is held: what is counted of an update may be taken back."""
        self.commit(page, self.checkpoint(page))
        if self.enumeration.holding and not holding:
            self.settled = self.counters
        self.enumeration = replace(self.enumeration, holding=holding)

    def hold(self, page: Page, *, sealed: bool) -> None:
        """Keep a page; sealed: it is the last one of its update, which is complete with it."""
        self.enumeration = replace(self.enumeration, holding=True, sealed=sealed)
        point = Checkpoint(self.cursor, self.enumeration.as_json(), self.state.watermark)
        frame = self.frame(point)
        self.writer.commit(
            UnitOfWork(
                workspace=frame.workspace,
                connection=frame.connection,
                stream=frame.stream,
                run_no=frame.run_no,
                recorded_at=frame.recorded_at,
                lease=frame.lease,
                unit_no=frame.unit_no,
                closed=frame.closed,
                checkpoint=point,
                held=held.write(page, self.writer.redact),
                released=frame.released,
            )
        )
        self.units += 1
        event("page.held", stream=self.lease.stream, sealed=sealed)

    def apply_held(self) -> bool:
        """Commit the pages of a complete update in order. True where the enumeration ended too."""
        lease = self.lease
        key = (lease.workspace, lease.connection, lease.stream, lease.partition)
        while kept := self.held_pages.first(*key):
            page = held.read(kept.body, self.postmaster, self.cursor)
            ends = not (page.hold and page.has_more)
            if ends:
                self.enumeration = replace(
                    self.enumeration, holding=False, sealed=False, first=self.cursor
                )
                self.commit(page, self.checkpoint(page), released=kept.unit_no)
                return not page.has_more
            point = Checkpoint(self.cursor, self.enumeration.as_json(), self.state.watermark)
            self.commit(page, point, released=kept.unit_no)
        raise AssertionError("a complete update keeps its last page to the end")

    def begin_again(self, expired: CursorExpiredError) -> None:
        """From the start of the update whose pages are held; else once from the watermark.

        Raises the error where that has been tried, or would ask the same thing again.
        """
        before = self.enumeration
        self.restarts += 1
        if before.holding:
            if self.restarts > UPDATE_RESTARTS:
                raise CursorExpiredError(
                    f"the update began again {UPDATE_RESTARTS} times and was broken off each time: "
                    f"{expired.message}. Nothing of it is stored; the next run tries again"
                ) from expired
        elif self.restarts > 1 or self.cursor is None:
            raise expired
        first = before.first if before.holding else None
        self.stand_before(before.since, first, full=before.full)
        self.enumeration = replace(self.enumeration, holding=before.holding, proves=False)
        self.lint = CursorLint()
        if self.observing:
            self.counters = self.settled
        event("enumeration.restarted", logging.WARNING, stream=self.lease.stream)

    def sweep(self, *, confirmed: bool) -> None:
        """Delete what two complete enumerations in a row did not show."""
        if self.sweeper is None or self.observing:
            return
        for stage in self.sweeper.stages(confirmed=confirmed):
            self.commit(Page(stage, None, has_more=False), None)
        if (waiting := self.sweeper.waiting()) is not None:
            self.waiting += (waiting,)

    def parked(self, pause: timedelta) -> ParkedError:
        until = self.clock.now() + pause
        return ParkedError(
            f"the route asked to be called again at {times.write(until)}", until=until
        )

    @property
    def next_unit(self) -> int:
        return self.state.unit_no + self.units + 1

    def commit(
        self, page: Page, checkpoint: Checkpoint | None, *, released: int | None = None
    ) -> None:
        """Decide the page and write it with its checkpoint, in one transaction."""
        if self.cutoff_at is not None:
            page.stage.come_before(self.cutoff_at)
        ends = checkpoint is not None and checkpoint.enumeration is None
        frame = self.frame(checkpoint)
        if released is not None:
            frame = replace(frame, released=released)
        with self.watch.page(page.stage, last=ends and not self.lease.partition) as observed:
            counters = self.writer.write(page.stage, replace(frame, observed=observed))
        self.units += 1
        self.lint.see(page.stage)
        self.counters += counters
        before, self.work_seconds = self.work_seconds, self.clock.monotonic() - self.began
        event(
            "page.committed",
            stream=self.lease.stream,
            seconds=round(self.work_seconds - before, 6),
            **counters.as_json(),
        )
        self.report()
        self.brake.check(self.counters)

    def frame(self, checkpoint: Checkpoint | None) -> Frame:
        """What the next unit carries beside its records; the lease is prolonged."""
        now = self.clock.now()
        self.lease = replace(self.lease, until=now + LEASE)
        return Frame(
            workspace=self.lease.workspace,
            connection=self.lease.connection,
            stream=self.lease.stream,
            run_no=self.run_no,
            recorded_at=times.microseconds(now),
            lease=self.lease,
            unit_no=self.next_unit,
            checkpoint=checkpoint,
            closed=self.closed_letters(checkpoint),
            released=self.given_up(checkpoint),
            seal=self.seal(checkpoint),
        )

    def given_up(self, checkpoint: Checkpoint | None) -> int | None:
        """With the first unit of an enumeration go the pages that were held before it."""
        first = checkpoint is not None and self.next_unit == self.enumeration.began
        return self.next_unit - 1 if first else None

    def seal(self, checkpoint: Checkpoint | None) -> Seal | None:
        """With the last unit of an enumeration of everything, absence from it counts."""
        ends = checkpoint is not None and checkpoint.full_at is not None
        if self.sweeper is None or not ends or not self.enumeration.proves:
            return None
        return Seal(self.enumeration.began, self.enumeration.asked_at)

    def closed_letters(self, checkpoint: Checkpoint | None) -> tuple[ClosedLetter, ...]:
        """With the first page of a run that can be read, an older unreadable one is history."""
        if self.units or checkpoint is None:
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
        if self.cutoff_at is not None:
            letter = replace(letter, as_of=min(letter.as_of, self.cutoff_at))
        unit = UnitOfWork(
            workspace=self.lease.workspace,
            connection=self.lease.connection,
            stream=self.lease.stream,
            run_no=self.run_no,
            recorded_at=times.microseconds(self.clock.now()),
            letters=(letter,),
        )
        self.letters.write(cleansed(unit, self.writer.redact))


def source_time(date_header: str) -> int | None:
    """Microseconds of an HTTP Date header, None where it is absent or unreadable."""
    try:
        told = parsedate_to_datetime(date_header)
    except (TypeError, ValueError):
        return None
    return times.microseconds(told) if isinstance(told, datetime) and told.tzinfo else None
