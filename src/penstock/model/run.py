"""A run: one execution of a stream, and how it ended."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from penstock.model.outcome import Counters


class RunState(StrEnum):
    RUNNING = "running"
    DONE = "done"
    PARKED = "parked"
    """Stopped before its end, on purpose: it goes on at the stream's next_run_at."""
    FAILED = "failed"
    INTERRUPTED = "interrupted"


class RunKind(StrEnum):
    POLL = "poll"
    FULL = "full"
    BACKFILL = "backfill"
    OBSERVE = "observe"
    REPLAY = "replay"
    DELETES = "deletes"
    """Nothing is fetched: deletes that a person confirmed are made."""
    REDERIVE = "rederive"
    """Nothing is fetched: archived records went through today's mapping and contract."""


@dataclass(frozen=True, slots=True)
class NewRun:
    """What is known of a run when it starts. started_at: microseconds. partition: of a backfill,
    "" for the stream itself."""

    workspace: str
    connection: str
    stream: str
    kind: RunKind
    connector: str
    connector_version: str
    owner: str
    started_at: int
    partition: str = ""


@dataclass(frozen=True, slots=True)
class Run:
    """A run as stored. work_us: microseconds from the first request to the last commit."""

    run_no: int
    workspace: str
    connection: str
    stream: str
    kind: RunKind
    connector: str
    connector_version: str
    owner: str
    started_at: int
    finished_at: int | None
    state: RunState
    reason: str | None
    message: str | None
    work_us: int
    counters: Counters
    partition: str = ""
