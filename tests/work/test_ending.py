"""How a run ended, in one word, one sentence and a standing."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from penstock.errors import (
    ForbiddenError,
    LeaseLostError,
    NeedsReauthError,
    ParkedError,
    PausedByDriftError,
    PenstockError,
    RouteFailedError,
    StoppedError,
    UpstreamError,
    UpstreamUnavailableError,
)
from penstock.model import times
from penstock.model.run import RunState
from penstock.model.standing import ALL_WELL, Condition, Standing
from penstock.work.ending import Ending

LATER = datetime(2026, 6, 1, 12, tzinfo=UTC)
NOW = 7


def test_a_run_that_came_to_its_end_is_done() -> None:
    assert Ending.of(None, NOW) == Ending(RunState.DONE, None, None, ALL_WELL)


def test_one_that_was_stopped_goes_on_at_once() -> None:
    ending = Ending.of(StoppedError("stopped here"), NOW)
    assert (ending.state, ending.reason) == (RunState.PARKED, "stopped")
    assert ending.standing == Standing(Condition.PARKED, "stopped here", NOW)


@pytest.mark.parametrize(
    ("throttled", "condition"), [(True, Condition.RATE_LIMITED), (False, Condition.PARKED)]
)
def test_one_that_is_parked_says_until_when(throttled: bool, condition: Condition) -> None:
    ending = Ending.of(ParkedError("wait", until=LATER, throttled=throttled), NOW)
    assert ending.state is RunState.PARKED
    assert ending.standing == Standing(condition, "wait", times.microseconds(LATER))


def test_one_that_lost_its_lease_says_so_and_leaves_the_stream_to_its_new_owner() -> None:
    ending = Ending.of(LeaseLostError("taken over"), NOW)
    assert ending == Ending(RunState.FAILED, "lease_lost", "taken over", None)


@pytest.mark.parametrize(
    ("error", "condition"),
    [
        (NeedsReauthError("…"), Condition.NEEDS_REAUTH),
        (ForbiddenError("…"), Condition.FORBIDDEN),
        (PausedByDriftError("…"), Condition.PAUSED_BY_DRIFT),
        (UpstreamUnavailableError("…"), Condition.UPSTREAM_FAILING),
        (UpstreamError("…", status=401), Condition.NEEDS_REAUTH),
        (UpstreamError("…", status=403), Condition.FORBIDDEN),
        (UpstreamError("…", status=404), Condition.NOT_FOUND),
        (UpstreamError("…", status=410), Condition.NOT_FOUND),
        (UpstreamError("…", status=422), Condition.FAILED),
        (UpstreamError("…", status=503), Condition.UPSTREAM_FAILING),
        (RouteFailedError("…"), Condition.FAILED),
        (PenstockError("…"), Condition.FAILED),
    ],
)
def test_what_failed_has_one_condition(error: PenstockError, condition: Condition) -> None:
    ending = Ending.of(error, NOW)
    assert ending.state is RunState.FAILED
    assert ending.standing is not None
    assert ending.standing.condition is condition
    assert ending.standing.next_run_at is None


def test_credentials_that_are_not_taken_say_what_to_do() -> None:
    ending = Ending.of(UpstreamError("401 from api", status=401), NOW)
    assert "penstock secrets set" in (ending.message or "")
