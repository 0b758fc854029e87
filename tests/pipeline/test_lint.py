"""What an enumeration shows to be doubtful about a cursor."""

from __future__ import annotations

from typing import Any

import pytest

from penstock import Since
from penstock.model import times
from penstock.pipeline.letters import Postmaster
from penstock.pipeline.lint import CursorLint
from penstock.pipeline.stage import Stage

NOW = times.read("2026-03-02T10:00:00Z")
HOUR = 3600 * 1_000_000


def page(*marks: str | int, fetched: int = 100, **changes: Any) -> Stage:
    stage = Stage(NOW, Postmaster("default", "acme", "customers"), fetched=fetched)
    for mark in marks:
        stage.saw(mark if isinstance(mark, int) else times.read(mark))
    for name, value in changes.items():
        setattr(stage, name, value)
    return stage


def notes(*pages: Stage, whole: bool = True, told: int | None = NOW, **since: Any) -> list[str]:
    lint = CursorLint()
    lint.see_clock(told, NOW)
    for one in pages:
        lint.see(one)
    return list(lint.notes(Since(field="updated_at", param="since", **since), whole=whole))


GOOD = page("2026-03-01T09:00:00Z", "2026-03-01T17:30:01Z")


def test_a_good_cursor_is_not_spoken_of() -> None:
    assert notes(GOOD, GOOD) == []
    assert CursorLint().notes(None, whole=True) == ()


def test_marks_that_cannot_be_read_are_counted_over_all_pages() -> None:
    (note,) = notes(page("2026-03-01T09:00:00Z", unmarked=2), page(unmarked=100))
    assert note.startswith("102 of 200 records have no updated_at that can be read as rfc3339")


def test_seconds_taken_for_milliseconds() -> None:
    (note,) = notes(page(1_772_445_600 * 1_000, fetched=5), format="unix_ms")
    assert "format='unix'" in note


def test_local_times_without_an_offset_lie_in_the_future() -> None:
    (note,) = notes(page("2026-03-01T09:00:00Z", NOW + 2 * HOUR))
    assert "120 min ahead of the source's own clock" in note


@pytest.mark.parametrize("off", [-600, 600])
def test_another_clock(off: int) -> None:
    (note,) = notes(GOOD, told=NOW + off * 1_000_000)
    assert f"10 min {'behind' if off < 0 else 'ahead of'} ours" in note


def test_a_minute_is_no_matter() -> None:
    assert notes(page("2026-03-01T09:00:01Z", NOW + 30_000_000), told=NOW + 60_000_000) == []


def test_changes_without_a_later_mark_count_where_everything_was_read() -> None:
    quiet = page("2026-03-01T09:00:00Z", "2026-03-01T17:30:01Z", unmoved=3)
    (note,) = notes(quiet)
    assert note.startswith("3 of 100 records have changed and kept their updated_at")
    assert notes(quiet, whole=False) == []


def test_declared_against_observed_precision() -> None:
    """SA18: coarser or finer than declared costs requests, and loses nothing."""
    days = page("2026-02-01T00:00:00Z", "2026-03-01T00:00:00Z")
    (note,) = notes(days)
    assert "format='date' says the same" in note
    assert notes(days, format="date") == []
    (note,) = notes(GOOD, format="date")
    assert "finer than format='date'" in note
    assert notes(page("2026-02-01T00:00:00Z", "2026-03-01T00:00:00Z", fetched=5)) == []
