"""A connection's tokens, sealed in the store: what `upstream` asks for, kept as the store keeps it.

Who refreshes is named by process, so that a dead refresher on this host is known to be dead.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field, replace

from penstock.clock import Clock
from penstock.model import times
from penstock.model.connection import Connection
from penstock.model.token import TokenPair
from penstock.store.roles import Tokens
from penstock.store.rows import StoredTokens
from penstock.upstream.grant import Grant
from penstock.work.owner import Owner, names_the_dead


@dataclass(slots=True)
class SealedTokens:
    """Fills upstream's port `Tokens` for one connection. Safe to use from several threads.

    seal, open: text to sealed bytes and back, bound to the connection.
    """

    store: Tokens
    connection: Connection
    seal: Callable[[str], bytes]
    open: Callable[[bytes], str]
    clock: Clock

    _held: Grant | None = field(default=None, init=False)
    _lock: threading.Lock = field(default_factory=threading.Lock, init=False)

    def held(self) -> Grant:
        """The grant as this process last saw it."""
        return self._held or self.current()

    def current(self) -> Grant:
        """The grant as it is stored now. Raises SecretError where it does not open."""
        stored = self.store.get(self.connection.workspace, self.connection.name)
        grant = self._opened(stored) if stored else Grant()
        with self._lock:  # another thread may have read, and held, a newer one meanwhile
            if self._held is None or self._held.generation <= grant.generation:
                self._held = grant
        return grant

    def begin(self, grant: Grant) -> Grant | None:
        """Store the intent to refresh; None where somebody else was quicker."""
        attempt = str(Owner.of_this_process())
        begun = self.store.begin(
            *(self.connection.workspace, self.connection.name, grant.generation, attempt),
            over=grant.attempt,
            now=self._now(),
        )
        return replace(grant, attempt=attempt) if begun else None

    def save(self, grant: Grant, pair: TokenPair) -> Grant:
        """Store what the attempt brought; the grant to go on with."""
        sealed = self.seal(pair.as_text())
        where = (self.connection.workspace, self.connection.name)
        self.store.save(*where, grant.generation, sealed, now=self._now())
        return self.current()

    def abandon(self, grant: Grant) -> None:
        """The next attempt may begin at once."""
        self.store.abandon(self.connection.workspace, self.connection.name, grant.attempt)

    def worked(self, grant: Grant) -> None:
        """Forget the pairs kept beside a current one that has worked."""
        held = self._held
        if held is None or held.generation != grant.generation or not held.others:
            return
        where = (self.connection.workspace, self.connection.name)
        self.store.worked(*where, grant.generation)
        with self._lock:
            if self._held is held:
                self._held = replace(held, others=())

    def lose(self, grant: Grant, why: str) -> Grant:
        """The connection needs a person; its state says so from now on."""
        name, target = self.connection.name, self.connection.target
        sentence = (
            f"{name} has lost its access: {why}; connect it again: penstock connect {target} "
            f"--name {name}"
        )
        where = (self.connection.workspace, name, grant.generation, grant.attempt)
        self.store.lose(*where, reason=sentence, now=self._now())
        return self.current()

    def _opened(self, stored: StoredTokens) -> Grant:
        pair, spare, previous = (
            TokenPair.from_text(self.open(sealed)) if sealed else None
            for sealed in (stored.sealed, stored.spare, stored.previous)
        )
        return Grant(
            generation=stored.generation,
            pair=pair,
            others=tuple(other for other in (spare, previous) if other),
            attempt=stored.attempt,
            is_free=_is_free(stored.attempt),
            lost=stored.lost,
        )

    def _now(self) -> int:
        return times.microseconds(self.clock.now())


def _is_free(attempt: str) -> bool:
    """Nobody refreshes, or somebody who is certainly dead."""
    return not attempt or names_the_dead(attempt, Owner.of_this_process())
