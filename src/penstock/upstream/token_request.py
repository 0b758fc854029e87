"""How a client shows a token endpoint who it is (RFC 6749 section 2.3, RFC 7523)."""

from __future__ import annotations

import base64
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal
from urllib.parse import quote_plus

from penstock.upstream.assertion import SigningKey
from penstock.upstream.auth import Credentials, TokenRequest
from penstock.upstream.request import Pair

ClientAuth = Literal["basic", "post", "private_key_jwt", "none"]

_CLIENT_ASSERTION = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"


@dataclass(frozen=True, slots=True)
class OAuthClient:
    """client_id, client_secret: names of settings. key: for private_key_jwt."""

    auth: ClientAuth
    client_id: str
    client_secret: str
    key: SigningKey

    def ask(self, url: str, form: Iterable[Pair], credentials: Credentials) -> TokenRequest:
        """The form as a request that the endpoint knows us by. Raises SecretError."""
        match self.auth:
            case "basic":
                return TokenRequest(url, tuple(form), (self._basic(credentials),))
            case "post":
                secret = ("client_secret", credentials.need(self.client_secret))
                return TokenRequest(url, (*form, self._id(credentials), secret))
            case "private_key_jwt":
                return TokenRequest(url, (*form, *self._assertion(url, credentials)))
            case _:
                return TokenRequest(url, (*form, self._id(credentials)))

    def _id(self, credentials: Credentials) -> Pair:
        return "client_id", credentials.need(self.client_id)

    def _basic(self, credentials: Credentials) -> Pair:
        # Both are form-encoded before they are joined: RFC 6749, section 2.3.1.
        both = (credentials.need(name) for name in (self.client_id, self.client_secret))
        joined = ":".join(quote_plus(value) for value in both)
        return "Authorization", "Basic " + base64.b64encode(joined.encode()).decode()

    def _assertion(self, url: str, credentials: Credentials) -> tuple[Pair, ...]:
        name, me = self._id(credentials)
        claims = {"iss": me, "sub": me, "aud": url}
        return (
            (name, me),
            ("client_assertion_type", _CLIENT_ASSERTION),
            ("client_assertion", self.key.sign(claims, credentials)),
        )
