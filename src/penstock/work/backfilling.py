"""Pulling a partition of a backfill: one attempt, and where it leaves the partition."""

from __future__ import annotations

import logging
import random
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta

from penstock.errors import (
    ForbiddenError,
    LeaseLostError,
    MendError,
    ParentsFailedError,
    ParkedError,
    PausedByDriftError,
    PenstockError,
    StoppedError,
    StreamBusyError,
    TryAgainError,
    UpstreamError,
)
from penstock.model import times
from penstock.model.backfill import BackfillState, PartitionEnd, PartitionState, number_of
from penstock.model.unit import Lease
from penstock.pipeline.pull import Start
from penstock.store.rows import StoredPartition
from penstock.telemetry import event, kill_point
from penstock.work.ending import told
from penstock.work.lease import Held, take
from penstock.work.runner import RunReport, StreamRunner
from penstock.work.stop import Stop
from penstock.work.timetable import MOST_ATTEMPTS, retry_pause

MOST_FAILURES = 5
"""Failed attempts in a row, each a pause after the one before; then the partition has failed."""

_MICROSECOND = timedelta(microseconds=1)


@dataclass(frozen=True, slots=True)
class Aftermath:
    """Where an attempt leaves its partition. pauses: why the whole backfill waits for a person,
    None where it goes on."""

    end: PartitionEnd
    pauses: str | None = None


def aftermath(
    stopped: PenstockError | None, *, failures: int, now: int, chance: float
) -> Aftermath | None:
    """What follows from the error that ended an attempt, None for a good one. Pure.

    failures: those in a row before it. chance: in [0, 1), spreads what failed together. The result
    is None where the partition is another worker's by now, or nobody's.
    """
    match stopped:
        case None:
            return Aftermath(PartitionEnd(PartitionState.DONE))
        case LeaseLostError():
            return None
        case StoppedError():
            return Aftermath(PartitionEnd(PartitionState.WAITING, failures=failures))
        case ParkedError(until=until):
            return _waits(stopped, times.microseconds(until), failures)
    if _is_for_all(stopped):
        # No other partition would fare better, and this one is not to blame.
        waiting = PartitionEnd(PartitionState.WAITING, told(stopped), failures=failures)
        return Aftermath(waiting, pauses=told(stopped))
    failures += 1
    if _may_pass(stopped) and failures < MOST_FAILURES:
        return _waits(stopped, now + retry_pause(failures, chance) // _MICROSECOND, failures)
    return Aftermath(PartitionEnd(PartitionState.FAILED, told(stopped), failures=failures))


def _waits(stopped: PenstockError, until: int, failures: int) -> Aftermath:
    return Aftermath(PartitionEnd(PartitionState.WAITING, told(stopped), until, failures))


def _is_for_all(stopped: PenstockError) -> bool:
    """Whether it concerns the connection or its connector, not what the partition asks for."""
    refused = isinstance(stopped, UpstreamError) and stopped.status in (401, 403)
    return refused or isinstance(stopped, MendError | ForbiddenError | PausedByDriftError)


def _may_pass(stopped: PenstockError) -> bool:
    """Whether the same attempt may go well later; what a page or a route is refused for stays."""
    if isinstance(stopped, UpstreamError):
        return stopped.status >= 500
    return isinstance(stopped, TryAgainError | ParentsFailedError)


@dataclass(frozen=True, slots=True)
class PartitionRunner:
    """Pulls partitions of the backfills of one connection, in any number of threads.

    runner: of the connection. stop: ends every partition at its next page. crowded: whether streams
    wait for the worker that pulls it; asked after each page.
    """

    runner: StreamRunner
    stop: Stop
    crowded: Callable[[], bool] = lambda: False
    chance: Callable[[], float] = random.random

    def run(self, stream: str, partition: str) -> RunReport | None:
        """Make an attempt at a partition; None where it is not due, or is another's to pull.

        What stops it is in the report, and in the ledger. A backfill that is paused, or whose stop
        is asked for, keeps the page that was just committed. Raises what is broken in us.
        """
        held = self._take(stream, partition)
        if held is None:
            return None
        try:
            begun = self.runner.store.backfills.begin(
                held.lease, most_attempts=MOST_ATTEMPTS, now=self._now()
            )
            if begun is None:
                return None
            kill_point("partition.begun")
            return self._attempt(held, begun)
        finally:
            self.runner.store.streams.release(held.lease)

    def _take(self, stream: str, partition: str) -> Held | None:
        runner, connection = self.runner, self.runner.installation.connection
        name = (connection.workspace, connection.name, stream)
        try:
            return take(
                runner.store.streams, *name, wait_s=0, clock=runner.clock, partition=partition
            )
        except StreamBusyError:
            return None

    def _attempt(self, held: Held, begun: StoredPartition) -> RunReport:
        within = self.runner.within(begun.part, lambda: self._between_pages(held.lease))
        try:
            report = within.run_held(held, Start())
        except Exception as error:
            broken = PenstockError(self.runner.redact(repr(error))[:500])
            self._end(held.lease, begun, broken)
            raise
        kill_point("partition.pulled")
        self._end(held.lease, begun, report.stopped)
        return report

    def _between_pages(self, lease: Lease) -> None:
        """Raises StoppedError where nothing more of the partition is to be pulled now."""
        self.stop.between_pages()
        number = number_of(lease.partition)
        assert number is not None  # it was begun
        state = self.runner.store.backfills.state(lease.workspace, number)
        if state is not BackfillState.RUNNING:
            raise StoppedError(f"backfill {number} is {state}; what it has pulled so far is stored")
        if self.crowded():
            raise StoppedError("streams were due and no worker was free; it goes on after them")

    def _end(self, lease: Lease, begun: StoredPartition, stopped: PenstockError | None) -> None:
        """Write down what the attempt came to, unless it was somebody else's to end."""
        after = aftermath(stopped, failures=begun.failures, now=self._now(), chance=self.chance())
        if after is None:
            return
        backfills = self.runner.store.backfills
        if after.pauses is not None:
            backfills.pause(lease.workspace, begun.backfill_no, reason=after.pauses)
        try:
            backfills.end(lease, after.end, now=self._now())
        except LeaseLostError as lost:
            event("partition.lost", logging.WARNING, partition=lease.partition, why=lost.message)
            return
        event(
            "partition.ended",
            connection=lease.connection,
            stream=lease.stream,
            partition=lease.partition,
            state=after.end.state,
            reason=after.end.reason,
        )

    def _now(self) -> int:
        return times.microseconds(self.runner.clock.now())
