"""Upkeep: what a long life does beside its work, telling people and letting go of what is old."""

from __future__ import annotations

from penstock.app.app import App
from penstock.work.aside import Aside
from penstock.work.notifier import Notifier
from penstock.work.retention import Retainer, Retention
from penstock.work.service import Chore
from penstock.work.told import told_by

NOTIFY_S = 15.0
RETAIN_S = 3600.0
FINISH_S = 5.0
"""At most so long the end waits for each: what is broken off is done by the next process."""


def chores(app: App) -> list[Chore]:
    """Of all workspaces, each in a thread of its own. Raises UsageError for a `notify` that cannot
    work, so that it is known at the start."""
    settings = app.settings
    days = (settings.keep_runs_days, settings.keep_letters_days, settings.keep_pages_days)
    retainer = Retainer(app.store, Retention.of_days(*days), app.clock)
    chores = [Chore("retain", RETAIN_S, Aside("retain", retainer.tick))]
    if settings.notify is not None:
        notifier = Notifier(app.store, told_by(settings.notify), app.clock)
        chores.append(Chore("notify", NOTIFY_S, Aside("notify", notifier.tick)))
    return chores


def finish(chores: list[Chore], grace_s: float) -> None:
    """Wait a little for what is under way, and tell of what the last runs have shown."""
    wait_s = min(grace_s, FINISH_S)
    for chore in chores:
        if isinstance(chore.do, Aside) and chore.do.wait(wait_s) and chore.name == "notify":
            chore.do()
            chore.do.wait(wait_s)
