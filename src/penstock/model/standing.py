"""Where a stream stands: one condition and one reason, for everybody who looks."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Condition(StrEnum):
    """What became of a stream's last run, or what keeps it from running."""

    NEW = "new"
    """Never run."""
    OK = "ok"
    RATE_LIMITED = "rate_limited"
    PARKED = "parked"
    NEEDS_REAUTH = "needs_reauth"
    FORBIDDEN = "forbidden"
    NOT_FOUND = "not_found"
    UPSTREAM_FAILING = "upstream_failing"
    PAUSED_BY_DRIFT = "paused_by_drift"
    FAILED = "failed"
    """By anything else: the reason says what."""


@dataclass(frozen=True, slots=True)
class Standing:
    """reason: a sentence, None where all is well. next_run_at: microseconds, when the stream runs
    again by itself. failures: runs that failed in a row."""

    condition: Condition
    reason: str | None = None
    next_run_at: int | None = None
    failures: int = 0


ALL_WELL = Standing(Condition.OK)
