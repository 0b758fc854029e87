"""Whether a run that nobody asked to be full has to be: decided from what is stored. Pure."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

from penstock.model import times
from penstock.model.connection import StreamState
from penstock.model.schedule import Schedule
from penstock.pipeline.pull import Start
from penstock.sdk.stream import Stream
from penstock.upstream.since import Since


def what_is_due(
    start: Start, state: StreamState, stream: Stream, since: Since | None, now: datetime
) -> Start:
    """The start as asked for, or a full one where that is due.

    An enumeration under way is ended first, whatever is due; and what a person asked for goes
    before.
    """
    asked = start.full or start.since is not None or start.confirmed
    if asked or state.enumeration is not None:
        return start
    return replace(start, full=is_full_due(state, stream, since, now))


def is_full_due(state: StreamState, stream: Stream, since: Since | None, now: datetime) -> bool:
    """Somebody wanted it, its time has come, or the provider no longer knows what changed since.

    Where the watermark stands nowhere yet, an ordinary run enumerates everything anyway.
    """
    if state.watermark is None and state.cursor is None:
        return False
    last = state.full_at
    if state.full_wanted_at is not None and (last is None or last < state.full_wanted_at):
        return True
    if stream.full is not None and (last is None or has_come(stream.full, last, now)):
        return True
    watermark = state.watermark
    return (
        since is not None
        and watermark is not None
        and since.is_too_old(times.moment(watermark), now)
    )


def has_come(schedule: str, since: int, now: datetime) -> bool:
    """Whether a moment of the schedule lies after `since` and not after `now`; one that cannot be
    read never comes, and `penstock check` says why."""
    try:
        return Schedule.parse(schedule).after(times.moment(since)) <= now
    except ValueError:
        return False
