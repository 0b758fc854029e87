"""Instants and dates, never through a local zone."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock.model import times


@pytest.mark.parametrize(
    ("value", "unit", "zone", "text"),
    [
        ("2026-03-02T10:00:00Z", None, None, "2026-03-02T10:00:00Z"),
        ("2026-03-02T11:30:00+01:30", None, None, "2026-03-02T10:00:00Z"),
        ("2026-03-02 11:00:00", None, "Europe/Berlin", "2026-03-02T10:00:00Z"),
        ("2026-03-02T10:00:00.1200", None, "UTC", "2026-03-02T10:00:00.12Z"),
        ("2018-10-20T00:00:00.1234567Z", None, None, "2018-10-20T00:00:00.123456Z"),
        ("/Date(1539993600000+0000)/", None, None, "2018-10-20T00:00:00Z"),
        ("/Date(1539993600000)/", None, None, "2018-10-20T00:00:00Z"),
        (1772445600, "s", None, "2026-03-02T10:00:00Z"),
        ("1772445600", "s", None, "2026-03-02T10:00:00Z"),
        (Decimal("1772445600.25"), "s", None, "2026-03-02T10:00:00.25Z"),
        (1772445600123, "ms", None, "2026-03-02T10:00:00.123Z"),
        (datetime(2026, 3, 2, 10, tzinfo=UTC), None, None, "2026-03-02T10:00:00Z"),
    ],
)
def test_instant(value: object, unit: str | None, zone: str | None, text: str) -> None:
    assert times.instant(value, unit, zone) == text


@pytest.mark.parametrize(
    ("value", "sentence"),
    [
        (1772445600, 'needs unit="s"'),
        ("2026-03-02T10:00:00", "name its zone"),
        (datetime(2026, 3, 2), "name its zone"),
        ("yesterday", "no ISO 8601 instant"),
        ("2026-13-02T10:00:00Z", "month"),
        ("0000-01-01T00:00:00Z", "year"),
        ("2026-06-30T23:59:60Z", "second"),
    ],
)
def test_instants_are_not_guessed(value: object, sentence: str) -> None:
    """DS13"""
    with pytest.raises(ValueError, match=sentence):
        times.instant(value)


@pytest.mark.parametrize(
    ("local", "often"),
    [
        ("2026-03-29 02:30:00", "never"),
        ("2026-10-25 02:30:00", "twice"),
        (datetime(2026, 10, 25, 2, 30, fold=1), "twice"),
    ],
)
def test_hours_that_clocks_show_twice_or_never_are_no_instants(local: object, often: str) -> None:
    """DS13: which of the two it was, only the provider knows."""
    with pytest.raises(ValueError, match=f"is shown {often} by the clocks of Europe/Berlin"):
        times.instant(local, zone="Europe/Berlin")
    assert times.instant("2026-10-25T02:30:00+01:00", zone="Europe/Berlin").endswith("01:30:00Z")


@pytest.mark.parametrize("value", [1.5, None, True])
def test_instants_are_no_floats(value: object) -> None:
    with pytest.raises(TypeError, match="is no instant"):
        times.instant(value, "s")


@pytest.mark.parametrize(
    ("value", "zone", "text"),
    [
        ("2026-03-02", None, "2026-03-02"),
        (date(2026, 3, 2), None, "2026-03-02"),
        ("2018-10-20T00:00:00", None, "2018-10-20"),
        ("2026-03-02T23:30:00-02:00", None, "2026-03-02"),
        ("2026-03-02T23:30:00Z", "Europe/Berlin", "2026-03-03"),
        ("/Date(1539993600000+0000)/", None, "2018-10-20"),
    ],
)
def test_date(value: object, zone: str | None, text: str) -> None:
    assert times.date(value, zone=zone) == text


def test_a_day_that_is_none() -> None:
    with pytest.raises(ValueError, match="day"):
        times.date("2026-02-30")


@given(st.datetimes(datetime(1970, 1, 1), datetime(2100, 1, 1)), st.integers(-14 * 60, 14 * 60))
def test_microseconds_and_back(naive: datetime, offset: int) -> None:
    moment = naive.replace(tzinfo=timezone(timedelta(minutes=offset)))
    assert times.moment(times.microseconds(moment)) == moment
    assert times.read(times.write(moment)) == times.microseconds(moment)
