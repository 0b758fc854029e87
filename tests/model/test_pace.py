"""Who goes when: buckets, windows, holds, priorities and the line, without a clock."""

from __future__ import annotations

import json
from itertools import pairwise
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock.model import pace
from penstock.model.pace import UNTOUCHED, Ask, Level, Limit, PaceState, Priority

S = 1_000_000
NOON = 1_772_452_800 * S
PATIENT = 48 * 3_600 * S
POLL, WEBHOOK, BACKFILL = Priority.POLL, Priority.WEBHOOK, Priority.BACKFILL


class Shared:
    """One state (or several) behind limits, and a clock turned by hand."""

    def __init__(self, *limits: Limit) -> None:
        self.limits = limits
        self.states: list[PaceState] = [UNTOUCHED] * len(limits)
        self.now = NOON

    def ask(self, priority=POLL, *, cost=1, patience_us=PATIENT, now=None):
        """The instant of the turn, reserved."""
        turn = self.turn(priority, cost=cost, patience_us=patience_us, now=now)
        assert turn.taken
        return (self.now if now is None else now) + turn.wait_us

    def turn(self, priority=POLL, *, cost=1, patience_us=PATIENT, now=None):
        now = self.now if now is None else now
        ask = Ask(priority, cost, patience_us)
        turn, states = pace.take(self.limits, self.states, ask, now)
        # What is kept is JSON.
        kept = [json.loads(json.dumps(state.as_json())) for state in states]
        self.states = [PaceState.from_json(value) for value in kept]
        return turn

    def hold(self, until: int) -> None:
        pairs = zip(self.limits, self.states, strict=True)
        self.states = [pace.hold(limit, state, until) for limit, state in pairs]

    def told(self, level: Level, priority=POLL) -> None:
        self.states[0] = pace.correct(self.limits[0], self.states[0], level, priority, self.now)


def seconds(instants):
    return [round((at - NOON) / S, 2) for at in instants]


def most_in_any(span_us: int, instants) -> int:
    """The greatest number within any half-open span, wherever it begins."""
    instants = sorted(instants)
    return max(sum(1 for at in instants if first <= at < first + span_us) for first in instants)


def test_without_a_burst_requests_go_evenly_and_a_little_slower_than_allowed():
    shared = Shared(Limit.bucket(20, S, None))
    instants = [shared.ask() for _ in range(21)]
    gaps = {later - at for at, later in pairwise(instants)}
    assert gaps == {51_547}
    assert 0.95 < (S / gaps.pop()) / 20 < 0.98


@pytest.mark.parametrize("requests", [1, 2, 20, 60, 100, 250, 1_000])
def test_no_window_wherever_it_begins_sees_more_than_is_allowed_even_if_each_comes_late(requests):
    """A fixed window of the provider has a phase that nobody knows."""
    limit = Limit.bucket(requests, S, None)
    shared, rng = Shared(limit), Random(7)
    sent = [shared.ask() + rng.randrange(limit.late_us) for _ in range(4 * requests)]
    assert most_in_any(S, sent) <= requests


def test_a_bucket_lets_its_burst_go_at_once_and_fills_again():
    shared = Shared(Limit.bucket(2, S, burst=4))
    assert seconds(shared.ask() for _ in range(6)) == [0, 0, 0, 0, 0.52, 1.03]
    shared.now += 60 * S
    assert seconds(shared.ask() for _ in range(5)) == [60, 60, 60, 60, 60.52]


def test_a_cost_takes_as_much_of_the_bucket():
    shared = Shared(Limit.bucket(50, S, burst=100))
    assert seconds([shared.ask(cost=80), shared.ask(cost=20), shared.ask(cost=97)]) == [0, 0, 2]


def test_a_cost_beyond_the_bucket_goes_when_the_bucket_is_full():
    shared = Shared(Limit.bucket(10, S, burst=10))
    assert seconds([shared.ask(cost=25), shared.ask()]) == [0, pytest.approx(1.68, abs=0.1)]


def test_a_wait_beyond_patience_reserves_nothing():
    shared = Shared(Limit.bucket(1, 60 * S, None))
    shared.ask()
    before = list(shared.states)
    refused = shared.turn(patience_us=30 * S)
    assert (refused.taken, round(refused.wait_us / S)) == (False, 62)
    assert shared.states == before


def test_all_limits_hold_together():
    shared = Shared(Limit.bucket(20, S, None), Limit.bucket(3, 60 * S, burst=3))
    assert seconds(shared.ask() for _ in range(4)) == [0, 0.05, 0.10, pytest.approx(20.6, abs=0.1)]


@given(st.lists(st.tuples(st.sampled_from(Priority), st.integers(0, 200_000)), max_size=60))
def test_nobody_is_passed_by_one_of_the_same_priority(asked):
    shared = Shared(Limit.bucket(20, S, None))
    turns = {priority: [] for priority in Priority}
    for priority, pause in asked:
        shared.now += pause
        turns[priority].append(shared.ask(priority))
    for mine in turns.values():
        assert mine == sorted(set(mine))


# ── priorities ──


def test_a_webhook_goes_before_polls_and_they_before_backfills():
    shared = Shared(Limit.bucket(10, S, None))
    shared.ask()
    backfills = [shared.turn(BACKFILL) for _ in range(3)]
    polls = [shared.turn(POLL) for _ in range(2)]
    webhook = shared.turn(WEBHOOK)

    def ends(turns, rank):
        return seconds(NOON + t.wait_us + pace.moved(shared.states, t, rank) for t in turns)

    assert seconds([NOON + webhook.wait_us]) == [0.1]
    assert ends(polls, POLL) == [0.21, 0.31]
    assert ends(backfills, BACKFILL) == [0.41, 0.52, 0.62]


def test_letting_others_in_keeps_the_pace():
    """Those who wait move on by exactly the span of the one let in: never two in one place."""
    shared = Shared(Limit.bucket(20, S, None))
    turns = [(shared.now, shared.turn(BACKFILL), BACKFILL) for _ in range(8)]
    for step in range(1, 4):
        now = NOON + step * 60_000
        turns += [(now, shared.turn(WEBHOOK, now=now), WEBHOOK)]
    gone = sorted(
        now + turn.wait_us + pace.moved(shared.states, turn, rank)
        if now + turn.wait_us > NOON + 60_000  # what had gone when the first was let in stays
        else now + turn.wait_us
        for now, turn, rank in turns
    )
    assert most_in_any(S, gone) <= 20
    assert len(gone) == len(set(gone))


def test_a_webhook_counts_what_has_gone_already():
    shared = Shared(Limit.bucket(10, S, burst=3))
    assert seconds(shared.ask(POLL) for _ in range(3)) == [0, 0, 0]
    assert seconds([shared.ask(WEBHOOK)]) == [0.1]


# ── going late ──


def test_who_goes_late_moves_those_behind_by_as_much_and_by_a_place_at_most():
    limit = Limit.bucket(10, S, None)
    for late_us, moved_us in [(30_000, 30_000), (900_000, limit.span(1))]:
        shared = Shared(limit)
        shared.ask()
        waiting = shared.turn()
        shared.states = [pace.slip(limit, shared.states[0], 1, late_us)]
        assert pace.moved(shared.states, waiting, POLL) == moved_us
        assert shared.ask() == NOON + 2 * limit.span(1) + moved_us


# ── holds ──


def test_a_hold_moves_everybody_and_then_they_go_evenly():
    shared = Shared(Limit.bucket(10, S, burst=5))
    shared.ask()
    shared.hold(NOON + 10 * S)
    assert seconds(shared.ask() for _ in range(3)) == [10.0, 10.1, 10.21]
    assert pace.held_until(shared.states) == NOON + 10 * S


def test_an_earlier_hold_does_not_shorten_a_later_one():
    shared = Shared(Limit.bucket(10, S, None))
    shared.hold(NOON + 10 * S)
    shared.hold(NOON + 5 * S)
    assert seconds([shared.ask()]) == [10.0]


# ── fixed windows ──

DAY = 86_400 * S


def test_a_fixed_window_gives_all_it_has_and_then_waits_for_the_next():
    shared = Shared(Limit.window(50, DAY, 0))
    assert seconds({shared.ask() for _ in range(49)}) == [0]
    assert seconds([shared.ask()]) == [12 * 3_600]


def test_a_fixed_window_begins_at_its_time_of_day():
    three_hours = 3 * 3_600 * S
    shared = Shared(Limit.window(10, DAY, three_hours))
    instants = [shared.ask() for _ in range(10)]
    assert seconds(sorted(set(instants))) == [0, 15 * 3_600]


def test_backfills_leave_something_of_a_fixed_window_for_the_others():
    shared = Shared(Limit.window(100, DAY, 0))
    backfills = [shared.ask(BACKFILL) for _ in range(91)]
    assert sum(at == NOON for at in backfills) == 90


def test_polls_leave_a_little_of_a_fixed_window_for_webhooks():
    shared = Shared(Limit.window(100, DAY, 0))
    assert {shared.ask(POLL) for _ in range(98)} == {NOON}
    assert not shared.turn(POLL, patience_us=0).taken
    assert [shared.ask(WEBHOOK) for _ in range(2)] == [NOON, NOON]
    assert not shared.turn(WEBHOOK, patience_us=0).taken


# ── what the provider tells ──


def test_a_bucket_that_others_emptied_is_believed():
    shared = Shared(Limit.bucket(2, S, burst=40))
    shared.told(Level(left=0, limit=40))
    assert seconds([shared.ask()]) == [0.52]


def test_a_bucket_fuller_than_known_is_not_believed():
    """What others have reserved and not yet sent, the provider cannot know."""
    shared = Shared(Limit.bucket(2, S, burst=4))
    for _ in range(5):
        shared.ask()
    shared.told(Level(left=4, limit=4))
    assert seconds([shared.ask()]) == [1.03]


def test_what_a_request_did_not_cost_comes_back():
    shared = Shared(Limit.bucket(50, S, burst=1_000))
    shared.ask(cost=1_000)
    shared.told(Level(returned=950))
    assert seconds([shared.ask(cost=950)]) == [0]
    assert shared.turn(patience_us=0).taken is False


def test_the_size_and_the_speed_that_are_told_replace_those_declared():
    shared = Shared(Limit.bucket(2, S, burst=40))
    shared.told(Level(left=80, limit=80, per_second=4.0))
    assert set(seconds(shared.ask() for _ in range(80))) == {0}
    assert seconds([shared.ask()]) == [0.26]


def test_a_fixed_window_believes_the_provider_both_ways():
    shared = Shared(Limit.window(5_000, DAY, 0))
    shared.told(Level(left=0, limit=5_000))
    assert not shared.turn(patience_us=0).taken
    shared.told(Level(left=4_000, limit=5_000))
    assert shared.turn(patience_us=0).taken


# ── the line of those in flight ──


def boards(state, *askers, seats=2, now=NOON):
    flights = []
    for ticket, priority in askers:
        flight, state = pace.board(state, ticket, priority, seats, now)
        flights.append(flight)
    return state, flights


def test_so_many_fly_and_the_others_stand_in_line():
    state, flights = boards(UNTOUCHED, (0, POLL), (0, POLL), (0, POLL), (0, POLL))
    assert [flight.flying for flight in flights] == [True, True, False, False]
    state = pace.land(state, flights[0].ticket)
    assert not pace.may_board(state, flights[3], 2, NOON)
    assert pace.may_board(state, flights[2], 2, NOON)
    _, (fourth, third) = boards(state, (flights[3].ticket, POLL), (flights[2].ticket, POLL))
    assert (third.flying, fourth.flying) == (True, False)


def test_a_webhook_stands_first_in_line_and_never_makes_one_too_many():
    state, flights = boards(UNTOUCHED, (0, POLL), (0, POLL), (0, POLL), (0, WEBHOOK))
    assert [flight.flying for flight in flights] == [True, True, False, False]
    state = pace.land(state, flights[0].ticket)
    _, (poll, webhook) = boards(state, (flights[2].ticket, POLL), (flights[3].ticket, WEBHOOK))
    assert (poll.flying, webhook.flying) == (False, True)


def test_who_died_in_flight_or_in_line_is_forgotten():
    state, _ = boards(UNTOUCHED, (0, POLL), (0, POLL), (0, POLL))
    later = NOON + pace.FLYING_US + 1
    state, (flight,) = boards(state, (0, POLL), now=later)
    assert flight.flying
    assert state.line == (flight,)
    assert PaceState.from_json(json.loads(json.dumps(state.as_json()))) == state


def test_one_in_line_is_told_to_ask_again_before_it_is_forgotten():
    state, (*_, third) = boards(UNTOUCHED, (0, POLL), (0, POLL), (0, POLL))
    assert not pace.may_board(state, third, 2, NOON)
    assert pace.may_board(state, third, 2, NOON + pace.WAITING_US * 2 // 3)
