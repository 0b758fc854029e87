"""The store contract, fifth part: the pace that processes and hosts share.

Times here are far apart, so that a backend which takes its own database's clock passes too.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace

from penstock.model import pace
from penstock.model.pace import UNTOUCHED, Ask, Flight, Limit, PaceKey, PaceState, Priority
from penstock.testing.store_case import StoreCase, in_threads, refusal

MINUTE = 60_000_000
KEY = PaceKey("connection", "default", "acme-main", "default 60s")
LIMIT = Limit.bucket(1, MINUTE, 1)
ASK = Ask(Priority.POLL, 1, 100 * MINUTE)


def now() -> int:
    return time.time_ns() // 1_000


class PaceContract(StoreCase):
    """Decisions on shared states."""

    def test_a_pace_nobody_has_used_is_untouched(self) -> None:
        states, at = self.store.pace.look([KEY], now=now)
        assert list(states) == [UNTOUCHED]
        assert abs(at - now()) < MINUTE

    def test_a_decision_is_kept_for_all_who_share_it(self) -> None:
        state = PaceState(
            fronts=(1, 2, 3),
            pushed=(0, 5, 6),
            not_before=7,
            window=8,
            used=9,
            requests=10,
            burst=11,
            tickets=2,
            line=(Flight(1, Priority.POLL, 12, flying=True), Flight(2, Priority.BACKFILL, 13)),
        )
        answer = self.store.pace.change([KEY], lambda _states, _now: ("kept", [state]), now=now)
        assert answer == "kept"
        assert list(self.open_again().pace.look([KEY], now=now)[0]) == [state]

    def test_states_are_told_apart_by_every_part_of_their_key(self) -> None:
        keys = [
            KEY,
            KEY._replace(scope="app"),
            KEY._replace(workspace="theirs"),
            KEY._replace(owner="acme-other"),
            KEY._replace(rate="search 60s"),
        ]
        marked = [PaceState(used=place + 1) for place in range(len(keys))]
        self.store.pace.change(keys[::-1], lambda _states, _now: (None, marked[::-1]), now=now)
        assert list(self.store.pace.look(keys, now=now)[0]) == marked

    def test_of_many_askers_each_gets_a_turn_of_its_own(self) -> None:
        """Two stores stand for two processes: no turn is given twice, none is left out."""
        stores = [self.store, self.open_again()]
        waits: list[int] = []

        def take(n: int) -> None:
            waits.append(stores[n % 2].pace.change([KEY], _taken, now=now))

        in_threads(*(lambda n=n: take(n) for n in range(16)))
        gaps = [round(wait / LIMIT.span(1)) for wait in sorted(waits)]
        assert gaps == list(range(16))

    def test_a_decision_that_fails_changes_nothing(self) -> None:
        def fail(_states: Sequence[PaceState], _now: int) -> tuple[None, Sequence[PaceState]]:
            raise ValueError("no decision")

        self.store.pace.change([KEY], _taken, now=now)
        before = self.store.pace.look([KEY], now=now)[0]
        refusal(ValueError, lambda: self.store.pace.change([KEY], fail, now=now))
        assert self.store.pace.look([KEY], now=now)[0] == before
        assert self.store.pace.change([KEY], _taken, now=now) > MINUTE // 2

    def test_a_hold_is_seen_by_all_at_once(self) -> None:
        def hold(states: Sequence[PaceState], at: int) -> tuple[None, Sequence[PaceState]]:
            return None, [replace(state, not_before=at + MINUTE) for state in states]

        self.store.pace.change([KEY], hold, now=now)
        states, at = self.open_again().pace.look([KEY], now=now)
        assert MINUTE // 2 < pace.held_until(states) - at <= MINUTE


def _taken(states: Sequence[PaceState], at: int) -> tuple[int, Sequence[PaceState]]:
    turn, after = pace.take([LIMIT], states, ASK, at)
    return turn.wait_us, after
