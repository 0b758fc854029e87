"""Tokens as a provider gave them."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field

TOKENS = "oauth tokens"
"""The field that sealed pairs are bound to; no setting has a name with a space."""


@dataclass(frozen=True, slots=True)
class TokenPair:
    """An access token and what renews it, None where the grant itself does.

    renew_at: from when on it is renewed before it is used, in microseconds; None where only the
    provider's 401 tells that it has expired. Its repr shows no token.
    """

    access_token: str = field(repr=False)
    refresh_token: str | None = field(default=None, repr=False)
    renew_at: int | None = None

    def as_text(self) -> str:
        """JSON, to be sealed."""
        return json.dumps(asdict(self))

    @classmethod
    def from_text(cls, text: str) -> TokenPair:
        """The pair that `as_text` wrote."""
        return cls(**json.loads(text))
