"""Signed claims (RFC 7523): how a key shows who its owner is."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from penstock.errors import ConnectorError, SecretError
from penstock.upstream.auth import Credentials

LIVES_S = 300

_FAMILIES: Mapping[str, Literal["RSA", "EC", "OKP"]] = {
    "RS": "RSA",
    "PS": "RSA",
    "ES": "EC",
    "Ed": "OKP",
}
"""Beginning of an algorithm's name (RFC 7518, RFC 9864) to the type of its keys."""


@dataclass(frozen=True, slots=True)
class SigningKey:
    """secret: name of the setting with the private key, PEM or a JWK. key_id: name of the setting
    with its `kid`, None for none. algorithm: RS256 and its like, never a symmetric one."""

    secret: str
    key_id: str | None = None
    algorithm: str = "RS256"

    def __post_init__(self) -> None:
        if self.algorithm[:2] not in _FAMILIES:
            raise ConnectorError(
                f"OAuth2: algorithm {self.algorithm!r} signs with no private key; RS256, PS256, "
                "ES256 and Ed25519 do"
            )

    def sign(self, claims: Mapping[str, Any], credentials: Credentials) -> str:
        """The claims as a JWT that lives for five minutes and is used once.

        Raises SecretError for a key that does not fit the algorithm, never showing it.
        """
        from joserfc import jwk, jwt
        from joserfc.errors import JoseError

        now = int(credentials.clock.now().timestamp())
        stamps = {"iat": now, "exp": now + LIVES_S, "jti": secrets.token_urlsafe(16)}
        header = {"alg": self.algorithm}
        if self.key_id is not None:
            header["kid"] = credentials.need(self.key_id)
        try:
            key = jwk.import_key(credentials.text(self.secret), _FAMILIES[self.algorithm[:2]])
            return jwt.encode(header, {**stamps, **claims}, key, [self.algorithm])
        except (JoseError, ValueError, TypeError):
            raise SecretError(
                f"the value of {self.secret!r} is no private key that {self.algorithm} can sign "
                "with: give PEM (NAME=@FILE keeps its lines) or a JWK"
            ) from None
