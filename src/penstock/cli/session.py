"""The way from a command to the app: which database, which workspace, opened and closed."""

from __future__ import annotations

import gc
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import typer

from penstock.cli import output

if TYPE_CHECKING:
    from penstock.app import App
    from penstock.config import Settings


@dataclass(frozen=True, slots=True)
class Choices:
    """What was given before or after the command; None where nothing was."""

    database: str | None = None
    workspace: str | None = None


def settings(context: typer.Context) -> Settings:
    """The merged settings. Raises UsageError."""
    from penstock.config import load

    choices: Choices = context.find_root().obj
    chosen = load({"database": choices.database, "workspace": choices.workspace})
    output.log_to_stderr(chosen.log)
    return chosen


def expect_many_records() -> None:
    """Let the cycle collector look less often, and threads take turns sooner.

    The thread that commits should not wait 5 ms for each of its statements while others fetch and
    read.
    """
    from penstock.pipeline.collector import collect_seldom

    collect_seldom()
    sys.setswitchinterval(0.0005)


@contextmanager
def opened(context: typer.Context) -> Iterator[App]:
    """The app on the chosen database, closed at the end."""
    chosen = settings(context)
    gc.disable()  # what an import makes stays: looking for garbage in it takes a tenth of the start
    from penstock.app import App

    gc.enable()
    with App.open(chosen, say=output.say) as app:
        output.hide_with(app.vault.redact)
        yield app
