"""Waiting for one's turn: a place is reserved in the shared state, then slept for.

Whoever waits has its place already, so nobody is passed by and nobody asks in vain. A refusal
moves one shared instant before which nobody goes.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from datetime import datetime, timedelta
from random import Random
from typing import Protocol

from penstock.clock import Clock
from penstock.errors import ParkedError
from penstock.model import pace, times
from penstock.model.pace import Ask, Flight, Level, Limit, PaceKey, PaceState, Priority, Turn
from penstock.telemetry import event
from penstock.upstream.pace import DEFAULT, Rate, SharedPace, check_name
from penstock.upstream.request import Request, Response

PATIENCE_US = 30_000_000
"""The longest wait that is slept; above it the run is parked."""

SPREAD_S = 1.0
"""After a common pause, those without a rate come back within so many seconds."""

_LAST_LOOK_S = 0.005
_ROUNDING_US = 1_000

_SHORT_S, _LONG_S = 0.02, 0.25
"""Between two looks at the line of those in flight."""


class Pacing(Protocol):
    """What a client asks about its speed."""

    def take(self, request: Request) -> AbstractContextManager[float]:
        """Wait for the request's turn; enclose the exchange. Gives the seconds waited.

        Raises ParkedError where its turn is too far away to sleep through.
        """

    def saw(self, request: Request, response: Response) -> None:
        """Learn what the answer tells of the budget."""

    def hold(self, request: Request, until: datetime) -> None:
        """The provider refused the request: nobody who shares its rate goes before `until`."""


class Unpaced:
    """For clients that share nothing."""

    def take(self, _request: Request) -> AbstractContextManager[float]:
        return nullcontext(0.0)

    def saw(self, request: Request, response: Response) -> None:
        """Nothing to correct."""

    def hold(self, request: Request, until: datetime) -> None:
        """Nobody to stop."""


UNPACED = Unpaced()


@dataclass(frozen=True, slots=True)
class Sharers:
    """Who shares a pace: one connection, and with scope "app" all of its connector."""

    workspace: str
    connection: str
    connector: str

    def key(self, rate: Rate) -> PaceKey:
        named = f"{rate.name} {rate.per_us}"
        if rate.scope == "app":
            return PaceKey("app", "", self.connector, named)
        return PaceKey("connection", self.workspace, self.connection, named)

    def of_connection(self, name: str) -> PaceKey:
        return PaceKey("connection", self.workspace, self.connection, name)


@dataclass(frozen=True, slots=True)
class _Budgets:
    """The rates of one request, and the shared states that they stand on.

    Without any rate there is one state all the same: a refusal stops everybody.
    """

    rates: Sequence[Rate]
    keys: Sequence[PaceKey]

    @property
    def limits(self) -> list[Limit]:
        return [rate.limit for rate in self.rates]

    @property
    def late_s(self) -> float:
        return min(limit.late_us for limit in self.limits) / 1_000_000

    @property
    def refused(self) -> list[PaceKey]:
        """What a refusal holds: the connection's own, else one account would stop all others."""
        own = [key for key in self.keys if key.scope == "connection"]
        return own or list(self.keys)


class Pacer:
    """Role `Pacing` on shared states. One for each client; safe to use from several threads."""

    def __init__(
        self,
        shared: SharedPace,
        sharers: Sharers,
        *,
        clock: Clock,
        rates: Sequence[Rate] = (),
        concurrency: int | None = None,
        priority: Priority = Priority.POLL,
        rng: Random | None = None,
    ) -> None:
        self._shared = shared
        self._sharers = sharers
        self._clock = clock
        self._rates = tuple(rates)
        self._concurrency = concurrency
        self._priority = priority

        self._rng = rng or Random()  # noqa: S311 - jitter, no secret

    @contextmanager
    def take(self, request: Request) -> Iterator[float]:
        """See Pacing. Raises ConnectorError for a rate that is not declared."""
        budgets = self._budgets(request)
        began = self._clock.monotonic()
        with self._in_flight(request):
            if budgets.rates:
                self._wait_for_turn(request, budgets)
            else:
                self._wait_while_held(request, budgets)
            yield self._clock.monotonic() - began

    def saw(self, request: Request, response: Response) -> None:
        budgets = self._budgets(request)
        for rate, key in zip(budgets.rates, budgets.keys, strict=False):
            level = _read(rate, response, request.cost)
            if level is not None:
                self._correct(rate, key, level)

    def hold(self, request: Request, until: datetime) -> None:
        budgets = self._budgets(request)
        pause = times.microseconds(until) - self._now()
        limits = dict(zip(budgets.keys, budgets.limits, strict=False))

        def decide(states: Sequence[PaceState], now: int) -> tuple[None, Sequence[PaceState]]:
            held = zip(budgets.refused, states, strict=True)
            return None, [pace.hold(limits.get(key), state, now + pause) for key, state in held]

        self._shared.change(budgets.refused, decide, now=self._now)
        event("pace.held", logging.WARNING, rate=request.rate or DEFAULT, seconds=pause / 1e6)

    def _budgets(self, request: Request) -> _Budgets:
        name = request.rate or DEFAULT
        check_name(self._rates, name)
        rates = [rate for rate in self._rates if rate.name == name]
        keys = [self._sharers.key(rate) for rate in rates]
        return _Budgets(rates, keys or [self._sharers.of_connection(DEFAULT)])

    def _wait_for_turn(self, request: Request, budgets: _Budgets) -> None:
        """Reserve, sleep, go. Who was held up meanwhile reserves anew."""
        due = None
        while due is None:
            turn, since = self._reserve(request, budgets)
            due = self._slept_until_due(request, budgets, turn, since)
        late_s = self._clock.monotonic() - due - budgets.late_s
        if late_s > 0:
            self._slip(budgets, request.cost, late_s)

    def _reserve(self, request: Request, budgets: _Budgets) -> tuple[Turn, float]:
        """A turn, and the monotonic second from which it counts."""
        ask = Ask(self._priority, request.cost, PATIENCE_US)

        def decide(
            states: Sequence[PaceState], now: int
        ) -> tuple[tuple[Turn, float], Sequence[PaceState]]:
            since = self._clock.monotonic()
            turn, after = pace.take(budgets.limits, states, ask, now)
            return (turn, since), after

        turn, since = self._shared.change(budgets.keys, decide, now=self._now)
        if not turn.taken:
            raise self._parked(request, turn.wait_us)
        return turn, since

    def _slept_until_due(
        self, request: Request, budgets: _Budgets, turn: Turn, since: float
    ) -> float | None:
        """Sleep, and longer where others are let in before us. None where all are held.

        The last look is a moment before, so that it does not make us late.
        """
        moved, due = 0, since + turn.wait_us / 1_000_000
        while turn.wait_us:
            self._sleep_until(due - _LAST_LOOK_S)
            states, now = self._shared.look(budgets.keys, now=self._now)
            left_us = int((due - self._clock.monotonic()) * 1_000_000)
            if pace.held_until(states) > now + left_us + _ROUNDING_US:
                return None
            further = pace.moved(states, turn, self._priority) - moved
            if further <= 0:
                self._sleep_until(due)
                break
            moved, due = moved + further, due + further / 1_000_000
            if moved > PATIENCE_US:
                raise self._parked(request, further)
        return due

    def _slip(self, budgets: _Budgets, cost: int, late_s: float) -> None:
        """We go later than we may, on a busy machine: those behind us keep their distance."""
        limits, late_us = budgets.limits, int(late_s * 1_000_000)

        def decide(states: Sequence[PaceState], _now: int) -> tuple[None, Sequence[PaceState]]:
            pairs = zip(limits, states, strict=True)
            return None, [pace.slip(limit, state, cost, late_us) for limit, state in pairs]

        self._shared.change(budgets.keys, decide, now=self._now)
        event("pace.late", logging.DEBUG, late_us=late_us)

    def _wait_while_held(self, request: Request, budgets: _Budgets) -> None:
        """Without a rate there is no order in which to come back, so chance spreads them."""
        while True:
            states, now = self._shared.look(budgets.keys, now=self._now)
            wait_us = pace.held_until(states) - now
            if wait_us <= 0:
                return
            if wait_us > PATIENCE_US:
                raise self._parked(request, wait_us)
            self._clock.sleep(wait_us / 1_000_000 + self._rng.random() * SPREAD_S)

    @contextmanager
    def _in_flight(self, request: Request) -> Iterator[None]:
        """At most `concurrency` at once, over all who use the connection."""
        if self._concurrency is None:
            yield
            return
        ticket = self._boarded(request, self._concurrency)
        try:
            yield
        finally:
            self._land(ticket)

    def _boarded(self, request: Request, seats: int) -> int:
        """Stand in line until a place is free."""
        flight = self._board(0, seats)
        look_s, until = _SHORT_S, self._clock.monotonic() + PATIENCE_US / 1_000_000
        while not flight.flying:
            if self._clock.monotonic() > until:
                self._land(flight.ticket)
                raise self._parked(request, PATIENCE_US)
            self._clock.sleep(look_s)
            look_s = min(look_s * 1.5, _LONG_S)
            (state,), now = self._shared.look([self._line], now=self._now)
            if pace.may_board(state, flight, seats, now):
                flight = self._board(flight.ticket, seats)
        return flight.ticket

    def _board(self, ticket: int, seats: int) -> Flight:
        def decide(states: Sequence[PaceState], now: int) -> tuple[Flight, Sequence[PaceState]]:
            flight, after = pace.board(states[0], ticket, self._priority, seats, now)
            return flight, [after]

        return self._shared.change([self._line], decide, now=self._now)

    def _land(self, ticket: int) -> None:
        def decide(states: Sequence[PaceState], _now: int) -> tuple[None, Sequence[PaceState]]:
            return None, [pace.land(states[0], ticket)]

        self._shared.change([self._line], decide, now=self._now)

    @property
    def _line(self) -> PaceKey:
        return self._sharers.of_connection("in flight")

    def _correct(self, rate: Rate, key: PaceKey, level: Level) -> None:
        def decide(states: Sequence[PaceState], now: int) -> tuple[None, Sequence[PaceState]]:
            return None, [pace.correct(rate.limit, states[0], level, self._priority, now)]

        self._shared.change([key], decide, now=self._now)

    def _parked(self, request: Request, wait_us: int) -> ParkedError:
        until = self._clock.now() + timedelta(microseconds=wait_us)
        rates = [str(rate) for rate in self._rates if rate.name == (request.rate or DEFAULT)]
        return ParkedError(
            f"{request.method} {request.url.partition('?')[0]} has to wait until "
            f"{until:%Y-%m-%d %H:%M:%S} UTC: the pace shared by all who use "
            f"{self._sharers.connection} has no place before "
            f"({', '.join(rates) or 'the provider asked for a pause'})",
            until=until,
            throttled=True,
        )

    def _sleep_until(self, due: float) -> None:
        seconds = due - self._clock.monotonic()
        if seconds > 0:
            self._clock.sleep(seconds)

    def _now(self) -> int:
        return times.microseconds(self._clock.now())


def _read(rate: Rate, response: Response, cost: int) -> Level | None:
    """What the author's function reads. A field that is missing once must not stop a run."""
    if rate.read is None:
        return None
    try:
        budget = rate.read(response)
        return None if budget is None else budget.level(cost)
    except Exception as error:
        event("pace.unread", logging.WARNING, rate=rate.name, error=repr(error)[:200])
        return None
