"""The shared pace of an API: who may ask next, and when. Pure: states in, states out.

A bucket (GCRA) is one instant, its front: until then everything is reserved. A request takes the
place at the front and moves it on by its own span; then it waits for its time. Each priority has a
front of its own, which knows what was reserved before it: a request goes in before those that wait
with less priority and pushes them on, and they look at the state once more before they go.

A fixed window counts what it took. Instants and spans are integers, microseconds, by one clock
that all who share a state agree on.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from enum import IntEnum
from typing import Any, NamedTuple, Self

HEADROOM_PERCENT = 3
"""How far below the stated rate we stay. A provider counts in windows of its own, whose beginning
nobody knows, and requests take differently long to reach it: at the very rate, one that comes late
is one too many in the next window. Three hundredths of a window absorb that."""

LATE_PERCENT = 2
"""Part of a window by which a request may miss its time; where it is later, others move on."""

AT_ONCE_PERCENT = 1
"""Part of a window's requests that may go at once; the three together stay within the window."""

KEPT_PERCENT = (0, 2, 10)
"""Of a fixed window, what each priority leaves for those before it."""

DAY_US = 86_400_000_000
WAITING_US = 5_000_000
FLYING_US = 180_000_000
"""A place in the line is forgotten when its owner was not heard of for so long: it died. A request
in flight ends earlier, by the deadline of its attempt."""


class Priority(IntEnum):
    """Who goes first where several wait."""

    WEBHOOK = 0
    POLL = 1
    BACKFILL = 2


class PaceKey(NamedTuple):
    """The name of one shared state. owner: a connection, or a connector for scope "app"."""

    scope: str
    workspace: str
    owner: str
    rate: str


@dataclass(frozen=True, slots=True)
class Limit:
    """What a provider allows: `requests` in each span of `per_us`.

    burst: how many at once after a quiet time. opens_us: where in the day its fixed windows begin,
    None where it has none. late_us: by how much a request may miss its time.
    """

    requests: int
    per_us: int
    burst: int
    late_us: int
    opens_us: int | None = None

    @classmethod
    def bucket(cls, requests: int, per_us: int, burst: int | None) -> Self:
        """burst: the size of the provider's bucket; None where it counts requests in windows, so
        that no span of `per_us`, wherever it begins, may see more than `requests`."""
        if burst is None:
            few = max(1, requests * AT_ONCE_PERCENT // 100)
            return cls(requests, per_us, few, per_us * LATE_PERCENT // 100)
        return cls(requests, per_us, burst, per_us * burst // requests)

    @classmethod
    def window(cls, requests: int, per_us: int, opens_us: int) -> Self:
        return cls(requests, per_us, requests, per_us, opens_us)

    def span(self, cost: int) -> int:
        """For how long a request of this cost takes the bucket up."""
        return -(-cost * self.per_us * 100 // (self.requests * (100 - HEADROOM_PERCENT)))

    def opening(self, at: int) -> int:
        """The beginning of the fixed window that holds this instant."""
        assert self.opens_us is not None
        return at - (at - self.opens_us) % self.per_us


@dataclass(frozen=True, slots=True)
class Flight:
    """A place in the line of those who want to be in flight at once. until: forgotten then."""

    ticket: int
    priority: int
    until: int
    flying: bool = False


@dataclass(frozen=True, slots=True)
class PaceState:
    """What is shared about one rate.

    fronts: until when the bucket is reserved, by priority, each knowing those before it. pushed: by
    how much those who wait were moved on so far. not_before: nobody goes earlier. window, used: a
    fixed window's beginning, and what it took. requests, burst: as the provider told, 0 where it
    did not. tickets, line: of the requests in flight.
    """

    fronts: tuple[int, ...] = (0, 0, 0)
    pushed: tuple[int, ...] = (0, 0, 0)
    not_before: int = 0
    window: int = 0
    used: int = 0
    requests: int = 0
    burst: int = 0
    tickets: int = 0
    line: tuple[Flight, ...] = ()

    def as_json(self) -> dict[str, Any]:
        """Members that have their default are left out."""
        return {name: value for name, value in asdict(self).items() if value != _NEW[name]}

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> PaceState:
        """The state that `as_json` wrote."""
        line = tuple(Flight(**flight) for flight in value.get("line", ()))
        fronts, pushed = (tuple(value.get(n, (0, 0, 0))) for n in ("fronts", "pushed"))
        return cls(**{**value, "fronts": fronts, "pushed": pushed, "line": line})


UNTOUCHED = PaceState()
_NEW = asdict(UNTOUCHED)


class Ask(NamedTuple):
    """A request's wish. patience_us: nothing is reserved where it would wait longer."""

    priority: Priority
    cost: int
    patience_us: int


class Turn(NamedTuple):
    """When it goes: wait_us from now. marks: see `moved`. taken: whether that is reserved."""

    wait_us: int
    marks: tuple[int, ...]
    taken: bool


class Level(NamedTuple):
    """What a provider tells, in units of cost; None where it does not.

    per_second: how many come back. returned: how many of those reserved were not used.
    """

    left: int | None = None
    limit: int | None = None
    per_second: float | None = None
    returned: int = 0


def take(
    limits: Sequence[Limit], states: Sequence[PaceState], ask: Ask, now: int
) -> tuple[Turn, Sequence[PaceState]]:
    """Reserve the first time that suits all limits at once; states without a limit only hold."""
    held = max([now, *(state.not_before for state in states)])
    pairs = [(_told(limit, state), state) for limit, state in zip(limits, states, strict=False)]
    at = held
    while (later := max([at, *(_earliest(*pair, ask, at, now) for pair in pairs)])) > at:
        at = later
    marks = tuple(state.pushed[ask.priority] for state in states)
    if at - now > ask.patience_us:
        return Turn(at - now, marks, taken=False), states
    after = [_taken(limit, state, ask, at, now) for limit, state in pairs]
    return Turn(at - now, marks, taken=True), [*after, *states[len(after) :]]


def moved(states: Sequence[PaceState], turn: Turn, priority: Priority) -> int:
    """By how much others were let in before a turn since it was taken."""
    return max(
        (s.pushed[priority] - mark for s, mark in zip(states, turn.marks, strict=True)), default=0
    )


def slip(limit: Limit, state: PaceState, cost: int, late_us: int) -> PaceState:
    """A request goes later than it may: whoever waits, and whoever comes, goes later too.

    By as much, so that distances stay; by no more than its span, for then it is in another's place
    and all behind that move up by one.
    """
    if limit.opens_us is not None:
        return state
    late_us = min(late_us, _told(limit, state).span(cost))
    return replace(
        state,
        fronts=tuple(front + late_us for front in state.fronts),
        pushed=tuple(pushed + late_us for pushed in state.pushed),
    )


def held_until(states: Sequence[PaceState]) -> int:
    """The instant before which nobody goes, 0 for none."""
    return max((state.not_before for state in states), default=0)


def hold(limit: Limit | None, state: PaceState, until: int) -> PaceState:
    """Nobody goes before `until`; from there on the pace is even, as from an empty bucket."""
    until = max(until, state.not_before)
    if limit is None or limit.opens_us is not None:
        return replace(state, not_before=until)
    limit = _told(limit, state)
    empty = until + limit.span(limit.burst) - limit.span(1)
    return replace(
        state, not_before=until, fronts=tuple(max(front, empty) for front in state.fronts)
    )


def correct(
    limit: Limit, state: PaceState, level: Level, priority: Priority, now: int
) -> PaceState:
    """Take over what the provider tells; of two opinions of a bucket the more careful one.

    A fixed window believes the provider: it also sees who else uses the account.
    """
    if level.per_second and limit.opens_us is None:
        state = replace(state, requests=max(1, int(level.per_second * limit.per_us / 1_000_000)))
    if level.limit and limit.opens_us is not None:
        state = replace(state, requests=level.limit)
    elif level.limit:
        state = replace(state, burst=level.limit)
    limit = _told(limit, state)
    if limit.opens_us is not None:
        return _recounted(limit, state, level, now)
    back = limit.span(level.returned)
    fronts = [
        front - back if rank >= priority else front for rank, front in enumerate(state.fronts)
    ]
    if level.left is not None:
        full = now + limit.span(max(limit.burst - level.left, 0))
        fronts = [max(front, full) for front in fronts]
    return replace(state, fronts=tuple(fronts))


def board(
    state: PaceState, ticket: int, priority: Priority, seats: int, now: int
) -> tuple[Flight, PaceState]:
    """Ask for one of `seats` places in flight. ticket: of an earlier asking, 0 for none.

    The flight that comes back is flying, or waits in line and must ask again within seconds.
    """
    line = [flight for flight in state.line if flight.until > now and flight.ticket != ticket]
    mine = next((flight for flight in state.line if flight.ticket == ticket), None)
    tickets = state.tickets
    if mine is None:
        tickets += 1
        mine = Flight(tickets, priority, 0)
    flying = _is_next(line, mine, seats)
    mine = replace(mine, flying=flying, until=now + (FLYING_US if flying else WAITING_US))
    return mine, replace(state, tickets=tickets, line=(*line, mine))


def may_board(state: PaceState, mine: Flight, seats: int, now: int) -> bool:
    """Whether asking again is worth it: a place is free, or we are about to be forgotten."""
    line = [flight for flight in state.line if flight.until > now and flight.ticket != mine.ticket]
    return _is_next(line, mine, seats) or mine.until - now < WAITING_US // 2


def land(state: PaceState, ticket: int) -> PaceState:
    """Out of the line."""
    return replace(state, line=tuple(flight for flight in state.line if flight.ticket != ticket))


def _is_next(others: Sequence[Flight], mine: Flight, seats: int) -> bool:
    place = (mine.priority, mine.ticket)
    ahead = [flight.flying or (flight.priority, flight.ticket) < place for flight in others]
    return sum(ahead) < seats


def _told(limit: Limit, state: PaceState) -> Limit:
    """The limit as the provider last told it."""
    if not state.requests and not state.burst:
        return limit
    return replace(
        limit, requests=state.requests or limit.requests, burst=state.burst or limit.burst
    )


def _earliest(limit: Limit, state: PaceState, ask: Ask, at: int, now: int) -> int:
    if limit.opens_us is None:
        return max(at, _front(limit, state, ask, at, now) - _slack(limit, ask.cost))
    window, used = _window(limit, state, at)
    allowed = limit.requests * (100 - KEPT_PERCENT[ask.priority]) // 100
    fits = used == 0 or used + ask.cost <= allowed
    return max(at, window) if fits else window + limit.per_us


def _taken(limit: Limit, state: PaceState, ask: Ask, at: int, now: int) -> PaceState:
    """The state after a request that goes at `at`, which `_earliest` found."""
    if limit.opens_us is not None:
        window, used = _window(limit, state, at)
        return replace(state, window=window, used=used + ask.cost)
    front, span = _front(limit, state, ask, at, now), limit.span(ask.cost)
    fronts, pushed = list(state.fronts), list(state.pushed)
    for rank in range(ask.priority, len(fronts)):
        if fronts[rank] > front:
            fronts[rank] += span
            pushed[rank] += span
        else:
            fronts[rank] = max(front, at) + span
    return replace(state, fronts=tuple(fronts), pushed=tuple(pushed))


def _front(limit: Limit, state: PaceState, ask: Ask, at: int, now: int) -> int:
    """Where a request goes in: at the end of all, or earlier than those who wait behind it.

    Behind its own kind and whoever has gone by now; and in whole steps from the end, so that it
    takes a waiting request's place and no place between two.
    """
    end, span, slack = state.fronts[-1], limit.span(ask.cost), _slack(limit, ask.cost)
    first = max(state.fronts[ask.priority], at + slack, now + slack + 1)
    return end if end <= first else end - (end - first) // span * span


def _slack(limit: Limit, cost: int) -> int:
    """How far beyond now the front may stand for a request to go at once."""
    return limit.span(limit.burst) - limit.span(min(cost, limit.burst))


def _window(limit: Limit, state: PaceState, at: int) -> tuple[int, int]:
    """The window that counts for a request at this instant, and what it took so far."""
    opening = limit.opening(at)
    return (state.window, state.used) if state.window >= opening else (opening, 0)


def _recounted(limit: Limit, state: PaceState, level: Level, now: int) -> PaceState:
    window, used = _window(limit, state, now)
    if level.left is not None and window == limit.opening(now):
        used = max(limit.requests - level.left, 0)
    else:
        used = max(used - level.returned, 0)
    return replace(state, window=window, used=used)
