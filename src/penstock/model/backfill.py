"""A backfill: the past of a stream, cut into partitions that are pulled by themselves. Pure.

A partition is a slice of time, half open, and may have keys (`region=eu`). Its name is that of its
checkpoint and lease among those of the stream: `backfill/7/2026-01-01/region=eu`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from itertools import islice, pairwise, product
from urllib.parse import quote

from penstock.model import times
from penstock.model.outcome import Counters

PREFIX = "backfill/"
BELOW = "#"
"""Between the name of a partition and that of a parent below it, where the stream has parents."""

MOST_PARTITIONS = 100_000
DAY = timedelta(days=1)


class Step(StrEnum):
    """How long a slice is. Days, ISO weeks and months begin at midnight in UTC."""

    DAY = "day"
    WEEK = "week"
    MONTH = "month"


class BackfillState(StrEnum):
    RUNNING = "running"
    """Its partitions are there to be pulled, by whoever comes."""
    PAUSED = "paused"
    DONE = "done"
    FAILED = "failed"
    """Nothing is left to pull, and not every partition is done."""
    CANCELED = "canceled"


class PartitionState(StrEnum):
    WAITING = "waiting"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    """Refused for good, or too often in a row."""
    PARKED = "parked"
    """Its process died again and again."""
    CANCELED = "canceled"


OPEN = (PartitionState.WAITING, PartitionState.RUNNING)
ENDED = (BackfillState.DONE, BackfillState.CANCELED)
"""States that no backfill leaves again."""


@dataclass(frozen=True, slots=True)
class Slice:
    """What one partition asks for: from_at inclusive, to_at exclusive, microseconds. keys: what
    else it is limited to."""

    from_at: int
    to_at: int
    keys: Mapping[str, str] = field(default_factory=dict)

    @property
    def label(self) -> str:
        """Its name within the backfill; labels sort by time."""
        return "/".join((_moment_text(self.from_at), *self.key_texts))

    @property
    def key_texts(self) -> tuple[str, ...]:
        return tuple(f"{quote(k, safe='')}={quote(v, safe='')}" for k, v in self.keys.items())


@dataclass(frozen=True, slots=True)
class Part:
    """A slice as a run pulls it. partition: its name. cutoff_at: what it brings counts as received
    then at the latest, so that it never takes the place of what the live stream stored since."""

    partition: str
    slice: Slice
    cutoff_at: int

    @property
    def from_(self) -> datetime:
        return times.moment(self.slice.from_at)

    @property
    def to(self) -> datetime:
        return times.moment(self.slice.to_at)


@dataclass(frozen=True, slots=True)
class NewBackfill:
    """A backfill to be made. from_at, to_at: microseconds. created_at: its cutoff, too."""

    workspace: str
    connection: str
    stream: str
    from_at: int
    to_at: int
    by: Step
    parallel: int
    created_at: int


@dataclass(frozen=True, slots=True)
class PartitionEnd:
    """Where an attempt leaves its partition. next_try_at: microseconds, None for at once.
    failures: failed attempts in a row."""

    state: PartitionState
    reason: str | None = None
    next_try_at: int | None = None
    failures: int = 0


@dataclass(frozen=True, slots=True)
class Tally:
    """What the partitions of a backfill come to.

    states: how many are in each. worked_us: how long the done ones took, together. next_try_at:
    when the first of those that wait for a time may be tried, microseconds.
    """

    states: Mapping[PartitionState, int]
    counters: Counters = field(default_factory=Counters)
    worked_us: int = 0
    next_try_at: int | None = None

    @property
    def partitions(self) -> int:
        return sum(self.states.values())

    @property
    def done(self) -> int:
        return self.states.get(PartitionState.DONE, 0)

    @property
    def open(self) -> int:
        """How many are still to be pulled."""
        return sum(self.states.get(state, 0) for state in OPEN)

    def left_us(self, parallel: int) -> int | None:
        """How long the open ones will take if they are like those before; None before the first."""
        if not self.open:
            return 0
        if not self.done:
            return None
        each = self.worked_us / self.done
        return round(each * self.open / min(parallel, self.open))


def cut(from_: datetime, to: datetime, by: Step) -> list[Slice]:
    """The slices of [from_, to): without a gap, without overlap, none of them empty.

    Aware datetimes. Inner edges lie at midnight in UTC. Raises ValueError where there is nothing
    to cut, and for more than MOST_PARTITIONS slices.
    """
    if from_ >= to:
        raise ValueError(f"{times.write(from_)} is not before {times.write(to)}")
    edges = list(islice(_edges(from_, to, by), MOST_PARTITIONS + 2))
    if len(edges) > MOST_PARTITIONS + 1:
        raise ValueError(f"more than {MOST_PARTITIONS:,} slices; take longer ones, or less time")
    return [Slice(a, b) for a, b in pairwise(map(times.microseconds, edges))]


def times_keys(slices: Sequence[Slice], pairs: Sequence[tuple[str, str]]) -> list[Slice]:
    """Every slice once for every combination of keys.

    pairs: (key, value); several values of a key make that many partitions of each slice. Raises
    ValueError for more than MOST_PARTITIONS.
    """
    values: dict[str, list[str]] = {}
    for key, value in pairs:
        if value not in values.setdefault(key, []):
            values[key].append(value)
    combined = [dict(zip(values, some, strict=True)) for some in product(*values.values())]
    if len(slices) * len(combined) > MOST_PARTITIONS:
        raise ValueError(f"more than {MOST_PARTITIONS:,} partitions; take longer slices")
    return [Slice(one.from_at, one.to_at, keys) for one in slices for keys in combined]


def partition_name(backfill_no: int, label: str) -> str:
    return f"{PREFIX}{backfill_no}/{label}"


def label_of(partition: str) -> str:
    """The partition's name within its backfill."""
    return partition.split("/", 2)[2]


def number_of(partition: str) -> int | None:
    """The number of the backfill that a partition belongs to; None for one of no backfill."""
    if not partition.startswith(PREFIX):
        return None
    number = partition.split("/", 2)[1]
    return int(number) if number.isdecimal() else None


def _edges(from_: datetime, to: datetime, by: Step) -> Iterator[datetime]:
    edge = from_.astimezone(UTC)
    while edge < to:
        yield edge
        edge = _next_edge(edge, by)
    yield to.astimezone(UTC)


def _next_edge(moment: datetime, by: Step) -> datetime:
    midnight = moment.replace(hour=0, minute=0, second=0, microsecond=0)
    match by:
        case Step.DAY:
            return midnight + DAY
        case Step.WEEK:
            return midnight + DAY * (7 - midnight.weekday())
        case Step.MONTH:
            return (midnight.replace(day=1) + 31 * DAY).replace(day=1)


def _moment_text(micros: int) -> str:
    """A date where the moment is a midnight, else the whole instant."""
    return times.write(times.moment(micros)).removesuffix("T00:00:00Z")
