"""Instants and dates: provider values become canonical text, never through a local zone.

>>> times.instant(1772445600)
Traceback (most recent call last):
ValueError: instant 1772445600 needs unit="s", "ms" or "us"
>>> times.instant(1772445600, unit="s")
'2026-03-02T10:00:00Z'
>>> times.instant("2026-03-02 11:00:00", zone="Europe/Berlin")
'2026-03-02T10:00:00Z'
>>> times.date("/Date(1539993600000+0000)/")
'2018-10-20'
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from datetime import date as _date
from decimal import Decimal
from zoneinfo import ZoneInfo

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_PER_UNIT = {"s": 1_000_000, "ms": 1_000, "us": 1}
_MICROSOFT_JSON = re.compile(r"/Date\((-?\d{1,17})([+-]\d{4})?\)/")
_CANONICAL = re.compile(
    r"\d{4}-\d{2}-\d{2}[T ]\d{2}:\d{2}:\d{2}(?:\.(\d{1,9}))?(Z|[+-]\d{2}:?\d{2})?"
)


def instant(value: object, unit: str | None = None, zone: str | None = None) -> str:
    """A canonical instant: UTC with Z, at most six digits of fraction, none of them trailing zeros.

    value: an aware datetime, ISO 8601 text, `/Date(ms)/` text, or a number (int, Decimal, digits)
    with unit "s", "ms" or "us". zone: an IANA name for text or datetimes that carry no offset;
    without it those are refused, since a guess would be wrong for somebody, and so are the hours
    that a zone's clocks show twice or never. Raises ValueError with a sentence.
    """
    return write(_moment(value, unit, zone))


def date(value: object, unit: str | None = None, zone: str | None = None) -> str:
    """A canonical calendar date, YYYY-MM-DD.

    Takes what `instant` takes, and dates. An instant is read as the day in `zone`, or in the
    offset it carries itself; Microsoft and number forms count as UTC without a zone.
    Raises ValueError with a sentence.
    """
    if isinstance(value, _date) and not isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, str) and len(value) >= 10 and value[4:5] == "-":
        if len(value) == 10:
            return _date.fromisoformat(value).isoformat()
        parsed = _parse(value)
        if parsed.tzinfo is None or zone is None:
            return parsed.date().isoformat()
        return parsed.astimezone(ZoneInfo(zone)).date().isoformat()
    moment = _moment(value, unit, zone)
    return moment.astimezone(ZoneInfo(zone) if zone else UTC).date().isoformat()


def write(moment: datetime) -> str:
    """The canonical text of an aware datetime."""
    text = moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S")
    if moment.microsecond:
        text += f".{moment.microsecond:06d}".rstrip("0")
    return text + "Z"


def microseconds(moment: datetime) -> int:
    """Microseconds since 1970 in UTC, exact. Raises ValueError for a naive datetime."""
    if moment.tzinfo is None:
        raise ValueError("a datetime without a zone names no instant")
    return (moment - _EPOCH) // _MICROSECOND


def moment(micros: int) -> datetime:
    """The aware datetime behind microseconds since 1970."""
    return _EPOCH + timedelta(microseconds=micros)


def read(text: str) -> int:
    """Microseconds behind canonical instant text (digits beyond six are cut)."""
    return microseconds(_parse(text))


def _moment(value: object, unit: str | None, zone: str | None) -> datetime:
    if isinstance(value, datetime):
        return _zoned(value, zone, repr(value))
    if isinstance(value, str):
        if match := _MICROSOFT_JSON.fullmatch(value):
            return moment(int(match[1]) * 1000)
        if not re.fullmatch(r"-?\d+(\.\d+)?", value):
            return _zoned(_parse(value), zone, value)
        value = Decimal(value)
    if isinstance(value, bool) or not isinstance(value, (int, Decimal)):
        raise TypeError(f"{value!r} is no instant: give text, a datetime or a number with a unit")
    if unit not in _PER_UNIT:
        raise ValueError(f'instant {value} needs unit="s", "ms" or "us"')
    return moment(int(value * _PER_UNIT[unit]))


def _zoned(value: datetime, zone: str | None, shown: str) -> datetime:
    if value.tzinfo is not None:
        return value
    if zone is None:
        raise ValueError(f"{shown} carries no offset; name its zone, for instance zone='UTC'")
    earlier, later = (value.replace(tzinfo=ZoneInfo(zone), fold=fold) for fold in (0, 1))
    if earlier.utcoffset() != later.utcoffset():
        often = "twice" if earlier.astimezone(UTC) < later.astimezone(UTC) else "never"
        raise ValueError(f"{shown} is shown {often} by the clocks of {zone}; it needs its offset")
    return earlier


def _parse(text: str) -> datetime:
    match = _CANONICAL.fullmatch(text)
    if match is None:
        raise ValueError(f"{text[:64]!r} is no ISO 8601 instant such as '2026-03-02T10:00:00Z'")
    fraction = match[1]
    if fraction and len(fraction) > 6:
        text = text.replace("." + fraction, "." + fraction[:6], 1)
    return datetime.fromisoformat(text)
