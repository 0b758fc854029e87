"""A task: the hint that something is due. The lease decides whether it is, and for whom."""

from __future__ import annotations

import logging
import traceback
from collections.abc import Callable
from typing import NamedTuple

from penstock.errors import PenstockError
from penstock.telemetry import event


class Task(NamedTuple):
    """A stream to be run, or a partition of one's past."""

    workspace: str
    connection: str
    stream: str
    partition: str = ""

    def __str__(self) -> str:
        return "/".join(part for part in self if part)


Run = Callable[[Task], None]
"""Runs a task to its end, or lets it go where the lease is another's."""


def attempt(run: Run, task: Task) -> None:
    """Run a task. What it raises is told and goes no further: its row says when it is due again."""
    try:
        run(task)
    except PenstockError as error:
        event("task.failed", logging.WARNING, task=str(task), reason=error.code)
    except Exception:
        told = traceback.format_exc(limit=-5)
        event("task.broken", logging.ERROR, task=str(task), trace=told)
