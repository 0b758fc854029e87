"""Which run is due: asked for, wanted, scheduled, or forced by a short memory."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from penstock import Since, Stream
from penstock.model import times
from penstock.model.connection import StreamState
from penstock.pipeline.pull import Start
from penstock.work.due import has_come, is_full_due, what_is_due

NOW = datetime(2026, 3, 2, 10, tzinfo=UTC)  # a Monday
HOUR = 3600 * 1_000_000
CUSTOMERS = Stream("customers", mode="poll")
WEEKLY = Stream("customers", mode="poll", full="0 3 * * sun")
HORIZON = Since(param="since", field="at", horizon=timedelta(days=30))


def ago(**pause: float) -> int:
    return times.microseconds(NOW - timedelta(**pause))


def state(**changes: object) -> StreamState:
    row = StreamState(
        *("default", "acme", "customers", ""),
        cursor=None,
        enumeration=None,
        watermark=ago(hours=1),
        lease_owner="",
        lease_until=0,
        epoch=1,
        unit_no=5,
        state="ok",
        reason=None,
        since=None,
        next_run_at=None,
        full_at=ago(hours=1),
    )
    return replace(row, **changes)


@pytest.mark.parametrize(
    ("row", "stream", "since", "due"),
    [
        (state(), CUSTOMERS, None, False),
        (state(), WEEKLY, HORIZON, False),
        (state(full_at=ago(days=2)), WEEKLY, None, True),
        (state(full_at=ago(hours=31)), WEEKLY, None, False),
        (state(full_at=None), WEEKLY, None, True),
        (state(full_at=None), CUSTOMERS, None, False),
        (state(watermark=None, full_at=None), WEEKLY, None, False),
        (state(watermark=ago(days=29)), CUSTOMERS, HORIZON, False),
        (state(watermark=ago(days=31)), CUSTOMERS, HORIZON, True),
        (state(full_wanted_at=ago(hours=2)), CUSTOMERS, None, False),
        (state(full_wanted_at=ago(minutes=2)), CUSTOMERS, None, True),
        (state(full_wanted_at=ago(hours=2), full_at=None), CUSTOMERS, None, True),
    ],
)
def test_a_full_run_is_due(
    row: StreamState, stream: Stream, since: Since | None, due: bool
) -> None:
    assert is_full_due(row, stream, since, NOW) is due
    assert what_is_due(Start(), row, stream, since, NOW) == Start(full=due)


@pytest.mark.parametrize("start", [Start(full=True), Start(since=5), Start(confirmed=True)])
def test_what_a_person_asks_for_goes_before(start: Start) -> None:
    assert what_is_due(start, state(full_at=None), WEEKLY, HORIZON, NOW) == start


def test_an_enumeration_under_way_is_ended_first() -> None:
    row = state(full_at=None, enumeration={"started_at": 1})
    assert what_is_due(Start(), row, WEEKLY, HORIZON, NOW) == Start()


def test_a_schedule_is_read_in_utc() -> None:
    assert has_come("0 3 * * sun", ago(hours=31.1), NOW)
    assert not has_come("0 3 * * sun", ago(hours=30.9), NOW)
