"""The time filter of a collection: what is sent to ask for changes, and how a record's is read."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any, Final, NamedTuple

from penstock.errors import ConnectorError
from penstock.model import times
from penstock.upstream.fields import Path
from penstock.upstream.request import Pair, Request

MINUTE: Final = timedelta(seconds=60)
NOTHING: Final = timedelta(0)

_UNITS = {"unix": 1_000_000, "unix_ms": 1_000}
_SECONDS_BELOW = 100_000_000_000
"""Numbers below are seconds (until the year 5138), from here on milliseconds (since 1973)."""
_SOME_MOMENT = datetime(2026, 11, 23, 17, 42, 59, 123456, tzinfo=UTC)
_WEST = timedelta(hours=12)
"""How far the day begins later than in UTC, in the last zone it reaches."""
_EAST = timedelta(hours=14)
"""And how far earlier in the first."""
_LATER = (NOTHING, timedelta(seconds=1), MINUTE, timedelta(hours=1), timedelta(days=1))
"""How much a text may leave out at its end."""


class Span(NamedTuple):
    """The time marks of many records. high, low: microseconds, None where none can be read.
    unread: how many of them cannot be read."""

    high: int | None
    low: int | None
    unread: int


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

    def apply(self, request: Request, watermark: datetime | None) -> Request:
        """A copy of the request that asks for what changed from the watermark on.

        watermark: aware, as stored; `lookback` is taken off here. Values are cut down to the
        format's precision, never rounded up.
        """
        lower = self.lower(watermark)
        return request if lower is None else self._from(request, lower)

    def between(self, request: Request, from_: datetime, to: datetime) -> Request:
        """A copy of the request that asks for the slice [from_, to) of a backfill.

        Where the format cannot say a bound exactly, the slice is asked for with a little around
        it: what two slices show is stored once.
        """
        return self._from(request, from_).with_params(*_pair(self.until, self.write_until(to)))

    @property
    def asks(self) -> bool:
        """Whether it limits what the provider shows, or only measures."""
        return self.param is not None or self.header is not None

    @property
    def slices(self) -> bool:
        """Whether it can ask for what lies between two moments."""
        return self.asks and self.until is not None

    @property
    def reads_what_it_writes(self) -> bool:
        """Whether a bound in this format is the moment it stands for, cut down by a day at most."""
        told = self.measure_value(self.write(_SOME_MOMENT))
        if told is None:
            return False
        cut = times.microseconds(_SOME_MOMENT) - told
        return 0 <= cut < 2 * 86_400_000_000

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

    def write_until(self, moment: datetime) -> str:
        """An upper bound as the provider wants it, never earlier than it is, and good for one that
        is exclusive."""
        if self.format == "date":
            reached = moment.astimezone(UTC) + _EAST
            midnight = reached.replace(hour=0, minute=0, second=0, microsecond=0)
            return (midnight if midnight == reached else midnight + _LATER[-1]).date().isoformat()
        texts = [self.write(moment + later) for later in _LATER]
        least = times.microseconds(moment)
        told = ((text, self.measure_value(text)) for text in texts)
        return next((t for t, micros in told if micros is not None and micros >= least), texts[-1])

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

    def span(self, values: Sequence[Any]) -> Span:
        """What the time marks of a page come to."""
        if self.format not in _UNITS and (quick := _quick_span(values)) is not None:
            return quick
        moments = [m for value in values if (m := self.measure_value(value)) is not None]
        unread = len(values) - len(moments)
        return Span(max(moments), min(moments), unread) if moments else Span(None, None, unread)

    def _from(self, request: Request, lower: datetime) -> Request:
        text = self.write(lower)
        request = request.with_params(*_pair(self.param, text))
        return request.with_headers(*_pair(self.header, text))

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


def _quick_span(values: Sequence[Any]) -> Span | None:
    """The span of texts that are all ISO 8601, in C; None where some are anything else."""
    try:
        if not values or any(map(str.isdecimal, values)):
            return None
        moments = list(map(datetime.fromisoformat, values))
        return Span(_microseconds(max(moments)), _microseconds(min(moments)), 0)
    except (TypeError, ValueError, OverflowError):
        return None


def _microseconds(moment: datetime) -> int:
    return times.microseconds(moment if moment.tzinfo else moment.replace(tzinfo=UTC))


def _pair(name: str | None, text: str) -> tuple[Pair, ...]:
    return () if name is None else ((name, text),)


_FIRST = times.microseconds(datetime.combine(date.min, datetime.min.time(), UTC))
_LAST = times.microseconds(datetime.combine(date.max, datetime.max.time(), UTC))
