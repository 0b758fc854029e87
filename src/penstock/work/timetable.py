"""When a stream runs next: by its schedule, or sooner or later by how it went. Pure."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from hashlib import blake2b

from penstock.model import times
from penstock.model.schedule import Schedule
from penstock.model.standing import Condition, Standing

MOST_JITTER = timedelta(seconds=60)
JITTER_SHARE = 10
"""Streams of one schedule are spread over a tenth of its pause, at most a minute."""

FIRST_RETRY = timedelta(seconds=30)
LONGEST_RETRY = timedelta(hours=1)
"""Pauses after failures: the first one doubles with each failure in a row up to the longest."""

MOST_ATTEMPTS = 3
"""Runs in a row whose process died; then the stream waits for a person."""

_MICROSECOND = timedelta(microseconds=1)
_WAITS_FOR_A_PERSON = (Condition.NEEDS_REAUTH, Condition.PAUSED_BY_DRIFT)
_KEEPS_ITS_SCHEDULE = (Condition.OK, Condition.FORBIDDEN, Condition.NOT_FOUND)


def next_slot(schedule: str, name: str, now: int) -> int | None:
    """The next time of a schedule for one of all that have it; instants in microseconds.

    None for a schedule that cannot be read; `penstock check` says why. Slots that went by meanwhile
    are not made up for: one run brings what they would have brought.
    name: what tells the stream apart; it always gets the same place within the jitter.
    """
    try:
        parsed = Schedule.parse(schedule)
    except ValueError:
        return None
    moment = times.moment(now)
    spread = min(parsed.pause(moment) / JITTER_SHARE, MOST_JITTER)
    jitter = spread * _share_of(name)
    # A time whose jitter is not over yet is still to come.
    return times.microseconds(parsed.after(moment - jitter) + jitter)


def after_run(
    standing: Standing, schedule: str | None, name: str, *, failures: int, now: int, chance: float
) -> Standing:
    """The standing with its next run and its failures in a row.

    failures: those before this run. chance: in [0, 1), spreads the retries of streams that failed
    together. A stream without schedule runs when it is told to, and goes on by itself only where it
    is parked.
    """
    failed = standing.condition is not Condition.OK and standing.next_run_at is None
    failures = failures + 1 if failed else 0
    due = standing.next_run_at
    if due is None and schedule is not None:
        due = _due(standing.condition, schedule, name, failures, now, chance)
    return replace(standing, next_run_at=due, failures=failures)


def retry_pause(failures: int, chance: float) -> timedelta:
    """How long to wait after so many failures in a row: 2^n with up to as much again by chance."""
    doubled: timedelta = FIRST_RETRY * 2 ** min(failures - 1, 20)
    return min(doubled, LONGEST_RETRY) * (1 + chance)


def _due(
    condition: Condition, schedule: str, name: str, failures: int, now: int, chance: float
) -> int | None:
    if condition in _WAITS_FOR_A_PERSON:
        return None
    if condition in _KEEPS_ITS_SCHEDULE:
        return next_slot(schedule, name, now)
    return now + retry_pause(failures, chance) // _MICROSECOND


def _share_of(name: str) -> float:
    """A number in [0, 1) that is always the same for a name."""
    return int.from_bytes(blake2b(name.encode(), digest_size=6).digest(), "big") / 2**48
