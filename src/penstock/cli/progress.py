"""How far a long command has come: live bars on a terminal, a plain line now and then elsewhere."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Protocol

from penstock.cli import output
from penstock.model.outcome import Counters

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
