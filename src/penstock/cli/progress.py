"""How far a long command has come: live bars on a terminal, a plain line now and then elsewhere."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Protocol

from penstock.cli import output
from penstock.model.outcome import Counters

if TYPE_CHECKING:
    from penstock.read.backfills import BackfillView

LINE_EVERY_S = 5.0


class Step(Protocol):
    """What is known after a page. seconds: since the stream's run began."""

    @property
    def stream(self) -> str: ...
    @property
    def counters(self) -> Counters: ...
    @property
    def seconds(self) -> float: ...


def told(counters: Counters, seconds: float) -> str:
    """Pages, records, rate and the outcomes that occurred, in one line."""
    records = max(counters.fetched, counters.submitted)
    parts = [output.counted(counters.pages, "page"), output.counted(records, "record")]
    if seconds > 0 and records:
        parts.append(f"{records / seconds:,.0f}/s")
    outcomes = {
        "created": counters.created,
        "updated": counters.updated,
        "unchanged": counters.unchanged,
        "stale": counters.stale,
        "filtered": counters.filtered,
        "rejected": counters.set_aside,
    }
    return ", ".join(parts + [f"{number:,} {name}" for name, number in outcomes.items() if number])


@contextmanager
def shown() -> Iterator[Callable[[Step], None]]:
    """A function to call after every page; what it shows goes to stderr."""
    if sys.stderr.isatty():
        with _bars() as show:
            yield show
    else:
        yield Lines(output.say).show


@contextmanager
def of_backfills() -> Iterator[Callable[[BackfillView], None]]:
    """The same for backfills, to be called now and then."""
    if sys.stderr.isatty():
        with _backfill_bars() as show:
            yield show
    else:
        yield BackfillLines(output.say, time.monotonic).show


def reached(view: BackfillView) -> str:
    """How far a backfill has come, in one line: partitions, records, time left or what it waits
    for."""
    parts = [f"{view.done:,} of {output.counted(view.total, 'partition')}"]
    names = ("running", "failed", "parked")
    parts += [f"{view.partitions[name]:,} {name}" for name in names if view.partitions[name]]
    if view.counters.pages:
        parts.append(told(view.counters, 0))
    if view.next_try_at is not None and not view.partitions["running"]:
        parts.append(f"waits until {view.next_try_at[:19]}Z")
    elif view.seconds_left:
        parts.append(f"{lasting(view.seconds_left)} left")
    return ", ".join(parts)


def lasting(seconds: float | None) -> str | None:
    """A span as one says it, the two largest units of it: 2 h 5 min."""
    if seconds is None:
        return None
    whole = round(seconds)
    units = (("d", whole // 86_400), ("h", whole // 3600 % 24), ("min", whole // 60 % 60))
    named = [f"{count} {unit}" for unit, count in (*units, ("s", whole % 60)) if count]
    return " ".join(named[:2]) or "0 s"


class BackfillLines:
    """One line per backfill at once, and again when LINE_EVERY_S have passed. clock: seconds."""

    def __init__(self, say: Callable[[str], None], clock: Callable[[], float]) -> None:
        self._say = say
        self._clock = clock

        self._said_at: dict[int, float] = {}

    def show(self, view: BackfillView) -> None:
        now, last = self._clock(), self._said_at.get(view.backfill_no)
        if last is not None and now - last < LINE_EVERY_S:
            return
        self._said_at[view.backfill_no] = now
        self._say(f"backfill {view.backfill_no}: {reached(view)}")


class Lines:
    """One line per stream at its first page, and again when LINE_EVERY_S have passed."""

    def __init__(self, say: Callable[[str], None]) -> None:
        self._say = say

        self._said_at: dict[str, float] = {}

    def show(self, step: Step) -> None:
        last = self._said_at.get(step.stream)
        if last is not None and step.seconds - last < LINE_EVERY_S:
            return
        self._said_at[step.stream] = step.seconds
        self._say(f"{step.stream}: {told(step.counters, step.seconds)}")


@contextmanager
def _bars() -> Iterator[Callable[[Step], None]]:
    from rich.console import Console
    from rich.progress import BarColumn, Progress, SpinnerColumn, TaskID, TextColumn

    columns = (
        SpinnerColumn(),
        TextColumn("{task.fields[stream]}", markup=False),
        BarColumn(bar_width=12),
        TextColumn("{task.description}", markup=False),
    )
    tasks: dict[str, TaskID] = {}
    with Progress(*columns, console=Console(stderr=True), transient=True) as bars:

        def show(step: Step) -> None:
            if step.stream not in tasks:
                tasks[step.stream] = bars.add_task("", total=None, stream=step.stream)
            bars.update(tasks[step.stream], description=told(step.counters, step.seconds))

        yield show


@contextmanager
def _backfill_bars() -> Iterator[Callable[[BackfillView], None]]:
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TaskID, TaskProgressColumn, TextColumn

    columns = (
        TextColumn("{task.fields[name]}", markup=False),
        BarColumn(bar_width=20),
        TaskProgressColumn(),
        TextColumn("{task.description}", markup=False),
    )
    tasks: dict[int, TaskID] = {}
    with Progress(*columns, console=Console(stderr=True), transient=True) as bars:

        def show(view: BackfillView) -> None:
            number = view.backfill_no
            if number not in tasks:
                tasks[number] = bars.add_task("", total=view.total, name=f"backfill {number}")
            bars.update(tasks[number], completed=view.done, description=reached(view))

        yield show
