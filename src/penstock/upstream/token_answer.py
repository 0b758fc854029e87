"""What a token endpoint said (RFC 6749, sections 5.1 and 5.2): tokens, a refusal, or neither."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from penstock.errors import PenstockError, UpstreamError, UpstreamUnavailableError
from penstock.model import times
from penstock.model.token import TokenPair
from penstock.upstream.fields import MISSING, Path
from penstock.upstream.request import Response

RENEW_BEFORE = timedelta(seconds=60)
LONGEST = timedelta(days=3650)
TEXT_CHARACTERS = 200

_PASSING = frozenset({"temporarily_unavailable", "server_error", "slow_down"})


class RefusedError(Exception):
    """The provider does not take what was shown to it; the text is its own reason."""


@dataclass(frozen=True, slots=True)
class Answer:
    """Tokens. members: all of the answer; received_at: microseconds."""

    members: Mapping[str, Any] = field(repr=False)
    received_at: int

    def pair(self, refresh_token: str | None) -> TokenPair:
        """The tokens. A provider that gives no new refresh token lets the old one live on."""
        given = self.members.get("refresh_token")
        kept = given if isinstance(given, str) and given else refresh_token
        return TokenPair(str(self.members["access_token"]), kept, self._renew_at())

    def facts(self, wanted: Mapping[str, str], callback: Mapping[str, str]) -> dict[str, Any]:
        """Values by name, from "token.member" or "callback.parameter"; absent ones are left out."""
        places = {"token": dict(self.members), "callback": dict(callback)}
        found = {name: Path.parse(source).get(places) for name, source in wanted.items()}
        return {name: value for name, value in found.items() if value not in (MISSING, None)}

    def _renew_at(self) -> int | None:
        """A minute before the end; half-way to it for a token that lives no longer than that."""
        lives = _seconds(self.members.get("expires_in"))
        if lives is None:
            return None
        before = RENEW_BEFORE if lives > RENEW_BEFORE else lives / 2
        return self.received_at + (lives - before) // timedelta(microseconds=1)


def read(response: Response) -> Answer:
    """The tokens of a final answer.

    Raises RefusedError for a refusal, UpstreamUnavailableError for one that passes, UpstreamError
    for what is no answer of a token endpoint.
    """
    members = _members(response)
    if error := members.get("error"):
        said = f"{error}: {members.get('error_description') or 'no reason given'}"
        if error in _PASSING:
            raise UpstreamUnavailableError(f"{_shown(response)} cannot answer now ({_short(said)})")
        raise RefusedError(_short(said))
    if response.status >= 300 or not isinstance(members.get("access_token"), str):
        raise UpstreamError(
            f"{_shown(response)} answered with {response.status} and no access token; is that the "
            "token endpoint?",
            status=response.status,
        )
    return Answer(members, times.microseconds(response.received_at))


def _members(response: Response) -> Mapping[str, Any]:
    try:
        value = response.json()
    except PenstockError:
        return {}
    return value if isinstance(value, dict) else {}


def _seconds(value: Any) -> timedelta | None:
    """How long a token lives; some providers send the number as text."""
    try:
        lives = timedelta(seconds=int(value))
    except (TypeError, ValueError, OverflowError):
        return None
    return min(lives, LONGEST) if lives > timedelta(0) else None


def _shown(response: Response) -> str:
    return response.request.url.partition("?")[0]


def _short(text: str) -> str:
    """On one line, without what steers a terminal."""
    printable = "".join(c if c.isprintable() else " " for c in text)
    return " ".join(printable.split())[:TEXT_CHARACTERS]
