"""What an answer asks for, and when to ask again: pure decisions, no waiting here."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from enum import StrEnum
from random import Random
from typing import Literal

from penstock.upstream.request import Request, Response
from penstock.upstream.verdict import (
    Fail,
    Forbidden,
    Later,
    Reauth,
    Restart,
    Throttled,
    Verdict,
    VerdictOf,
)

CAP = timedelta(seconds=60)
ASKED_CAP = timedelta(hours=1)

StatusRule = Literal["fail", "retry", "skip", "reauth"]
"""What a connector may declare of a status: final, passing, nothing there, token not taken."""

_DELAY = re.compile(r"\d{1,15}(\.\d{1,9})?", re.ASCII)
_IDEMPOTENT = frozenset({"GET", "HEAD", "OPTIONS", "PUT", "DELETE"})
_PASSING = frozenset({408, 425, 500, 502, 503, 504, 507, *range(520, 525), 529, 530})
"""Request time-outs, too early, and those 5xx that pass by themselves; 52x and 530 are what
Cloudflare says of the server behind it, 529 of an overloaded one. 501 or 505 never pass."""

_EPOCH_FROM = 100_000_000
_EPOCH_MS_FROM = 100_000_000_000
_ITEM_LEFT = re.compile(r"(?:^|[;,\s])(?:r|remaining)\s*=\s*(\d{1,15})", re.ASCII)
_ITEM_RESET = re.compile(r"(?:^|[;,\s])(?:t|reset)\s*=\s*(\d{1,15})", re.ASCII)
_LEFT = ("ratelimit-remaining", "x-ratelimit-remaining", "x-rate-limit-remaining")
_RESET = ("ratelimit-reset", "x-ratelimit-reset", "x-rate-limit-reset")


class Ruling(StrEnum):
    """What becomes of an answer."""

    TAKE = "take"
    SKIP = "skip"
    THROTTLED = "throttled"
    RETRY = "retry"
    LATER = "later"
    REAUTH = "reauth"
    FORBIDDEN = "forbidden"
    RESTART = "restart"
    FAIL = "fail"


@dataclass(frozen=True, slots=True)
class Judged:
    """A ruling. after: the pause that was asked for; said: the connector's own verdict, if any."""

    ruling: Ruling
    after: timedelta | None = None
    said: Verdict | None = None

    @property
    def passes(self) -> bool:
        """Whether the same request may be answered well a little later."""
        return self.ruling in (Ruling.THROTTLED, Ruling.RETRY)


@dataclass(frozen=True, slots=True)
class Policy:
    """attempts: requests sent at most, the first included. park_above: the longest pause that is
    slept; above it the stream is parked."""

    attempts: int = 6
    park_above: timedelta = timedelta(seconds=30)


SIX_ATTEMPTS = Policy()

_RULINGS: Mapping[type[Verdict], Ruling] = {
    Throttled: Ruling.THROTTLED,
    Later: Ruling.LATER,
    Reauth: Ruling.REAUTH,
    Forbidden: Ruling.FORBIDDEN,
    Restart: Ruling.RESTART,
    Fail: Ruling.FAIL,
}
_DECLARED: Mapping[StatusRule, Ruling] = {
    "fail": Ruling.FAIL,
    "retry": Ruling.RETRY,
    "skip": Ruling.SKIP,
    "reauth": Ruling.REAUTH,
}


@dataclass(frozen=True, slots=True)
class Judge:
    """What answers mean for one connector. verdict: asked first, 2xx included; statuses: declared
    for single statuses; then the usual meaning."""

    verdict: VerdictOf | None = None
    statuses: Mapping[int, StatusRule] | None = None

    def judge(self, response: Response) -> Judged:
        """What becomes of the answer. Raises what the connector's own function raises."""
        said = self.verdict(response) if self.verdict is not None else None
        if said is not None:
            return Judged(_RULINGS[type(said)], getattr(said, "after", None), said)
        if response.status in response.request.expect:
            return Judged(Ruling.TAKE)
        declared = (self.statuses or {}).get(response.status)
        ruling = _DECLARED[declared] if declared else _usual(response)
        asked = asked_pause(response) if ruling in (Ruling.THROTTLED, Ruling.RETRY) else None
        return Judged(ruling, asked)


USUAL_JUDGE = Judge()


def _usual(response: Response) -> Ruling:
    status = response.status
    if status < 400:
        return Ruling.TAKE
    if status == 429 or (status == 403 and _limits(response)):
        return Ruling.THROTTLED
    return Ruling.RETRY if status in _PASSING else Ruling.FAIL


def _limits(response: Response) -> bool:
    """Whether a 403 is a rate limit: it says when to come back, or that nothing is left."""
    return "retry-after" in response.headers or _nothing_left(response.headers)


def may_repeat(request: Request) -> bool:
    """Whether sending it twice does no harm: idempotent by its method (RFC 9110 section 9.2.2),
    declared safe, or named by an idempotency key."""
    keyed = any(name.lower() == "idempotency-key" for name, _ in request.headers)
    return keyed or request.safe or request.method.upper() in _IDEMPOTENT


def backoff(attempt: int, asked: timedelta | None, *, rng: Random) -> timedelta:
    """Pause before the next attempt.

    attempt: 0 for the first retry. asked: what the server said, already a duration: it wins over
    the formula. Without it 2^attempt + random() seconds, at most 60.

    The random part keeps workers refused together from returning together (RFC 9110 section
    10.2.3 for Retry-After). Raises ValueError for attempt < 0.
    """
    if attempt < 0:
        raise ValueError(f"attempt {attempt} is below 0")
    jitter = timedelta(seconds=rng.random())
    if asked is not None:
        return asked + jitter
    return min(timedelta(seconds=2 ** min(attempt, 6)) + jitter, CAP)


def asked_pause(response: Response) -> timedelta | None:
    """The pause that a refusing answer asks for, at most an hour; None where it says nothing.

    Retry-After, else the rate-limit fields: `RateLimit` in its two drafts, then `…-Reset`, unless
    the answer says that requests are left (then another limit was meant).
    """
    headers = response.headers
    asked = retry_after(headers, response.received_at)
    if asked is not None or _something_left(headers):
        return asked
    if field := headers.get("ratelimit"):
        resets = [int(value) for value in _ITEM_RESET.findall(field)]
        return _capped(max(resets)) if resets else None
    for name in _RESET:
        if (value := headers.get(name, "").strip()) and name in headers:
            return _until_reset(value, headers, response.received_at)
    return None


def retry_after(headers: Mapping[str, str], received_at: datetime) -> timedelta | None:
    """The pause a Retry-After field asks for, at most an hour; None without a readable one.

    Seconds, or any of the three date forms of RFC 9110 section 5.6.7, read as UTC and relative
    to the server's own Date, so that its wrong clock does no harm. A date that has passed is 0.
    """
    value = headers.get("retry-after", "").strip()
    if _DELAY.fullmatch(value):
        return _capped(float(value))
    until = _date(value)
    return None if until is None else _capped(_gap(until, headers, received_at))


def _until_reset(value: str, headers: Mapping[str, str], received_at: datetime) -> timedelta | None:
    """A reset in its three common meanings: seconds to go, or Unix time in seconds or ms."""
    if not _DELAY.fullmatch(value):
        until = _date(value)
    else:
        number = float(value)
        if number < _EPOCH_FROM:
            return _capped(number)
        seconds = number / 1000 if number >= _EPOCH_MS_FROM else number
        until = _moment(seconds)
    return None if until is None else _capped(_gap(until, headers, received_at))


def _something_left(headers: Mapping[str, str]) -> bool:
    return any(left > 0 for left in _told_left(headers)) and not _nothing_left(headers)


def _nothing_left(headers: Mapping[str, str]) -> bool:
    return 0 in _told_left(headers)


def _told_left(headers: Mapping[str, str]) -> list[int]:
    told = [value for name in _LEFT if (value := headers.get(name, "").strip()).isdecimal()]
    return [int(value) for value in (*told, *_ITEM_LEFT.findall(headers.get("ratelimit", "")))]


def _gap(until: datetime, headers: Mapping[str, str], received_at: datetime) -> float:
    now = _date(headers.get("date", "")) or received_at
    return (until - now).total_seconds()


def _capped(seconds: float) -> timedelta:
    return min(timedelta(seconds=min(max(seconds, 0.0), 1e6)), ASKED_CAP)


def _moment(seconds: float) -> datetime | None:
    try:
        return datetime.fromtimestamp(seconds, UTC)
    except (ValueError, OverflowError, OSError):
        return None


def _date(text: str) -> datetime | None:
    try:
        moment = parsedate_to_datetime(text)
        return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    except (ValueError, OverflowError):
        return None
