"""What a provider granted to a connection: its tokens by generation, and who renews them.

Rotating refresh tokens may be used once, so two things must never happen: two refreshers at work
with one token, and an answer that is used before it is stored. The port says how: the intent is
stored before the token endpoint is called, the new pair before it is used, and the old one stays
until the new one has worked. There is no lock with a time to live, which an endpoint slower than
it would break: whoever finds a refresher at work waits for the generation to move.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Protocol

from penstock.clock import Clock
from penstock.model.token import TokenPair

LOOK_EVERY_S = 0.1
PATIENCE_S = 180.0
"""A refresher that may live elsewhere is given up after this: more than its whole call can take."""


@dataclass(frozen=True, slots=True)
class Grant:
    """The tokens of a connection at one moment.

    generation: counts saved pairs, 0 before the first. others: pairs kept beside the current one,
    to be tried once before all is lost: one whose answer came late, and the one before, until the
    current one has worked. attempt: names the refresh under way, "" for none. is_free: a refresh
    may begin at once, there is none or its refresher is known to be dead. lost: why nothing but a
    person can help, in one sentence.
    """

    generation: int = 0
    pair: TokenPair | None = None
    others: tuple[TokenPair, ...] = ()
    attempt: str = ""
    is_free: bool = True
    lost: str | None = None

    def refresh_tokens(self) -> tuple[str, ...]:
        """To be tried in this order, each once."""
        pairs = [pair for pair in (self.pair, *self.others) if pair and pair.refresh_token]
        return tuple(dict.fromkeys(str(pair.refresh_token) for pair in pairs))


class Tokens(Protocol):
    """Where one connection's tokens are kept, for all threads, processes and hosts."""

    def held(self) -> Grant:
        """The grant as this process last saw it: cheap, and perhaps of an older generation."""

    def current(self) -> Grant:
        """The grant as it is stored now."""

    def begin(self, grant: Grant) -> Grant | None:
        """Store the intent to renew it; None where somebody else was quicker, or it has moved on.

        The result names our attempt. An attempt that `grant` names is taken over.
        """

    def save(self, grant: Grant, pair: TokenPair) -> Grant:
        """Store what the attempt brought, and return the grant to go on with.

        Where the generation has moved in the meantime, the pair is kept beside the current one.
        """

    def abandon(self, grant: Grant) -> None:
        """The attempt brought no answer: the next one may begin at once."""

    def worked(self, grant: Grant) -> None:
        """The provider's API took the token: pairs kept beside it are no longer needed."""

    def lose(self, grant: Grant, why: str) -> Grant:
        """The provider refused every token: store that only a person can help.

        Returns the grant with its sentence; without one where another refresher has the word now.
        """


@dataclass(slots=True)
class Patience:
    """How long a refresher of unknown fate is waited for, by one's own clock."""

    clock: Clock
    attempt: str = ""
    since: float = 0.0

    def is_over(self, grant: Grant) -> bool:
        """Whether this attempt has been seen at work for longer than its call can take."""
        if grant.attempt != self.attempt:
            self.attempt, self.since = grant.attempt, self.clock.monotonic()
        return self.clock.monotonic() - self.since >= PATIENCE_S


@dataclass(slots=True)
class OwnTokens:
    """Tokens that nobody else can know of: a connection's while it is being made."""

    grant: Grant = field(default_factory=Grant)

    def held(self) -> Grant:
        return self.grant

    def current(self) -> Grant:
        return self.grant

    def begin(self, grant: Grant) -> Grant | None:
        return grant

    def save(self, grant: Grant, pair: TokenPair) -> Grant:
        kept = (grant.pair,) if grant.pair else ()
        self.grant = Grant(grant.generation + 1, pair, kept)
        return self.grant

    def abandon(self, grant: Grant) -> None:
        """Nobody waits for it."""

    def worked(self, grant: Grant) -> None:
        self.grant = replace(grant, others=())

    def lose(self, grant: Grant, why: str) -> Grant:
        return replace(grant, lost=why)
