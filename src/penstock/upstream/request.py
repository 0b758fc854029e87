"""A request as paging sees it, unsigned, and the response to it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import IO, Any
from urllib.parse import quote, urlencode

import msgspec

from penstock.errors import PageRefusedError
from penstock.upstream import wire
from penstock.upstream.headers import Headers
from penstock.vault.redaction import NOTHING_HIDDEN, Redactor

Pair = tuple[str, str]

_UTF_16 = frozenset({"utf-16", "utf-16le", "utf-16be"})

CREDENTIAL_HEADERS = frozenset({"authorization", "proxy-authorization", "cookie"})
"""Never stored with a request, and never sent on to another origin."""

MANY_AT_ONCE = 8
"""Requests of one `send_many` on their way together; the connector's concurrency may be less."""


@dataclass(frozen=True, slots=True)
class Request:
    """One request, without credentials: auth signs a copy that nobody keeps.

    url: absolute. params: appended to the url's own query. json: the body, None for none.
    safe: a POST that only reads and may be repeated. expect: final statuses from 400 upwards
    that are an answer and no error. note: the pager's own, JSON, for the page after this; stored,
    never sent. link: sent in place of url, where a followed link is signed; never stored.
    follows: it asks for a page behind another one, so a 401 to it that a new token does not cure
    says that the place is gone, not the grant. rate, cost: the name of the rate it counts against,
    None for the usual one, and how much of it. into: where the body of a good answer is written
    instead of being kept; never stored.
    """

    method: str
    url: str
    params: tuple[Pair, ...] = ()
    headers: tuple[Pair, ...] = ()
    json: Any = None
    safe: bool = False
    expect: tuple[int, ...] = ()
    note: Any = None
    link: str | None = field(default=None, repr=False)
    follows: bool = field(default=False, compare=False)
    rate: str | None = None
    cost: int = 1
    into: IO[bytes] | None = field(default=None, compare=False, repr=False)

    def with_params(self, *pairs: Pair) -> Request:
        """A copy with these parameters; those of the same names are replaced."""
        return replace(self, params=_replaced(self.params, pairs, fold=False))

    def with_headers(self, *pairs: Pair) -> Request:
        """A copy with these header fields; those of the same names, in any case, are replaced."""
        return replace(self, headers=_replaced(self.headers, pairs, fold=True))

    def param(self, name: str) -> str | None:
        """The last value of a parameter, None where there is none."""
        return next((value for key, value in reversed(self.params) if key == name), None)

    def as_json(self) -> dict[str, Any]:
        """The request as a JSON object, for a checkpoint; header fields with credentials left out.

        Members that have their default are left out. `signed` says that a link's signature was
        left out as well: such a request cannot be sent again.
        """
        kept = [[n, v] for n, v in self.headers if n.lower() not in CREDENTIAL_HEADERS]
        optional = {
            "params": [list(pair) for pair in self.params],
            "headers": kept,
            "json": self.json,
            "safe": self.safe,
            "expect": list(self.expect),
            "note": self.note,
            "signed": self.link is not None,
            "rate": self.rate,
            "cost": None if self.cost == 1 else self.cost,
        }
        given = {name: value for name, value in optional.items() if value not in (None, [], False)}
        return {"method": self.method, "url": self.url, **given}

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Request:
        """The request that `as_json` wrote."""
        return cls(
            method=value["method"],
            url=value["url"],
            params=_pairs(value.get("params", ())),
            headers=_pairs(value.get("headers", ())),
            json=value.get("json"),
            safe=value.get("safe", False),
            expect=tuple(value.get("expect", ())),
            note=value.get("note"),
            rate=value.get("rate"),
            cost=value.get("cost", 1),
        )


def address(request: Request) -> str:
    """The URL a request is sent to, with its parameters."""
    url = request.link or request.url
    if not request.params:
        return url
    query = urlencode(request.params, quote_via=quote)
    return f"{url}{'&' if '?' in url else '?'}{query}"


def content(request: Request) -> bytes | None:
    """The bytes of a request's body, None for none."""
    return None if request.json is None else msgspec.json.encode(request.json)


@dataclass(frozen=True, slots=True)
class Response:
    """A complete answer. request: the unsigned one. url: where the answer came from in the end.
    skipped: its status is declared to mean that there is nothing. redact: takes the connection's
    secrets out of a text."""

    request: Request
    status: int
    headers: Headers
    body: bytes = field(repr=False)
    url: str
    received_at: datetime
    skipped: bool = False
    redact: Redactor = field(default=NOTHING_HIDDEN, repr=False, compare=False)

    def json(self) -> Any:
        """The body decoded, every fraction a Decimal.

        Raises PageRefusedError with code invalid_page where it is no JSON or loses something.
        """
        return wire.decode(self.json_text())

    def json_text(self) -> bytes:
        """The body as JSON is read: in UTF-8, into which UTF-16 that is declared is brought.

        No other declaration is heeded: many servers declare Latin-1 and send UTF-8.
        """
        charset = _charset(self.headers.get("content-type", "")).lower()
        if charset not in _UTF_16:
            return self.body
        try:
            return self.body.decode(charset).encode()
        except UnicodeError as error:
            raise PageRefusedError(
                f"the response cannot be read: it is not the {charset} that it declares",
                code="invalid_page",
            ) from error

    def text(self) -> str:
        """The body as text in its declared charset, UTF-8 without one; bad bytes are marked."""
        charset = _charset(self.headers.get("content-type", ""))
        try:
            return self.body.decode(charset, errors="replace")
        except LookupError:
            return self.body.decode(errors="replace")


def _pairs(value: Iterable[Iterable[str]]) -> tuple[Pair, ...]:
    return tuple((name, text) for name, text in value)


def _replaced(old: tuple[Pair, ...], new: tuple[Pair, ...], *, fold: bool) -> tuple[Pair, ...]:
    def key(name: str) -> str:
        return name.lower() if fold else name

    names = {key(name) for name, _ in new}
    return tuple(pair for pair in old if key(pair[0]) not in names) + new


def _charset(content_type: str) -> str:
    for parameter in content_type.split(";")[1:]:
        name, _, value = parameter.partition("=")
        if name.strip().lower() == "charset":
            return value.strip().strip("\"'") or "utf-8"
    return "utf-8"
