"""The figures: what is read off the measured runs, with the target beside each."""

from __future__ import annotations

import operator
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from faults import Stood
    from rederive import Rederived

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
class Paced:
    """One peer in four processes at an API that refuses what is too much.

    refused: answered with 429. used: requests let in, over those that could have been from the
    first to the last. least_share: of the process that got least while all four were reading, over
    a fourth. failed: processes that did not bring all of their records.
    """

    peer: str
    retry_after: bool
    load_before: float
    failed: int
    requests: int
    refused: int
    refused_percent: float
    used_percent: float
    least_share_percent: float
    seconds: float

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Slow:
    """Two streams of an API with latency, by one process or two. error: why it does not count."""

    processes: int
    records: int
    load_before: float
    seconds: float | None = None
    records_per_s: int | None = None
    error: str | None = None

    def as_json(self) -> dict[str, Any]:
        return {name: value for name, value in asdict(self).items() if value is not None}


@dataclass(frozen=True, slots=True)
class Figure:
    """value: None when a run it needs failed; the target is missed then. of_work: the same without
    the start and the end of the commands, where that is known too; no target is held to it."""

    name: str
    value: float | None
    unit: str
    target: float
    at_least: bool
    of_work: float | None = None

    @property
    def met(self) -> bool:
        reaches = operator.ge if self.at_least else operator.le
        return self.value is not None and bool(reaches(self.value, self.target))

    def as_json(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "value": self.value,
            **({} if self.of_work is None else {"of_work": self.of_work}),
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
    ours: str = "penstock"


RATIOS = (
    Ratio("dlt", "first", None, 5.0),
    Ratio("dlt", "first", SIDE_BY_SIDE, 5.0),
    Ratio("dlt", "unchanged", SIDE_BY_SIDE, 20.0),
    Ratio("dlt_best", "first", None, 5.0),
    Ratio("dlt_best", "first", SIDE_BY_SIDE, 5.0),
    Ratio("dlt_best", "unchanged", SIDE_BY_SIDE, 20.0),
    Ratio("floor", "first", None, 0.5),
    Ratio("floor", "unchanged", None, 0.5),
    Ratio("floor", "changed", None, 0.5),
    Ratio("dlt_pg", "first", None, 4.0, "penstock_pg"),
    Ratio("dlt_pg", "unchanged", None, 8.0, "penstock_pg"),
    Ratio("dlt_pg_best", "first", None, 4.0, "penstock_pg"),
    Ratio("dlt_pg_best", "unchanged", None, 8.0, "penstock_pg"),
    Ratio("floor_pg", "first", None, 0.5, "penstock_pg"),
    Ratio("floor_pg", "unchanged", None, 0.5, "penstock_pg"),
    Ratio("floor_pg", "changed", None, 0.5, "penstock_pg"),
)


def ratios(runs: Sequence[Run]) -> list[Figure]:
    """penstock beside the peers, for the pairs of runs that were tried."""
    by_key = {(run.peer, run.ingest, run.records): run for run in runs}
    most = max((run.records for run in runs), default=0)
    found = []
    for peer, ingest, records, target, name_of_ours in RATIOS:
        ours = by_key.get((name_of_ours, ingest, records or most))
        theirs = by_key.get((peer, ingest, records or most))
        if ours and theirs:
            name = f"{name_of_ours}/{peer}, {ingest}, {ours.records} records"
            whole = _over(theirs.seconds, ours.seconds)
            of_work = _over(theirs.work_seconds, ours.work_seconds)
            found.append(Figure(name, whole, "times", target, at_least=True, of_work=of_work))
    return list({figure.name: figure for figure in found}.values())


def _over(theirs: float | None, ours: float | None) -> float | None:
    return round(theirs / ours, 2) if theirs and ours else None


def million(run: Run, sustained: float | None) -> list[Figure]:
    """sustained: the rate over the last tenth of the records over that of the first tenth."""
    return [
        Figure("rate of last tenth of 1000000", sustained, "times", 0.75, at_least=True),
        Figure("peak memory, 1000000 records", run.peak_rss_mb, "MB", 250.0, at_least=False),
    ]


def latency(runs: Sequence[Slow]) -> list[Figure]:
    """The rate of two processes over that of one."""
    if not runs:
        return []
    one, two = (run.seconds for run in runs)
    name = "two processes/one, 100 ms latency"
    return [Figure(name, _over(one, two), "times", 1.8, at_least=True)]


def stored(runs: Sequence[Run]) -> list[Figure]:
    """The rates with many documents stored over those with few, each pair in its order."""
    half = len(runs) // 2
    return [
        Figure(
            f"{many.peer}, {many.ingest}: rate over that of few",
            _over(few.seconds, many.seconds),
            "times",
            0.6,
            at_least=True,
            of_work=_over(few.work_seconds, many.work_seconds),
        )
        for few, many in zip(runs[:half], runs[half:], strict=True)
    ]


def pace(runs: Sequence[Paced]) -> list[Figure]:
    """penstock's; dlt's stand beside them among the runs."""
    found = []
    for run in runs:
        if run.peer == "penstock":
            told = "with" if run.retry_after else "without"
            name = f"four processes {told} Retry-After, "
            found += [
                Figure(name + "refused", run.refused_percent, "percent", 1.0, at_least=False),
                Figure(name + "allowance used", run.used_percent, "percent", 95.0, at_least=True),
                Figure(
                    name + "least share", run.least_share_percent, "percent", 60.0, at_least=True
                ),
                Figure(name + "failed", run.failed, "runs", 0, at_least=False),
            ]
    return found


def faults(stood: Sequence[Stood]) -> list[Figure]:
    """How many faults each peer stood; penstock has to stand them all."""
    of_each = Counter(one.peer for one in stood)
    return [
        Figure(
            f"{peer}: faults of a provider stood, of {count}",
            sum(one.outcome == "stood" for one in stood if one.peer == peer),
            "faults",
            count if peer == "penstock" else 0,
            at_least=True,
        )
        for peer, count in of_each.items()
    ]


def rederive(looks: Sequence[Rederived]) -> list[Figure]:
    """The whole command with two processes, over that with one."""
    if not looks:
        return []
    one, two = looks
    name = f"rederive by two processes/one, {one.records} records"
    whole = _over(one.seconds, two.seconds)
    of_work = _over(one.work_seconds, two.work_seconds)
    return [Figure(name, whole, "times", 1.6, at_least=True, of_work=of_work)]


def startup(help_seconds: float | None, page_seconds: float | None) -> list[Figure]:
    return [
        Figure("penstock --help", help_seconds, "seconds", 0.3, at_least=False),
        Figure("run of one page", page_seconds, "seconds", 1.5, at_least=False),
    ]
