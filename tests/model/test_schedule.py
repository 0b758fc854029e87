"""Schedules: cron fields in a time zone, through the nights that are an hour longer or shorter."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest

from penstock.model.schedule import Schedule

BERLIN = "CRON_TZ=Europe/Berlin "
"""The night to 2026-03-29 has no 02:30 there, that to 2026-10-25 has it twice."""


def times_of(text: str, after: datetime, count: int) -> list[str]:
    schedule, found = Schedule.parse(text), []
    for _ in range(count):
        after = schedule.after(after)
        found.append(after.strftime("%m-%dT%H:%M"))
    return found


def test_times_are_in_utc_unless_a_zone_is_named() -> None:
    noon = datetime(2026, 6, 1, 12, tzinfo=UTC)
    assert times_of("0 3 * * *", noon, 2) == ["06-02T03:00", "06-03T03:00"]
    assert times_of(BERLIN + "0 3 * * *", noon, 2) == ["06-02T01:00", "06-03T01:00"]


def test_the_moment_itself_is_not_the_next_time() -> None:
    at_three = datetime(2026, 6, 1, 3, tzinfo=UTC)
    assert Schedule.parse("0 3 * * *").after(at_three) == at_three + timedelta(days=1)
    assert Schedule.parse("0 3 * * *").after(at_three - timedelta(microseconds=1)) == at_three


def test_a_daily_run_comes_once_in_the_night_that_has_its_hour_twice() -> None:
    saturday = datetime(2026, 10, 24, 12, tzinfo=UTC)
    assert times_of(BERLIN + "30 2 * * *", saturday, 2) == ["10-25T00:30", "10-26T01:30"]


def test_a_daily_run_comes_at_the_next_hour_in_the_night_that_lacks_its_own() -> None:
    saturday = datetime(2026, 3, 28, 12, tzinfo=UTC)
    assert times_of(BERLIN + "30 2 * * *", saturday, 2) == ["03-29T01:00", "03-30T00:30"]


@pytest.mark.parametrize("day", [datetime(2026, 3, 28, 22), datetime(2026, 10, 24, 22)])
def test_what_comes_all_the_time_has_no_gap_and_no_double_in_either_night(day: datetime) -> None:
    schedule = Schedule.parse(BERLIN + "*/30 * * * *")
    moment, found = day.replace(tzinfo=UTC), []
    for _ in range(16):
        moment = schedule.after(moment)
        found.append(moment)
    assert {b - a for a, b in pairwise(found)} == {timedelta(minutes=30)}


def test_the_pause_is_that_between_the_next_two_times() -> None:
    friday = datetime(2026, 6, 5, 12, tzinfo=UTC)
    assert Schedule.parse("0 9 * * mon-fri").pause(friday) == timedelta(days=1)
    assert Schedule.parse("0 9 1 1 *").pause(friday) == timedelta(days=365)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("hourly", "has not five fields"),
        ("* * * * * *", "has not five fields"),
        ("61 * * * *", "is no cron schedule"),
        ("0 0 30 2 *", "is no cron schedule: Bad day-of-month"),
        ("CRON_TZ=Europe/Atlantis 0 3 * * *", "there is no time zone 'Europe/Atlantis'"),
        ("CRON_TZ=../etc/passwd 0 3 * * *", "there is no time zone"),
        ("CRON_TZ= 0 3 * * *", "there is no time zone ''"),
    ],
)
def test_of_what_is_no_schedule_a_sentence_says_why(text: str, told: str) -> None:
    with pytest.raises(ValueError, match=told):
        Schedule.parse(text)
