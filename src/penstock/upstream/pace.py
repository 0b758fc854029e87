"""How fast an API may be asked: what an author declares, and what a provider tells.

>>> Rate(20)                                       # a second
>>> Rate(60, per=60, name="search")                # a minute, for streams that say rate="search"
>>> Rate(2, burst=40, read=shopify_bucket)         # a bucket of 40 that 2 a second fill
>>> Rate(100_000, per=86_400, resets="00:00Z")     # a day, counted from midnight
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from math import ceil, floor
from typing import Literal, Protocol, TypeVar, get_args

from penstock.errors import ConnectorError
from penstock.model.pace import DAY_US, Level, Limit, PaceKey, PaceState
from penstock.upstream.request import Response

DEFAULT = "default"
"""The rate of a request that names none."""

NAME = re.compile(r"[a-z][a-z0-9_-]{0,62}")
OPENING = re.compile(r"([01]\d|2[0-3]):([0-5]\d)(Z|([+-])([01]\d):([0-5]\d))")

Scope = Literal["connection", "app"]
Number = int | float | Decimal
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Budget:
    """What an answer tells of its rate, in the rate's own unit; None for what it does not tell.

    left: what may still be asked now. limit: the size of the bucket or window. restore: how many
    come back in a second. cost: what the request did cost, where `cost=` was an estimate.
    """

    left: Number | None = None
    limit: Number | None = None
    restore: Number | None = None
    cost: Number | None = None

    def level(self, reserved: int) -> Level:
        """As the shared state takes it; every doubt is on the careful side."""
        return Level(
            left=None if self.left is None else max(floor(self.left), 0),
            limit=None if self.limit is None else max(floor(self.limit), 0),
            per_second=None if self.restore is None else float(self.restore),
            returned=0 if self.cost is None else reserved - ceil(self.cost),
        )


@dataclass(frozen=True, slots=True)
class Rate:
    """`requests` in each `per` seconds, shared by all who use the connection, wherever they run.

    burst: how many at once after a quiet time, where the provider fills a bucket; None where it
    counts in windows, and requests go out evenly. name: chosen by `Stream(rate=)` or `rate=` of a
    request; several rates of one name hold together. scope: "app" where all connections of the
    connector share it. resets: "HH:MM" with Z or an offset, where windows begin at fixed times;
    `per` must then divide a day. read: a function of the response that gives a Budget or None.

    Raises ConnectorError for what cannot be meant.
    """

    requests: int
    per: float = 1.0
    burst: int | None = None
    name: str = DEFAULT
    scope: Scope = "connection"
    resets: str | None = None
    read: Callable[[Response], Budget | None] | None = None

    def __post_init__(self) -> None:
        if not isinstance(self.name, str) or not NAME.fullmatch(self.name):
            raise ConnectorError(
                f"rate name {self.name!r} must be lower case letters, digits, '_' or '-', "
                "beginning with a letter"
            )
        wrong = self._mistake()
        if wrong:
            raise ConnectorError(f"rate {self.name}: {wrong}")

    def _mistake(self) -> str | None:
        if not _is_count(self.requests):
            return f"requests must be a whole number from 1, not {self.requests!r}"
        if not isinstance(self.per, int | float) or not 0.001 <= self.per <= 366 * 86_400:
            return f"per must be seconds, from 0.001 to a year, not {self.per!r}"
        if self.burst is not None and not _is_count(self.burst):
            return f"burst must be a whole number from 1, not {self.burst!r}"
        if self.scope not in get_args(Scope):
            return f"scope must be one of {', '.join(get_args(Scope))}, not {self.scope!r}"
        return self._mistake_of_window()

    def _mistake_of_window(self) -> str | None:
        if self.resets is None:
            return None
        if not isinstance(self.resets, str) or not OPENING.fullmatch(self.resets):
            return f"resets must look like '00:00Z' or '09:00+02:00', not {self.resets!r}"
        if DAY_US % self.per_us:
            return f"windows with fixed times must divide a day evenly; {self.per:g} s do not"
        if self.burst is not None:
            return "a window with fixed times has no burst; leave out burst or resets"
        return None

    @property
    def per_us(self) -> int:
        return round(self.per * 1_000_000)

    @property
    def limit(self) -> Limit:
        """As the shared pace counts it."""
        if self.resets is None:
            return Limit.bucket(self.requests, self.per_us, self.burst)
        return Limit.window(self.requests, self.per_us, _opening_us(self.resets))

    def __str__(self) -> str:
        return f"{self.name}: {self.requests} in {self.per:g} s"


class SharedPace(Protocol):
    """What pacing needs of a store: states that all processes and hosts share, by key.

    now: asked for inside, where the caller's clock is the shared one; microseconds.
    """

    def look(
        self, keys: Sequence[PaceKey], *, now: Callable[[], int]
    ) -> tuple[Sequence[PaceState], int]:
        """The states and the shared instant of looking. Writes nothing and waits for nobody."""

    def change(
        self,
        keys: Sequence[PaceKey],
        decide: Callable[[Sequence[PaceState], int], tuple[T, Sequence[PaceState]]],
        *,
        now: Callable[[], int],
    ) -> T:
        """Give the states to a pure decision and keep what it makes of them, in one transaction.

        Nobody else reads or changes them in between. Returns the decision's first part.
        """


def check_rates(rates: Sequence[Rate]) -> None:
    """Raises ConnectorError where two rates cannot be told apart."""
    seen = set()
    for rate in rates:
        key = (rate.name, rate.scope, rate.per_us)
        if key in seen:
            raise ConnectorError(
                f"rate {rate.name} is declared twice for {rate.per:g} s; keep one, or give them "
                "different names"
            )
        seen.add(key)


def check_name(rates: Sequence[Rate], name: str | None) -> None:
    """Raises ConnectorError for a name that no rate has."""
    known = {rate.name for rate in rates}
    if name not in {None, DEFAULT} | known:
        raise ConnectorError(
            f"no rate is named {name!r}; the connector declares: "
            f"{', '.join(sorted(known)) or 'none'}"
        )


def check_cost(cost: int) -> None:
    """Raises ConnectorError for a cost that is no whole number from 1."""
    if not _is_count(cost):
        raise ConnectorError(f"the cost of a request must be a whole number from 1, not {cost!r}")


def _is_count(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 1


def _opening_us(resets: str) -> int:
    found = OPENING.fullmatch(resets)
    assert found is not None  # a rate is built valid
    hours, minutes, _, sign, zone_hours, zone_minutes = found.groups()
    east = (int(zone_hours or 0) * 60 + int(zone_minutes or 0)) * (-1 if sign == "-" else 1)
    return (int(hours) * 60 + int(minutes) - east) * 60_000_000
