"""When a stream runs next: by its schedule, or by how it went."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from penstock.model import times
from penstock.model.standing import ALL_WELL, Condition, Standing
from penstock.work.timetable import after_run, next_slot, retry_pause

HOURLY = "0 * * * *"
MINUTE = 60_000_000
NOON = times.microseconds(datetime(2026, 6, 1, 12, tzinfo=UTC))


def minutes_from_noon(due: int | None) -> float:
    assert due is not None
    return (due - NOON) / MINUTE


class TestSlots:
    def test_streams_of_one_schedule_are_spread_over_a_minute(self) -> None:
        places = [minutes_from_noon(next_slot(HOURLY, f"stream {n}", NOON)) for n in range(200)]
        assert all(0 < place < 1 or 60 <= place < 61 for place in places)
        within = sorted(place % 60 for place in places)
        assert within[0] < 0.1
        assert within[-1] > 0.9

    def test_one_that_runs_every_minute_is_spread_over_six_seconds(self) -> None:
        places = [minutes_from_noon(next_slot("* * * * *", f"s{n}", NOON)) for n in range(100)]
        assert max(place % 1 for place in places) < 0.1

    def test_a_stream_keeps_its_place(self) -> None:
        first = next_slot(HOURLY, "acme/invoices", NOON)
        assert first is not None
        assert next_slot(HOURLY, "acme/invoices", first) == first + 60 * MINUTE
        assert next_slot(HOURLY, "acme/invoices", first - 1) == first

    def test_what_was_missed_is_one_run_and_not_many(self) -> None:
        """Due again is the next slot after now, however long nobody has run the stream."""
        later = NOON + 400 * 24 * 60 * MINUTE
        due = next_slot(HOURLY, "acme/invoices", later) or 0
        assert 0 < due - later <= 61 * MINUTE

    def test_a_schedule_that_cannot_be_read_never_comes(self) -> None:
        assert next_slot("hourly", "acme/invoices", NOON) is None
        assert after(ALL_WELL, schedule="hourly").next_run_at is None


class TestAfterARun:
    def test_a_good_run_is_followed_by_the_next_slot(self) -> None:
        standing = after(ALL_WELL, failures=3)
        assert standing.failures == 0
        assert 0 < minutes_from_noon(standing.next_run_at) <= 61

    def test_failures_in_a_row_wait_twice_as_long_each_time(self) -> None:
        pauses = []
        for failures in range(9):
            standing = after(Standing(Condition.FAILED, "broken"), failures=failures, chance=0)
            assert standing.failures == failures + 1
            pauses.append(minutes_from_noon(standing.next_run_at))
        assert pauses == [0.5, 1, 2, 4, 8, 16, 32, 60, 60]

    def test_streams_that_fail_together_do_not_come_back_together(self) -> None:
        pauses = [retry_pause(1, chance / 10) for chance in range(10)]
        assert pauses[0] == timedelta(seconds=30)
        assert pauses[9] == timedelta(seconds=57)
        assert len(set(pauses)) == 10

    def test_one_that_is_parked_goes_on_at_its_time_and_has_not_failed(self) -> None:
        parked = Standing(Condition.RATE_LIMITED, "wait", NOON + 7 * MINUTE)
        assert after(parked, failures=2) == Standing(
            Condition.RATE_LIMITED, "wait", NOON + 7 * MINUTE, 0
        )

    @pytest.mark.parametrize("condition", [Condition.NEEDS_REAUTH, Condition.PAUSED_BY_DRIFT])
    def test_one_that_waits_for_a_person_has_no_time(self, condition: Condition) -> None:
        assert after(Standing(condition, "…")).next_run_at is None

    @pytest.mark.parametrize("condition", [Condition.FORBIDDEN, Condition.NOT_FOUND])
    def test_what_is_no_mishap_is_asked_again_by_schedule(self, condition: Condition) -> None:
        assert 0 < minutes_from_noon(after(Standing(condition, "…")).next_run_at) <= 61

    def test_without_a_schedule_only_a_parked_stream_goes_on(self) -> None:
        assert after(ALL_WELL, schedule=None).next_run_at is None
        assert after(Standing(Condition.FAILED, "broken"), schedule=None).next_run_at is None
        parked = Standing(Condition.PARKED, "wait", NOON)
        assert after(parked, schedule=None).next_run_at == NOON


def after(
    standing: Standing, *, schedule: str | None = HOURLY, failures: int = 0, chance: float = 0.5
) -> Standing:
    return after_run(
        standing, schedule, "acme/invoices", failures=failures, now=NOON, chance=chance
    )
