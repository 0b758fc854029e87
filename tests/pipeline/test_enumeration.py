"""One enumeration: what it carries from page to page, and the watermark at its end."""

from __future__ import annotations

from datetime import timedelta

from hypothesis import given
from hypothesis import strategies as st

from penstock.pipeline.enumeration import Enumeration
from penstock.upstream.since import Since
from penstock.upstream.trail import Trail

SECOND = 1_000_000
START = 1_000 * SECOND
CHANGED = Since(param="since", field="updated_at")


def at(high: int | None, *, started_at: int = START) -> Enumeration:
    return Enumeration(started_at=started_at, since=None, full=False, high=high)


def test_the_watermark_is_the_greatest_change_seen() -> None:
    enumeration = at(None).after_page(400 * SECOND, Trail()).after_page(300 * SECOND, Trail())
    assert enumeration.watermark(None, CHANGED, None) == 400 * SECOND


def test_it_stops_a_settle_window_before_the_start() -> None:
    assert at(999 * SECOND).watermark(None, CHANGED, None) == (1_000 - 60) * SECOND
    ten = Since(param="since", field="updated_at", settle=timedelta(seconds=10))
    assert at(999 * SECOND).watermark(None, ten, None) == 990 * SECOND


def test_it_never_goes_back() -> None:
    assert at(400 * SECOND).watermark(500 * SECOND, CHANGED, None) == 500 * SECOND


def test_without_a_time_of_change_it_stays() -> None:
    assert at(None).watermark(500 * SECOND, CHANGED, None) == 500 * SECOND
    assert at(None).watermark(None, CHANGED, None) is None


def test_a_route_may_name_it_itself() -> None:
    assert at(400 * SECOND).watermark(None, None, 450 * SECOND) == 450 * SECOND
    assert at(400 * SECOND).watermark(None, None, 5_000 * SECOND) == 940 * SECOND


@given(
    highs=st.lists(st.none() | st.integers(0, 2_000 * SECOND), max_size=8),
    before=st.none() | st.integers(0, 900 * SECOND),
)
def test_watermark_laws(highs: list[int | None], before: int | None) -> None:
    enumeration = at(None)
    for high in highs:
        enumeration = enumeration.after_page(high, Trail())
    reached = enumeration.watermark(before, CHANGED, None)
    if reached is None:
        assert before is None
        assert all(high is None for high in highs)
    else:
        assert before is None or reached >= before
        assert reached <= max(940 * SECOND, before or 0)


def test_it_survives_the_checkpoint() -> None:
    enumeration = Enumeration(START, 5, full=True, high=7, pages=3, trail=Trail(("ab",), "cd", 9))
    assert Enumeration.from_json(enumeration.as_json()) == enumeration
