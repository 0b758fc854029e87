"""Credentials, and the schemes that put them on a request.

A scheme's `flow` is a generator: it yields a signed copy of the request, receives the response,
and may yield another. It does no I/O. Paging, checkpoints and errors only know the unsigned
request. Adding a scheme: a frozen class with `flow`.
"""

from __future__ import annotations

import base64
from collections.abc import Generator, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Protocol
from urllib.parse import quote, quote_plus

from penstock.errors import ConnectorError, SecretError
from penstock.upstream.request import Request, Response

HIDDEN = "***"
HIDDEN_FROM_CHARACTERS = 4
"""Shorter values stand in ordinary words and numbers; hiding them would only garble these."""


class Credentials(Mapping[str, str]):
    """Values a scheme may use, by name: secrets, and the settings that stand beside them.

    Names are unique, for both come from one settings schema. Only secrets are redacted. Nothing
    shows a value: not repr, not an error.
    """

    __slots__ = ("_marks", "_values")

    def __init__(self, secrets: Mapping[str, str] = {}, settings: Mapping[str, str] = {}) -> None:
        self._values = {**settings, **secrets}
        self._marks = _spellings(secrets.values())

    def __getitem__(self, name: str) -> str:
        return self._values[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)

    def __repr__(self) -> str:
        return f"Credentials({', '.join(sorted(self._values))})"

    def need(self, name: str) -> str:
        """The value of that name, fit for a header field. Raises SecretError, never showing it."""
        value = self._values.get(name)
        if not value:
            raise SecretError(f"the connection has no value for {name!r}")
        if not value.isprintable() or value != value.strip():
            raise SecretError(
                f"the value of {name!r} holds white space at an end or a control character; "
                "perhaps it was copied with its line break"
            )
        return value

    def redact(self, text: str) -> str:
        """The text without any of the secrets, also in their URL spellings."""
        for mark in self._marks:
            text = text.replace(mark, HIDDEN)
        return text


Flow = Generator[Request, Response, None]


class Auth(Protocol):
    """A scheme."""

    def flow(self, request: Request, credentials: Credentials) -> Flow:
        """Yield signed copies of the request; receives the response to each."""


@dataclass(frozen=True, slots=True)
class NoAuth:
    """The provider asks for no credentials."""

    def flow(self, request: Request, credentials: Credentials) -> Flow:  # noqa: ARG002
        yield request


@dataclass(frozen=True, slots=True)
class Bearer:
    """`Authorization: Bearer <secret>` (RFC 6750). secret: the name of the secret setting."""

    secret: str = "api_key"  # noqa: S105 - a name

    def flow(self, request: Request, credentials: Credentials) -> Flow:
        yield request.with_headers(
            ("Authorization", f"Bearer {_ascii(credentials.need(self.secret), self.secret)}")
        )


@dataclass(frozen=True, slots=True)
class ApiKey:
    """A key in a header field, or with query= in a query parameter of that name."""

    secret: str = "api_key"  # noqa: S105 - a name
    header: str | None = None
    query: str | None = None

    def __post_init__(self) -> None:
        if self.header is not None and self.query is not None:
            raise ConnectorError("ApiKey goes into a header or a query parameter, not into both")

    def flow(self, request: Request, credentials: Credentials) -> Flow:
        key = credentials.need(self.secret)
        if self.query is not None:
            yield request.with_params((self.query, key))
        else:
            yield request.with_headers((self.header or "X-Api-Key", _ascii(key, self.secret)))


@dataclass(frozen=True, slots=True)
class Basic:
    """`Authorization: Basic` (RFC 7617), UTF-8.

    username, password: names of settings, secret or not. password=None sends an empty one, as
    providers want that take their key as the user name.
    """

    username: str
    password: str | None = None

    def flow(self, request: Request, credentials: Credentials) -> Flow:
        user = credentials.need(self.username)
        if ":" in user:
            raise SecretError(f"the value of {self.username!r} holds a colon; Basic forbids it")
        password = credentials.need(self.password) if self.password is not None else ""
        yield request.with_headers(("Authorization", "Basic " + _basic(user, password)))


@dataclass(frozen=True, slots=True)
class InTurn:
    """Several schemes, each signing what the one before has signed."""

    schemes: tuple[Auth, ...]

    def flow(self, request: Request, credentials: Credentials) -> Flow:
        if len(self.schemes) == 1:
            yield from self.schemes[0].flow(request, credentials)
            return
        for scheme in self.schemes:
            flow = scheme.flow(request, credentials)
            request = next(flow)
            flow.close()
        yield request


def _basic(user: str, password: str) -> str:
    return base64.b64encode(f"{user}:{password}".encode()).decode()


def _ascii(value: str, name: str) -> str:
    if not value.isascii():
        raise SecretError(f"the value of {name!r} holds characters that no header field can carry")
    return value


def _spellings(secrets: Iterable[str]) -> tuple[str, ...]:
    """Longest first, so that no secret leaves a part of another behind."""
    found = {
        spelling
        for secret in secrets
        if len(secret) >= HIDDEN_FROM_CHARACTERS
        for spelling in (secret, quote(secret, safe=""), quote_plus(secret))
    }
    return tuple(sorted(found, key=len, reverse=True))


NO_AUTH = NoAuth()
NO_CREDENTIALS = Credentials()
