"""A process that reads records still finds what a mapping leaves behind in circles."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Iterator

import pytest

from penstock.pipeline.collector import NEW_OBJECTS, collect_seldom


class Left:
    """What an author's mapping may leave behind: an object that holds itself."""

    def __init__(self) -> None:
        self.me = self


@pytest.fixture(autouse=True)
def _collector() -> Iterator[None]:
    threshold, enabled = gc.get_threshold(), gc.isenabled()
    yield
    gc.unfreeze()
    gc.set_threshold(*threshold)
    (gc.enable if enabled else gc.disable)()


def test_circles_are_found_in_time() -> None:
    gc.disable()
    collect_seldom()
    gone = weakref.ref(Left())
    assert gone() is not None
    kept: list[list[object]] = [[] for _ in range(NEW_OBJECTS + 1_000)]  # some come from a pool
    assert gone() is None, f"still there after {len(kept)} new objects"


def test_what_is_there_is_not_looked_at() -> None:
    before = gc.get_freeze_count()
    collect_seldom()
    assert gc.get_freeze_count() > before
