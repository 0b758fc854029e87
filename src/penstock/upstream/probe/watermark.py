"""Which field of the records tells when they changed, and how exactly. Pure."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from penstock.upstream.fields import MISSING, Path
from penstock.upstream.probe.sight import leaf, members
from penstock.upstream.since import Since

WORDS = (("updat", 3), ("modif", 3), ("chang", 3), ("modstamp", 3), ("edited", 2), ("creat", 1))
"""Parts of names, and how well they say that a field moves with every change."""
DEPTH = 3
FRACTION = re.compile(r"\d{1,2}:\d{2}:\d{2}[.,](\d+)")
DAY = re.compile(r"\d{4}-\d{2}-\d{2}")
SPACED = re.compile(r"\d{4}-\d{2}-\d{2} \d{2}:\d{2}:\d{2}")
SECONDS_BELOW = 100_000_000_000


@dataclass(frozen=True, slots=True)
class Watermark:
    """A field that may bound what is asked for.

    since: its declaration, which only measures until the API's parameter is named. precision: day,
    minute, second, millisecond or microsecond. order: how the records stand. missing: records
    without it. note: what speaks against it.
    """

    since: Since
    precision: str
    order: str
    missing: int
    note: str | None = None

    def as_json(self) -> dict[str, Any]:
        return {
            "field": self.since.field,
            "format": self.since.format,
            "precision": self.precision,
            "order": self.order,
            "missing": self.missing,
            "note": self.note,
        }


def watermark(records: Sequence[Any]) -> Watermark | None:
    """The best field of these records, None where none tells a time of change."""
    paths = dict.fromkeys(path for r in records for path, _ in members(r, DEPTH))
    ranked = [(path, _rank(path)) for path in paths]
    fitting = [(path, rank) for path, rank in ranked if rank and _times(path, records)]
    if not fitting:
        return None
    path, rank = max(fitting, key=lambda item: (item[1], -item[0].count(".")))
    return _watermark(path, rank, records)


def _watermark(path: str, rank: int, records: Sequence[Any]) -> Watermark:
    values = [Path.parse(path).get(record) for record in records]
    given = [value for value in values if value not in (None, MISSING, "")]
    since = Since(field=path, format=_format(given))
    note = None
    if rank == 1:
        note = "it tells of new records only; changed ones need full= on the stream"
    return Watermark(
        since, _precision(given), _order(path, records), len(values) - len(given), note
    )


def _rank(path: str) -> int:
    name = leaf(path)
    return next((rank for word, rank in WORDS if word in name), 0)


def _times(path: str, records: Sequence[Any]) -> bool:
    """Whether every value that is there can be read as a time, and there is one."""
    since = Since(field=path)
    values = [Path.parse(path).get(record) for record in records]
    given = [value for value in values if value not in (None, MISSING, "")]
    return bool(given) and all(since.measure_value(value) is not None for value in given)


def _format(values: Sequence[Any]) -> str:
    if all(isinstance(value, str) for value in values):
        if all(DAY.fullmatch(value) for value in values):
            return "date"
        return "%Y-%m-%d %H:%M:%S" if all(SPACED.match(v) for v in values) else "rfc3339"
    numbers = [int(value) for value in values if not isinstance(value, str)]
    return "unix" if all(abs(number) < SECONDS_BELOW for number in numbers) else "unix_ms"


def _precision(values: Sequence[Any]) -> str:
    """As fine as any value is; zeros behind the point count for nothing."""
    if not all(isinstance(value, str) for value in values):
        return "second" if _format(values) == "unix" else "millisecond"
    if all(DAY.fullmatch(value) or "T00:00:00" in value for value in values):
        return "day"
    if all(value.startswith("/Date(") for value in values):
        return "millisecond"
    if not any(re.search(r"\d:\d\d:\d\d", value) for value in values):
        return "minute"
    fractions = (FRACTION.search(value) for value in values)
    digits = max(len(found[1].rstrip("0")) if found else 0 for found in fractions)
    return "second" if not digits else "millisecond" if digits <= 3 else "microsecond"


def _order(path: str, records: Sequence[Any]) -> str:
    measured = [m for m in map(Since(field=path).measure, records) if m is not None]
    if len(set(measured)) < 2:
        return "unknown"
    if measured == sorted(measured):
        return "ascending"
    return "descending" if measured == sorted(measured, reverse=True) else "unsorted"
