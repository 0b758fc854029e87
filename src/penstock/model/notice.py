"""A notice: one cause for worry, told once until it is over."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple


class Cause(StrEnum):
    NEEDS_REAUTH = "needs_reauth"
    """Of a connection: no stream of it can help itself."""
    PARKED = "parked"
    DRIFT = "drift"
    LATE = "late"
    FAILED = "failed"


class Subject(NamedTuple):
    """What a notice is about. stream: "" where it is the whole connection."""

    workspace: str
    connection: str
    stream: str
    cause: Cause


@dataclass(frozen=True, slots=True)
class Notice:
    """detail: one sentence. since: microseconds, when it began."""

    subject: Subject
    detail: str
    since: int


@dataclass(frozen=True, slots=True)
class StoredNotice:
    """since: when it was written down. attempts: to tell it. sent_at: None before one worked."""

    notice_no: int
    subject: Subject
    detail: str
    since: int
    attempts: int
    sent_at: int | None
