"""What lives on a database, seen from one process: workers, leases, late streams and the clock."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from penstock.model.connection import StreamState
from penstock.read import notation
from penstock.read.late import late
from penstock.store.roles import Store
from penstock.store.rows import OverdueStream, WorkerRow

SILENT_US = 60 * 1_000_000
"""A worker says every ten seconds that it lives."""

CLOCK_S = 2.0
"""By so much the clock of a machine may differ from the database's before that is told."""

_MINUTE_US = 60 * 1_000_000


@dataclass(frozen=True, slots=True)
class Vantage:
    """Where the look is taken from. now: microseconds, by the clock of the database. ahead_s: by so
    much that is ahead of this machine's. is_dead: whether an owner, as he is written in leases and
    of workers, is certainly gone."""

    now: int
    ahead_s: float
    is_dead: Callable[[str], bool]


@dataclass(frozen=True, slots=True)
class WorkerView:
    """state: at work, silent (nothing heard for a minute) or dead (its process is gone)."""

    owner: str
    kind: str
    version: str
    slots: int
    busy: int
    started_at: str | None
    beat_at: str | None
    state: str

    @classmethod
    def of(cls, row: WorkerRow, vantage: Vantage) -> WorkerView:
        silent = vantage.now - row.beat_at > SILENT_US
        dead = vantage.is_dead(row.owner)
        return cls(
            owner=row.owner,
            kind=row.kind,
            version=row.version,
            slots=row.slots,
            busy=row.busy,
            started_at=notation.instant(row.started_at),
            beat_at=notation.instant(row.beat_at),
            state="dead" if dead else "silent" if silent else "at work",
        )

    def as_json(self) -> dict[str, Any]:
        return notation.members(self)


@dataclass(frozen=True, slots=True)
class StuckLease:
    """A lease whose owner will not give it back. why: dead or run out."""

    connection: str
    stream: str
    partition: str
    owner: str
    until: str | None
    why: str

    def as_json(self) -> dict[str, Any]:
        return notation.members(self)


@dataclass(frozen=True, slots=True)
class Pulse:
    """workers: of all workspaces; the rest is of one. newest_run_at: when its latest run began."""

    now: int
    ahead_s: float
    workers: tuple[WorkerView, ...]
    leases: tuple[StuckLease, ...]
    late: tuple[OverdueStream, ...]
    newest_run_at: int | None

    @classmethod
    def of(cls, store: Store, workspace: str, vantage: Vantage) -> Pulse:
        latest = store.runs.list(workspace, limit=1)
        overdue = late(store.agenda, vantage.now)
        return cls(
            now=vantage.now,
            ahead_s=vantage.ahead_s,
            workers=tuple(WorkerView.of(row, vantage) for row in store.workers.list()),
            leases=tuple(_stuck(store.streams.held(), workspace, vantage)),
            late=tuple(stream for stream in overdue if stream.workspace == workspace),
            newest_run_at=latest[0].started_at if latest else None,
        )

    def findings(self) -> Iterator[str]:
        """Sentences, the most pressing first."""
        yield from self._clock()
        for worker in self.workers:
            if worker.state != "at work":
                heard = notation.to_the_second(worker.beat_at)
                yield f"{worker.kind} {worker.owner} is {worker.state}, last heard of at {heard}"
        for lease in self.leases:
            owner = f"its owner {lease.owner} is {lease.why}"
            if lease.why == "run out":
                owner = f"{lease.owner} let it run out at {notation.to_the_second(lease.until)}"
            place = f"{lease.connection} {lease.stream} {lease.partition}".rstrip()
            yield f"the lease of {place} is stuck: {owner}; the next run takes it over"
        for stream in self.late:
            due = notation.to_the_second(notation.instant(stream.due_at))
            yield f"stream {stream.connection} {stream.stream} is late: it was due at {due}"
        if self.late and not any(worker.state == "at work" for worker in self.workers):
            yield "nobody runs what is due: penstock serve"

    def _clock(self) -> Iterator[str]:
        if abs(self.ahead_s) > CLOCK_S:
            word = "behind" if self.ahead_s > 0 else "ahead of"
            yield (
                f"this machine's clock is {abs(self.ahead_s):.1f} s {word} the database's: let "
                "both follow a time server"
            )
        if self.newest_run_at is not None and self.newest_run_at > self.now + _MINUTE_US:
            began = notation.to_the_second(notation.instant(self.newest_run_at))
            yield f"the latest run began at {began}, which is still to come: a clock was set back"

    def as_json(self) -> dict[str, Any]:
        return {
            "clock_ahead_seconds": round(self.ahead_s, 6),
            "workers": [worker.as_json() for worker in self.workers],
            "stuck_leases": [lease.as_json() for lease in self.leases],
            "late": [
                {**stream._asdict(), "due_at": notation.instant(stream.due_at)}
                for stream in self.late
            ],
        }


def _stuck(held: list[StreamState], workspace: str, vantage: Vantage) -> Iterator[StuckLease]:
    for row in held:
        run_out, dead = row.lease_until <= vantage.now, vantage.is_dead(row.lease_owner)
        if row.workspace == workspace and (run_out or dead):
            yield StuckLease(
                connection=row.connection,
                stream=row.stream,
                partition=row.partition,
                owner=row.lease_owner,
                until=notation.instant(row.lease_until),
                why="dead" if dead else "run out",
            )
