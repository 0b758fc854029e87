"""Late streams: those that should have run, and that nobody runs."""

from __future__ import annotations

from datetime import timedelta

from penstock.model import times
from penstock.model.schedule import Schedule
from penstock.store.rows import OverdueStream
from penstock.store.work_roles import Agenda

PATIENCE = timedelta(minutes=15)
LOOKED_AT = 10_000
"""Overdue streams at most; where there are more, the longest due ones are told of."""

_MICROSECOND = timedelta(microseconds=1)


def late(agenda: Agenda, now: int) -> list[OverdueStream]:
    """Streams overdue by more than a pause of their schedule, and by more than 15 minutes."""
    overdue = agenda.overdue(now - PATIENCE // _MICROSECOND, now, LOOKED_AT)
    return [stream for stream in overdue if is_late(stream, now)]


def is_late(stream: OverdueStream, now: int) -> bool:
    """Pure. A stream without a schedule has no pause to be patient for."""
    due = times.moment(stream.due_at)
    pause = Schedule.parse(stream.schedule).pause(due) if stream.schedule else PATIENCE
    return times.moment(now) - due > max(pause, PATIENCE)
