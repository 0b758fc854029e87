"""Credentials, and the schemes that put them on a request.

A scheme's `flow` is a generator: it yields a signed copy of the request, receives the response,
and may yield another. It does no I/O. Paging, checkpoints and errors only know the unsigned
request. Adding a scheme: a frozen class with `flow`. See `oauth` and `hmac_signed` for two that
are longer.
"""

from __future__ import annotations

import base64
from collections.abc import Generator, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Protocol, cast

from penstock.clock import Clock, SystemClock
from penstock.errors import ConnectorError, SecretError
from penstock.upstream.fields import Path
from penstock.upstream.grant import Tokens
from penstock.upstream.request import Pair, Request, Response
from penstock.upstream.template import Values
from penstock.vault.redaction import Redactor


class Credentials(Mapping[str, str]):
    """Values a scheme may use, by name: secrets, and the settings that stand beside them.

    Names are unique, for both come from one settings schema. Only secrets are redacted. Nothing
    shows a value: not repr, not an error. clock: for schemes that stamp or wait. places: what
    placeholders in a scheme's templates stand for. tokens: where a scheme's tokens are kept.
    redact: takes the secrets out of a text.
    """

    __slots__ = ("_tokens", "_values", "clock", "places", "redact")

    def __init__(
        self,
        secrets: Mapping[str, str] = {},
        settings: Mapping[str, str] = {},
        *,
        clock: Clock | None = None,
        places: Values | None = None,
        tokens: Tokens | None = None,
    ) -> None:
        self.clock = clock or SystemClock()
        self.places: Values = places or {}
        self._values = {**settings, **secrets}
        self._tokens = tokens

        self.redact = Redactor(*secrets.values())

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

    def text(self, name: str) -> str:
        """The value of that name as it stands, a key of many lines for instance."""
        if not self._values.get(name):
            raise SecretError(f"the connection has no value for {name!r}")
        return self._values[name]

    @property
    def tokens(self) -> Tokens:
        """Raises SecretError where nothing keeps tokens for this connection."""
        if self._tokens is None:
            raise SecretError("this connection has no place for OAuth tokens")
        return self._tokens

    def hide(self, *secrets: str | None) -> None:
        """Redact these from now on, too: tokens, which come and go."""
        self.redact.hide(*(secret for secret in secrets if secret))


@dataclass(frozen=True, slots=True)
class TokenRequest:
    """A question to a token endpoint: a form, sent as it is.

    Other schemes do not sign it, no redirect is followed with it, and its answer is for the scheme
    alone. What passes by itself (a 503, a broken connection) is asked again before that.
    """

    url: str
    form: tuple[Pair, ...] = field(repr=False)
    headers: tuple[Pair, ...] = field(default=(), repr=False)


Flow = Generator[Request | TokenRequest, Response, None]


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
    """A key in a header field, or with query= in a query parameter of that name, or with json= in
    a member of the JSON body ("auth.key": a path, its objects are made)."""

    secret: str = "api_key"  # noqa: S105 - a name
    header: str | None = None
    query: str | None = None
    json: str | None = None

    def __post_init__(self) -> None:
        if sum(place is not None for place in (self.header, self.query, self.json)) > 1:
            raise ConnectorError(
                "ApiKey goes into a header, a query parameter or the JSON body: into one of them"
            )

    def flow(self, request: Request, credentials: Credentials) -> Flow:
        key = credentials.need(self.secret)
        if self.query is not None:
            yield request.with_params((self.query, key))
        elif self.json is not None:
            yield replace(request, json=Path.parse(self.json).put(_body(request), key))
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
        yield from _in_turn(self.schemes, request, credentials)


def _in_turn(
    schemes: tuple[Auth, ...], request: Request, credentials: Credentials
) -> Generator[Request | TokenRequest, Response, Response]:
    """The first scheme around the others: whatever it yields they sign, each time anew.

    So the last one sees a response first, and may answer it before the first one does.
    """
    if not schemes:
        return (yield request)
    flow = schemes[0].flow(request, credentials)
    try:
        signed = next(flow)
        while True:
            if isinstance(signed, TokenRequest):
                response = yield signed
            else:
                response = yield from _in_turn(schemes[1:], signed, credentials)
            try:
                signed = flow.send(response)
            except StopIteration:
                return response
    finally:
        flow.close()


def _body(request: Request) -> dict[str, object]:
    if request.json is None:
        return {}
    if type(request.json) is not dict:
        raise ConnectorError(
            f"{request.method} {request.url.partition('?')[0]} has a JSON body that is no object: "
            "ApiKey(json=…) finds no place in it"
        )
    return cast("dict[str, object]", request.json)


def _basic(user: str, password: str) -> str:
    return base64.b64encode(f"{user}:{password}".encode()).decode()


def _ascii(value: str, name: str) -> str:
    if not value.isascii():
        raise SecretError(f"the value of {name!r} holds characters that no header field can carry")
    return value


NO_AUTH = NoAuth()
NO_CREDENTIALS = Credentials()
