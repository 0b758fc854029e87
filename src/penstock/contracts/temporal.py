"""Dates and instants as text: real, in range, and in normal form."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

from penstock.contracts.finding import Found, quote, refuse
from penstock.model import times

FIRST_YEAR, LAST_YEAR = 1970, 2100
DAY_PATTERN = r"^[0-9]{4}-[0-9]{2}-[0-9]{2}$"
INSTANT_PATTERN = (
    r"^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}"
    r"(\.[0-9]{1,9})?(Z|[+-][0-9]{2}:[0-9]{2})$"
)

_DAY = re.compile(DAY_PATTERN[1:-1]).fullmatch
_INSTANT = re.compile(INSTANT_PATTERN[1:-1]).fullmatch
_OFFSET_MISSING = re.compile(INSTANT_PATTERN[1:-1].rpartition("(Z")[0]).fullmatch

CACHED_DAYS = 8192
KNOWN_DAYS: dict[str, int] = {}
"""Days seen before, with their midnight in microseconds, so that the usual date costs one look."""

_MINUTES = {
    f"T{hour:02}:{minute:02}:": (hour * 60 + minute) * 60_000_000
    for hour in range(24)
    for minute in range(60)
}
_SECONDS = {f"{second:02}Z": second * 1_000_000 for second in range(60)}


def day(text: str) -> str:
    """The text itself. Raises Found unless it names a day of 1970 to 2100."""
    if not _DAY(text):
        extra = "; an instant is no date" if "T" in text[:11] else ""
        message = f"{quote(text)} is not a date such as 2026-03-02{extra}"
    elif not FIRST_YEAR <= int(text[:4]) <= LAST_YEAR:
        message = f"{text} is not a date from {FIRST_YEAR} to {LAST_YEAR}"
    elif not _is_real(text):
        message = f"{text} is not a calendar date"
    else:
        if len(KNOWN_DAYS) >= CACHED_DAYS:
            KNOWN_DAYS.clear()
        KNOWN_DAYS[text] = times.microseconds(datetime.fromisoformat(text + "T00:00:00Z"))
        return text
    raise refuse("invalid_format", message, "I-F2")


def _is_real(text: str) -> bool:
    try:
        date.fromisoformat(text)
    except ValueError:
        return False
    return True


def instant(text: str) -> str:
    """UTC with Z, cut to microseconds, no trailing zeros in the fraction. Raises Found."""
    if _whole_second(text) is not None:
        return text
    match = _INSTANT(text)
    if match is None:
        raise _malformed(text)
    fraction, offset = (match[1] or "")[:7], match[2]  # cut, never rounded (contracts, 1.2)
    value = _real(text[:19] + fraction + offset)
    if offset != "Z":
        return _written(value, text)
    if text[:10] not in KNOWN_DAYS:
        day(text[:10])  # refuses other years, and is learned, so that the next one costs less
    return text[:19] + fraction.rstrip("0").rstrip(".") + "Z"


def moment(name: str, value: datetime) -> str:
    """The same for an aware datetime. Raises Found."""
    if value.tzinfo is None or value.utcoffset() is None:
        raise refuse("invalid_type", f"{name} must carry an offset; a naive datetime does not")
    return _written(value, value.isoformat())


def _real(text: str) -> datetime:
    hour, second, offset_minute = text[11:13], text[17:19], text[-2:]
    if hour != "24" and second != "60" and (text[-1] == "Z" or offset_minute < "60"):
        try:
            return datetime.fromisoformat(text)
        except ValueError:
            pass
    raise refuse("invalid_format", f"{quote(text)} is not a real instant", "I-F2")


def microseconds(text: str) -> int:
    """Microseconds since 1970 behind an instant, in normal form or as sent. Raises Found."""
    if (whole := _whole_second(text)) is not None:
        return whole
    return times.microseconds(datetime.fromisoformat(instant(text)))


def _whole_second(text: str) -> int | None:
    """Microseconds of the usual form, 2026-03-02T10:00:00Z, on a day seen before; else None."""
    try:
        return KNOWN_DAYS[text[:10]] + _MINUTES[text[10:17]] + _SECONDS[text[17:]]
    except KeyError:
        return None


def local_day(text: str, zone: str) -> str:
    """The day of an instant in normal form in an IANA zone. Raises KeyError for no such zone."""
    if zone == "UTC":
        return text[:10]
    return datetime.fromisoformat(text).astimezone(ZoneInfo(zone)).date().isoformat()


@lru_cache(maxsize=16)
def days_after(start: date, days: int) -> str:
    return (start + timedelta(days=days)).isoformat()


def _written(value: datetime, shown: str) -> str:
    try:
        if FIRST_YEAR <= value.astimezone(UTC).year <= LAST_YEAR:
            return times.write(value)
    except (OverflowError, ValueError):
        pass
    message = f"{quote(shown)} is not an instant from {FIRST_YEAR} to {LAST_YEAR}"
    raise refuse("invalid_format", message, "I-F2")


def _malformed(text: str) -> Found:
    if _OFFSET_MISSING(text):
        message = f"{quote(text)} carries no offset such as Z or +01:00"
    else:
        message = f"{quote(text)} is not an instant such as 2026-03-02T10:00:00Z"
    return refuse("invalid_format", message, "I-F2")
