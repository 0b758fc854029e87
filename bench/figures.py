"""The figures: what is read off the measured runs, with the target beside each."""

from __future__ import annotations

import operator
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, NamedTuple

SIDE_BY_SIDE = 20_000
"""Records on which all peers meet, second run included: dlt's takes minutes on more."""


@dataclass(frozen=True, slots=True)
class Run:
    """One ingest by one peer. error: why it does not count; the measures are None then.

    seconds: the whole command from outside. work_seconds: as the peer timed itself.
    """

    peer: str
    records: int
    ingest: str
    load_before: float
    seconds: float | None = None
    work_seconds: float | None = None
    records_per_s: int | None = None
    peak_rss_mb: float | None = None
    phases: dict[str, float] | None = None
    outcomes: dict[str, int] | None = None
    error: str | None = None

    def as_json(self) -> dict[str, Any]:
        return {name: value for name, value in asdict(self).items() if value is not None}


@dataclass(frozen=True, slots=True)
class Figure:
    """value: None when a run it needs failed; the target is missed then."""

    name: str
    value: float | None
    unit: str
    target: float
    at_least: bool

    @property
    def met(self) -> bool:
        reaches = operator.ge if self.at_least else operator.le
        return self.value is not None and bool(reaches(self.value, self.target))

    def as_json(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "value": self.value,
            "unit": self.unit,
            "target": f"{'>=' if self.at_least else '<='} {self.target:g}",
            "met": self.met,
        }


class Ratio(NamedTuple):
    """penstock's rate over that of a peer, from whole commands. records: None for the most."""

    peer: str
    ingest: str
    records: int | None
    target: float


RATIOS = (
    Ratio("dlt", "first", SIDE_BY_SIDE, 5.0),
    Ratio("dlt", "unchanged", SIDE_BY_SIDE, 20.0),
    Ratio("dlt_best", "first", SIDE_BY_SIDE, 5.0),
    Ratio("dlt_best", "unchanged", SIDE_BY_SIDE, 20.0),
    Ratio("floor", "first", None, 0.5),
    Ratio("floor", "unchanged", None, 0.5),
    Ratio("floor", "changed", None, 0.5),
)


def ratios(runs: Sequence[Run]) -> list[Figure]:
    """penstock beside the peers, for the pairs of runs that were tried."""
    by_key = {(run.peer, run.ingest, run.records): run for run in runs}
    most = max((run.records for run in runs), default=0)
    found = []
    for peer, ingest, records, target in RATIOS:
        ours = by_key.get(("penstock", ingest, records or most))
        theirs = by_key.get((peer, ingest, records or most))
        if ours and theirs:
            name = f"penstock/{peer}, {ingest}, {ours.records} records"
            found.append(Figure(name, _rate_ratio(ours, theirs), "times", target, at_least=True))
    return found


def _rate_ratio(ours: Run, theirs: Run) -> float | None:
    if ours.seconds is None or theirs.seconds is None:
        return None
    return round(theirs.seconds / ours.seconds, 2)


def million(run: Run, sustained: float | None) -> list[Figure]:
    """sustained: the rate over the last tenth of the records over that of the first tenth."""
    return [
        Figure("rate of last tenth of 1000000", sustained, "times", 0.75, at_least=True),
        Figure("peak memory, 1000000 records", run.peak_rss_mb, "MB", 250.0, at_least=False),
    ]


def startup(help_seconds: float | None, page_seconds: float | None) -> list[Figure]:
    return [
        Figure("penstock --help", help_seconds, "seconds", 0.3, at_least=False),
        Figure("run of one page", page_seconds, "seconds", 1.5, at_least=False),
    ]
