"""The way from a command to the app: which database, which workspace, opened and closed."""

from __future__ import annotations

import gc
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
    return load({"database": choices.database, "workspace": choices.workspace})


def expect_many_records() -> None:
    """Let the cycle collector look less often: records are trees and free themselves.

    At its default threshold it took a third of an ingest's time.
    """
    gc.freeze()
    gc.set_threshold(200_000, 20, 20)


@contextmanager
def opened(context: typer.Context) -> Iterator[App]:
    """The app on the chosen database, closed at the end."""
    chosen = settings(context)
    from penstock.app import App

    with App.open(chosen, say=output.say) as app:
        yield app
