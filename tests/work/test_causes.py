"""Which causes for worry stand, and which are over: decided from what the store shows."""

from __future__ import annotations

from dataclasses import replace

import pytest

from penstock.model.connection import Connection, ConnectionMode, ConnectionState, StreamState
from penstock.model.notice import Cause, StoredNotice, Subject
from penstock.model.standing import Condition
from penstock.store.rows import OverdueStream
from penstock.work.causes import Seen

NOON = 1_772_445_600_000_000
NOTHING = Seen(connections=(), unwell=(), drifting={}, late=(), now=NOON)


def stream(condition: Condition, *, key: str = "invoices", **more) -> StreamState:
    values = {
        "workspace": "default",
        "connection": "acme",
        "stream": key,
        "partition": "",
        "cursor": None,
        "enumeration": None,
        "watermark": None,
        "lease_owner": "",
        "lease_until": 0,
        "epoch": 1,
        "unit_no": 1,
        "state": condition,
        "reason": "status 500",
        "since": NOON - 5,
        "next_run_at": NOON + 60_000_000,
    }
    return StreamState(**(values | more))


def subject(cause: Cause, key: str = "invoices") -> Subject:
    return Subject("default", "acme", key, cause)


def opened(cause: Cause, key: str = "invoices") -> StoredNotice:
    return StoredNotice(1, subject(cause, key), "", NOON, 1, NOON)


@pytest.mark.parametrize(
    ("condition", "cause"),
    [
        (Condition.PARKED, Cause.PARKED),
        (Condition.RATE_LIMITED, Cause.PARKED),
        (Condition.PAUSED_BY_DRIFT, Cause.DRIFT),
        (Condition.FAILED, Cause.FAILED),
        (Condition.UPSTREAM_FAILING, Cause.FAILED),
        (Condition.FORBIDDEN, Cause.FAILED),
        (Condition.NOT_FOUND, Cause.FAILED),
    ],
)
def test_a_condition_is_a_cause_with_its_reason(condition, cause):
    (notice,) = replace(NOTHING, unwell=(stream(condition),)).notices().values()
    assert (notice.subject, notice.since) == (subject(cause), NOON - 5)
    assert notice.detail == "status 500; it runs again at 2026-03-02T10:01:00Z"


def test_lost_access_is_one_cause_for_all_streams_of_the_connection():
    lost = Connection(
        *("default", "acme", "acme.py", "acme", {}, None),
        *(ConnectionMode.LIVE, ConnectionState.NEEDS_REAUTH, False, NOON),
        reason="connect acme again",
    )
    streams = [stream(Condition.NEEDS_REAUTH, key=key) for key in ("invoices", "payments")]
    (notice,) = replace(NOTHING, connections=(lost,), unwell=streams).notices().values()
    assert notice.subject == subject(Cause.NEEDS_REAUTH, "")
    assert notice.detail == "connect acme again"


def test_a_stream_that_stopped_to_go_on_at_once_is_no_cause():
    seen = replace(NOTHING, unwell=(stream(Condition.PARKED, next_run_at=NOON),))
    assert seen.notices() == {}


def test_waiting_drift_and_lateness_are_causes_of_streams_that_are_well():
    seen = replace(
        NOTHING,
        drifting={("default", "acme", "invoices"): (2, NOON - 9)},
        late=(OverdueStream("default", "acme", "payments", "0 * * * *", NOON - 7),),
    )
    found = seen.notices()
    assert set(found) == {subject(Cause.DRIFT), subject(Cause.LATE, "payments")}
    assert "2 differences" in found[subject(Cause.DRIFT)].detail
    assert found[subject(Cause.LATE, "payments")].since == NOON - 7


def test_a_cause_is_over_when_its_stream_is_well():
    for cause in Cause:
        assert NOTHING.over([opened(cause)]) == [1]


def test_failing_and_being_parked_in_turn_is_one_story():
    parked = replace(NOTHING, unwell=(stream(Condition.PARKED),))
    assert parked.over([opened(Cause.FAILED)]) == []
    assert parked.over([opened(Cause.FAILED, "payments")]) == [1]
    assert parked.over([opened(Cause.LATE)]) == [1]


def test_a_cause_that_stands_is_not_over():
    failing = replace(NOTHING, unwell=(stream(Condition.FAILED),))
    assert failing.over([opened(Cause.FAILED)]) == []
