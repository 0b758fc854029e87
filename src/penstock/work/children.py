"""The collections below each parent: every parent has a lease and a checkpoint of its own.

A child stream is one run over the stored documents of its parent stream. Several parents are pulled
at once; one that fails keeps its own resume point and leaves the others alone. The stream's own row
remembers up to which version the parents were covered, so that a run may ask for changed ones only.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field, replace
from typing import Any

from penstock.clock import Clock
from penstock.contracts import registry
from penstock.errors import (
    LeaseLostError,
    NeedsReauthError,
    ParentsFailedError,
    ParkedError,
    PausedByDriftError,
    PenstockError,
    StoppedError,
    StreamBusyError,
    UpstreamUnavailableError,
)
from penstock.model import times
from penstock.model.drift import Observed
from penstock.model.identity import as_text
from penstock.model.outcome import Counters
from penstock.model.unit import Checkpoint, Lease, UnitOfWork
from penstock.pipeline.pull import LEASE, Progress, Pull, Start
from penstock.pipeline.reading import Installation
from penstock.pipeline.watch import DriftWatch
from penstock.sdk.collection import Endpoint
from penstock.store.roles import Store
from penstock.store.rows import StoredDocument
from penstock.telemetry import carried
from penstock.work.ending import Ending
from penstock.work.lease import Held, give_back, take

FOR_ALL = (
    NeedsReauthError,
    ParkedError,
    PausedByDriftError,
    UpstreamUnavailableError,
    LeaseLostError,
    StoppedError,
)
"""What ends one parent's pull would end the others' as well: no further one is begun."""

NAMED_FAILURES = 3


@dataclass(frozen=True, slots=True)
class Parent:
    """A stored parent. key: names its partition. payload: what {parent.…} and the mapping see."""

    key: str
    version_no: int
    payload: Mapping[str, Any]


PullOf = Callable[[Held, Parent, Callable[[Progress], None]], Pull]
"""The pull of one parent under its lease."""


@dataclass
class Children:
    """One run of a child stream. Stands where a Pull stands: counters and work_seconds are true at
    any time, also after an exception.

    between: asked before each further parent; raises what ends the run there.
    prefix: of the names of their checkpoints, in a backfill. There a parent that is done is not
    asked for again by a later attempt, and what a parent fails of is the partition's to tell.
    """

    store: Store
    installation: Installation
    endpoint: Endpoint
    held: Held
    run_no: int
    pull_of: PullOf
    watch: DriftWatch
    clock: Clock
    observing: bool = False
    progress: Callable[[Progress], None] | None = None
    between: Callable[[], None] | None = None
    prefix: str = ""
    counters: Counters = field(default_factory=Counters)
    work_seconds: float = 0.0
    notes: tuple[str, ...] | None = None
    waiting: tuple[str, ...] = ()
    failed: dict[str, PenstockError] = field(default_factory=dict)
    _of_each: dict[str, Counters] = field(default_factory=dict)
    _lock: Any = field(default_factory=threading.Lock)
    _units: int = 0

    def __post_init__(self) -> None:
        self._lease = self.held.lease
        self.asked_at = times.microseconds(self.clock.now())

    def run(self, start: Start) -> None:
        """Pull every parent that is asked for. Raises ParentsFailedError, or what ends them all."""
        began = self.clock.monotonic()
        reached = 0
        try:
            with ThreadPoolExecutor(self.endpoint.at_once, "penstock-child") as threads:
                pull = carried(self.pull)
                running: set[Future[None]] = set()
                for parent in self.parents(start):
                    if self.between is not None:
                        self.between()
                    reached = max(reached, parent.version_no)
                    running.add(threads.submit(pull, parent, start, began))
                    running = self.settle(running, full=len(running) >= 2 * self.endpoint.at_once)
                    self.prolong()
                while running:
                    running = self.settle(running, full=True)
                    self.prolong()
        finally:
            self.work_seconds = self.clock.monotonic() - began
        if self.failed:
            raise self.failure()
        first = self.held.state.cursor is None
        self.remember(reached, self.asked_at if start.full or first else None)

    def parents(self, start: Start) -> Iterator[Parent]:
        """Stored parents in order; with parents="changed" those new since the last whole run, and
        those that have not come to their end."""
        mapping = self.installation.mapping(str(self.endpoint.parent))
        connection = self.installation.connection
        contract = registry.contract(mapping.document)
        covered = self.covered() if self.endpoint.parents == "changed" and not start.full else 0
        unfinished = self.unfinished() if covered else frozenset()
        done = self.done() if self.prefix else frozenset()
        rows = self.store.reader.contents(
            connection.workspace, mapping.document, connection=connection.name
        )
        for row, content in rows:
            key = as_text(row.document_id)
            if key not in done and (row.version_no > covered or key in unfinished):
                yield Parent(key, row.version_no, _payload(contract, row, content))

    def covered(self) -> int:
        """The greatest version of a parent that a whole run has covered."""
        cursor = self.held.state.cursor
        return int(cursor["parents_up_to"]) if isinstance(cursor, dict) else 0

    def unfinished(self) -> frozenset[str]:
        connection, lease = self.installation.connection, self.held.lease
        rows = self.store.streams.list(connection.workspace, connection.name)
        return frozenset(
            row.partition
            for row in rows
            if row.stream == lease.stream
            and row.partition
            and (row.enumeration is not None or row.state not in ("new", "ok"))
        )

    def done(self) -> frozenset[str]:
        """Parents that an earlier attempt has pulled to their end."""
        connection, lease = self.installation.connection, self.held.lease
        return frozenset(
            row.partition.removeprefix(self.prefix)
            for row in self.store.streams.list(connection.workspace, connection.name)
            if row.stream == lease.stream
            and row.partition.startswith(self.prefix)
            and row.unit_no > 0
            and row.enumeration is None
        )

    def pull(self, parent: Parent, start: Start, began: float) -> None:
        """Pull one parent. What ends it is kept, and told with the stream's own end."""
        lease = self.held.lease
        try:
            held = take(
                self.store.streams,
                lease.workspace,
                lease.connection,
                lease.stream,
                partition=self.prefix + parent.key,
                wait_s=0,
                clock=self.clock,
            )
        except StreamBusyError as busy:
            self.failed[parent.key] = busy
            return
        try:
            self.pull_of(held, parent, self.shown(parent, began)).run(start)
            self.stands(held, None)
        except PenstockError as error:
            self.failed[parent.key] = error
            self.stands(held, error)
        finally:
            give_back(self.store.streams, held.lease)

    def shown(self, parent: Parent, began: float) -> Callable[[Progress], None]:
        """The sum over all parents, told after each page of any of them."""

        def show(progress: Progress) -> None:
            with self._lock:
                self._of_each[parent.key] = progress.counters
                self.counters = sum(self._of_each.values(), Counters())
            if self.progress is not None:
                seconds = self.clock.monotonic() - began
                self.progress(Progress(progress.stream, self.counters, seconds))

        return show

    def stands(self, held: Held, stopped: PenstockError | None) -> None:
        """A failing parent says why in its own row; one that has always been well has none to
        write."""
        now = times.microseconds(self.clock.now())
        ending = Ending.of(stopped, now)
        if self.observing or self.prefix or ending.standing is None:
            return
        if stopped is None and held.state.state in ("new", "ok"):
            return
        lease = held.lease
        self.store.streams.set_standing(
            lease.workspace,
            lease.connection,
            lease.stream,
            ending.standing,
            now=now,
            partition=lease.partition,
        )

    def settle(self, running: set[Future[None]], *, full: bool) -> set[Future[None]]:
        """Wait for one of them where enough are under way. Raises what broke in us, and what would
        end all of them."""
        done, left = wait(running, timeout=None if full else 0, return_when=FIRST_COMPLETED)
        for one in done:
            one.result()
        for error in list(self.failed.values()):
            if isinstance(error, FOR_ALL):
                for one in left:
                    one.cancel()
                wait(left)
                raise error
        return left

    def failure(self) -> PenstockError:
        named = [f"{key}: {error.message}" for key, error in self.failed.items()][:NAMED_FAILURES]
        more = len(self.failed) - len(named)
        rest = f"; and {more} more" if more else ""
        return ParentsFailedError(
            f"{len(self.failed)} of the parents in {self.endpoint.parent} could not be pulled, the "
            f"others are stored: {'; '.join(named)}{rest}"
        )

    def prolong(self) -> None:
        """Keep the stream's own lease while its parents make progress."""
        now = self.clock.now()
        if not self.observing and self._lease.until - now < LEASE / 2:
            self.commit(replace(self._lease, until=now + LEASE), None)

    def remember(self, reached: int, full_at: int | None) -> None:
        """With every parent pulled, the next run may leave out what has not changed since.

        full_at: when the run began, if it enumerated everything.
        """
        covered = max(reached, self.covered())
        if self.observing:
            return
        with self.watch.page(None, last=True) as observed:
            if observed or covered != self.covered() or full_at is not None:
                cursor, watermark = {"parents_up_to": covered}, self.held.state.watermark
                point = Checkpoint(cursor, None, watermark, full_at)
                self.commit(self._lease, point, observed)

    def commit(
        self,
        lease: Lease,
        checkpoint: Checkpoint | None,
        observed: tuple[Observed, ...] = (),
    ) -> None:
        self._units += 1
        self._lease = lease
        self.store.documents.commit(
            UnitOfWork(
                workspace=lease.workspace,
                connection=lease.connection,
                stream=lease.stream,
                run_no=self.run_no,
                recorded_at=times.microseconds(self.clock.now()),
                lease=lease,
                unit_no=self.held.state.unit_no + self._units,
                checkpoint=checkpoint,
                observed=observed,
            )
        )


def _payload(contract: Any, row: StoredDocument, content: bytes) -> Mapping[str, Any]:
    payload: Mapping[str, Any] = contract.read(content, row.source_version, row.source_updated_at)
    return payload
