"""Whether to ask again, and when: pure decisions, no waiting here."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from enum import StrEnum
from random import Random

from penstock.upstream.request import Request

CAP = timedelta(seconds=60)
ASKED_CAP = timedelta(hours=1)

_DELAY = re.compile(r"\d{1,12}(\.\d{1,9})?", re.ASCII)
_IDEMPOTENT = frozenset({"GET", "HEAD", "OPTIONS", "PUT", "DELETE"})
_PASSING = frozenset({429, 502, 503, 504})


class Verdict(StrEnum):
    """What an answer's status means for the request."""

    DONE = "done"
    RETRY = "retry"
    FAIL = "fail"


@dataclass(frozen=True, slots=True)
class Policy:
    """attempts: requests sent at most, the first included. park_above: the longest pause that is
    slept; above it the stream is parked."""

    attempts: int = 6
    park_above: timedelta = timedelta(seconds=30)


SIX_ATTEMPTS = Policy()


def classify(status: int, expect: tuple[int, ...] = ()) -> Verdict:
    """429, 502, 503 and 504 pass by themselves; other statuses from 400 on are final answers."""
    if status < 400 or status in expect:
        return Verdict.DONE
    return Verdict.RETRY if status in _PASSING else Verdict.FAIL


def may_repeat(request: Request) -> bool:
    """Whether sending it twice does no harm (RFC 9110 section 9.2.2, or declared safe)."""
    return request.safe or request.method.upper() in _IDEMPOTENT


def backoff(attempt: int, asked: timedelta | None, *, rng: Random) -> timedelta:
    """Pause before the next attempt.

    attempt: 0 for the first retry. asked: the server's Retry-After, already a duration.
    Result: 2^attempt + random() seconds, at most 60; never shorter than `asked`, which may be
    longer (the caller parks the stream above 30 s instead of sleeping).

    The random part keeps workers refused together from returning together (RFC 9110 section
    10.2.3 for Retry-After). Raises ValueError for attempt < 0.
    """
    if attempt < 0:
        raise ValueError(f"attempt {attempt} is below 0")
    jitter = timedelta(seconds=rng.random())
    pause = min(timedelta(seconds=2 ** min(attempt, 6)) + jitter, CAP)
    return pause if asked is None else max(pause, asked + jitter)


def retry_after(headers: Mapping[str, str], received_at: datetime) -> timedelta | None:
    """The pause a Retry-After field asks for, at most an hour; None without a readable one.

    Seconds, or any of the three date forms of RFC 9110 section 5.6.7, read as UTC and relative
    to the server's own Date, so that its wrong clock does no harm. A date that has passed is 0.
    """
    value = headers.get("retry-after", "").strip()
    if _DELAY.fullmatch(value):
        return min(timedelta(seconds=min(float(value), 1e6)), ASKED_CAP)
    until = _date(value)
    if until is None:
        return None
    now = _date(headers.get("date", "")) or received_at
    return min(max(until - now, timedelta(0)), ASKED_CAP)


def _date(text: str) -> datetime | None:
    try:
        moment = parsedate_to_datetime(text)
        return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    except (ValueError, OverflowError):
        return None
