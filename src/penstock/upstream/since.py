"""The time filter of a collection: what is sent to ask for changes, and how a record's is read."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any, Final

from penstock.errors import ConnectorError
from penstock.model import times
from penstock.upstream.fields import Path
from penstock.upstream.request import Pair, Request

MINUTE: Final = timedelta(seconds=60)
NOTHING: Final = timedelta(0)

_UNITS = {"unix": 1_000_000, "unix_ms": 1_000}
_SECONDS_BELOW = 100_000_000_000
"""Numbers below are seconds (until the year 5138), from here on milliseconds (since 1973)."""
_WEST = timedelta(hours=12)
"""How far the day begins later than in UTC, in the last zone it reaches."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Since:
    """Ask for what changed since the watermark.

    param, header: where the lower bound is sent; with neither, times are only measured. until: the
    parameter of an upper bound, for backfills. field: path into the record. format: rfc3339, unix,
    unix_ms, date, or a strftime pattern in UTC. start: the lower bound while there is no watermark.
    settle: how long before a run's start the watermark stops. lookback: taken off the watermark.
    horizon: a watermark older than this makes a full run.
    """

    field: str
    param: str | None = None
    header: str | None = None
    format: str = "rfc3339"
    until: str | None = None
    start: datetime | None = None
    settle: timedelta = MINUTE
    lookback: timedelta = NOTHING
    horizon: timedelta | None = None

    def __post_init__(self) -> None:
        if self.format not in ("rfc3339", "unix", "unix_ms", "date") and "%" not in self.format:
            raise ConnectorError(
                f"Since format={self.format!r} must be rfc3339, unix, unix_ms, date or a "
                "strftime pattern such as '%Y-%m-%d %H:%M:%S'"
            )
        if self.start is not None and self.start.tzinfo is None:
            raise ConnectorError("Since start= needs a zone, for instance tzinfo=UTC")
        Path.parse(self.field)

    def apply(
        self, request: Request, watermark: datetime | None, until: datetime | None = None
    ) -> Request:
        """A copy of the request that asks for what changed from the watermark on.

        watermark: aware, as stored; `lookback` is taken off here. Values are cut down to the
        format's precision, never rounded up. until: the upper bound of a backfill's slice.
        """
        if (lower := self.lower(watermark)) is not None:
            text = self.write(lower)
            request = request.with_params(*_pair(self.param, text))
            request = request.with_headers(*_pair(self.header, text))
        if until is not None:
            request = request.with_params(*_pair(self.until, self.write(until)))
        return request

    def lower(self, watermark: datetime | None) -> datetime | None:
        """The moment to ask from, None to ask for everything."""
        return self.start if watermark is None else watermark - self.lookback

    def is_too_old(self, watermark: datetime, now: datetime) -> bool:
        """Whether the provider no longer knows what changed since then."""
        return self.horizon is not None and now - watermark > self.horizon

    def write(self, moment: datetime) -> str:
        """The moment as the provider wants it, never later than it is."""
        moment = moment.astimezone(UTC)
        match self.format:
            case "rfc3339":
                return times.write(moment.replace(microsecond=0))
            case "date":
                return (moment - _WEST).date().isoformat()
            case "unix" | "unix_ms":
                return str(times.microseconds(moment) // _UNITS[self.format])
            case pattern:
                return moment.strftime(pattern)

    def measure(self, record: Any) -> int | None:
        """Microseconds of the record's own time mark, None where it has none that can be read.

        A text without an offset is read as UTC, which is how the filter writes it back.
        """
        return self.measure_value(Path.parse(self.field).get(record))

    def measure_value(self, value: Any) -> int | None:
        """Microseconds of a time mark that was read already; see `measure`."""
        if isinstance(value, str):
            return self._of_text(value)
        if isinstance(value, (int, Decimal)) and not isinstance(value, bool):
            return self._of_number(value)
        return None

    def greatest(self, values: Sequence[Any]) -> int | None:
        """The greatest of many time marks, None where none can be read.

        Texts of one length that end in Z are in the order of their times, so one is enough.
        """
        if values and all(type(value) is str and value[-1:] == "Z" for value in values):
            moment = self._of_text(max(values)) if len(set(map(len, values))) == 1 else None
            if moment is not None:
                return moment
        moments = (self.measure_value(value) for value in values)
        return max((m for m in moments if m is not None), default=None)

    def _of_text(self, text: str) -> int | None:
        counted = self.format in _UNITS or len(text) > len("20260302")
        if counted and text.isascii() and text.isdecimal():
            return self._of_number(int(text))
        try:
            if text.startswith("/Date("):
                return times.read(times.instant(text))
            moment = datetime.fromisoformat(text)
        except (ValueError, OverflowError):
            return self._of_pattern(text)
        return _microseconds(moment)

    def _of_pattern(self, text: str) -> int | None:
        if "%" not in self.format:
            return None
        try:
            return _microseconds(datetime.strptime(text, self.format))  # noqa: DTZ007 - zone below
        except ValueError:
            return None

    def _of_number(self, value: int | Decimal) -> int | None:
        micros = int(value * _UNITS[self._unit(value)])
        return micros if _FIRST <= micros <= _LAST else None

    def _unit(self, value: int | Decimal) -> str:
        if self.format in _UNITS:
            return self.format
        return "unix" if -_SECONDS_BELOW < value < _SECONDS_BELOW else "unix_ms"


def _microseconds(moment: datetime) -> int:
    return times.microseconds(moment if moment.tzinfo else moment.replace(tzinfo=UTC))


def _pair(name: str | None, text: str) -> tuple[Pair, ...]:
    return () if name is None else ((name, text),)


_FIRST = times.microseconds(datetime.combine(date.min, datetime.min.time(), UTC))
_LAST = times.microseconds(datetime.combine(date.max, datetime.max.time(), UTC))
