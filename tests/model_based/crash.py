"""What goes wrong at a commit: the process dies, or the store's answer is lost."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any

import pytest

from penstock.errors import StoreUnavailableError
from penstock.model.outcome import Counters
from penstock.model.unit import Lease, UnitOfWork
from penstock.work.owner import Owner
from tests.pipeline.plant import Plant


class Killed(BaseException):
    """Passes every `except Exception`, as the end of a process would."""


class Ending(StrEnum):
    """UNWOUND: the run still tidies up. DEAD: nothing more is written, and the lease stays with an
    owner that is gone. LOST: the process lives, but the store did not answer."""

    UNWOUND = "unwound"
    DEAD = "dead"
    LOST = "lost"


@dataclass(frozen=True, slots=True)
class Crash:
    """At the commit of the page with this index, before or after its transaction."""

    page: int
    after: bool
    ending: Ending

    @property
    def error(self) -> BaseException:
        if self.ending is Ending.LOST:
            return StoreUnavailableError("the answer to a commit was lost")
        return Killed()


class Commits:
    """Stands before the store's commit for one run. torn: the broken order that P3 forbids, where
    the checkpoint is committed in a transaction of its own, before the data."""

    def __init__(self, plant: Plant, crash: Crash | None, *, torn: bool) -> None:
        self.crash = crash
        self.torn = torn

        self.commit = plant.store.documents.commit
        self.pages = 0
        self.fired = False

    def __call__(self, unit: UnitOfWork) -> None:
        crash = self.crash if self.crash and self.crash.page == self.pages else None
        self.pages += 1
        if self.torn:
            self.commit(replace(unit, versions=(), marks=(), letters=(), counters=Counters()))
            unit = replace(unit, lease=None, unit_no=0, checkpoint=None)
        if crash is None or crash.after:
            self.commit(unit)
        if crash is not None:
            self.fired = True
            raise crash.error


@contextmanager
def crashing(plant: Plant, crash: Crash | None, *, torn: bool = False) -> Iterator[Commits]:
    """Commits of the plant go through the crash; afterwards everything is whole again."""
    commits = Commits(plant, crash, torn=torn)
    dead = replace(Owner.of_this_process(), pid=2**22 + 5, started="1")
    finish, release = plant.store.runs.finish, plant.store.streams.release

    def finish_if_alive(*args: Any, **kwargs: Any) -> None:
        if not commits.fired:
            finish(*args, **kwargs)

    def release_if_alive(lease: Lease) -> bool:
        return not commits.fired and release(lease)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(plant.store.documents, "commit", commits)
        if crash is not None and crash.ending is Ending.DEAD:
            patch.setattr(Owner, "of_this_process", lambda: dead)
            patch.setattr(plant.store.runs, "finish", finish_if_alive)
            patch.setattr(plant.store.streams, "release", release_if_alive)
        yield commits
