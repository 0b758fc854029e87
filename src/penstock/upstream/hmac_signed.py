"""Requests signed with a shared secret: what is signed and where the signature goes, as data."""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
import secrets as random
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from email.utils import format_datetime
from typing import Any, Literal, get_args

import httpx2

from penstock.errors import ConnectorError, SecretError
from penstock.model import times
from penstock.upstream.auth import Credentials, Flow
from penstock.upstream.request import Request, address, content

Hash = Literal["sha256", "sha512", "sha384", "sha1", "md5"]
Encoding = Literal["hex", "base64", "base64url"]
Stamp = Literal["unix", "unix_ms", "rfc3339", "http"]
KeyForm = Literal["text", "hex", "base64"]

PARTS = frozenset(
    {"method", "host", "path", "query", "target", "url", "body", "body_hash", "timestamp", "nonce"}
)

_PLACE = re.compile(r"\{([A-Za-z_]\w*)\}")


@dataclass(frozen=True, slots=True)
class HmacSigned:
    """An HMAC (RFC 2104) over parts of the request, in header fields or query parameters.

    sign: the signed text. Its parts: {method}, {host}, {path}, {query}, {target} (path and query),
    {url}, {body}, {body_hash} (hex), {timestamp}, {nonce}, all as they go over the wire, and the
    names of settings. headers, params: name to text with these parts and {signature}. timestamp:
    how it is written; it comes from the connection's clock. key: how the secret spells its bytes.

    >>> HmacSigned("api_secret", sign="{timestamp}{method}{target}{body}",
    ...            headers={"X-Key": "{api_key}", "X-Time": "{timestamp}", "X-Sign": "{signature}"})

    Params are signed before they are added, so {query} does not hold them. Raises ConnectorError.
    """

    secret: str
    sign: str
    headers: Mapping[str, str] = field(default_factory=dict)
    params: Mapping[str, str] = field(default_factory=dict)
    hash: Hash = "sha256"
    encoding: Encoding = "hex"
    timestamp: Stamp = "unix"
    key: KeyForm = "text"

    def __post_init__(self) -> None:
        for name, value, kind in (
            ("hash", self.hash, Hash),
            ("encoding", self.encoding, Encoding),
            ("timestamp", self.timestamp, Stamp),
            ("key", self.key, KeyForm),
        ):
            if value not in get_args(kind):
                known = ", ".join(get_args(kind))
                raise ConnectorError(f"HmacSigned: {name} {value!r} is none of {known}")
        if not any("{signature}" in text for text in self._texts()):
            raise ConnectorError("HmacSigned: {signature} stands in none of its headers and params")

    @property
    def settings(self) -> frozenset[str]:
        """Names of the settings that its texts use, the secret among them."""
        used = {name for text in (self.sign, *self._texts()) for name in _PLACE.findall(text)}
        return frozenset(used - PARTS - {"signature"} | {self.secret})

    def flow(self, request: Request, credentials: Credentials) -> Flow:
        parts = _parts(request, credentials.clock.now(), self.timestamp, self.hash)
        signed = hmac.digest(
            self._key(credentials), _filled(self.sign, parts, credentials), self.hash
        )
        parts["signature"] = _ENCODERS[self.encoding](signed)

        def made(texts: Mapping[str, str]) -> list[tuple[str, str]]:
            return [(n, _filled(text, parts, credentials).decode()) for n, text in texts.items()]

        yield request.with_headers(*made(self.headers)).with_params(*made(self.params))

    def _texts(self) -> tuple[str, ...]:
        return (*self.headers.values(), *self.params.values())

    def _key(self, credentials: Credentials) -> bytes:
        try:
            return _KEYS[self.key](credentials.need(self.secret))
        except ValueError:
            raise SecretError(f"the value of {self.secret!r} is no {self.key}") from None


def _parts(request: Request, now: datetime, stamp: Stamp, algorithm: Hash) -> dict[str, Any]:
    """What may be signed, spelled as the client sends it."""
    url = httpx2.URL(address(request))
    target = url.raw_path.decode("ascii")
    body = content(request) or b""
    return {
        "method": request.method,
        "host": url.netloc.decode("ascii"),
        "path": target.partition("?")[0],
        "query": target.partition("?")[2],
        "target": target,
        "url": str(url),
        "body": body,
        "body_hash": hashlib.new(algorithm, body, usedforsecurity=False).hexdigest(),
        "timestamp": _STAMPS[stamp](now),
        "nonce": random.token_hex(16),
    }


def _filled(text: str, parts: Mapping[str, Any], credentials: Credentials) -> bytes:
    """The text with its parts; joined as bytes, since a body need not be text."""
    pieces = _PLACE.split(text)
    for place in range(1, len(pieces), 2):
        name = pieces[place]
        pieces[place] = parts[name] if name in parts else credentials.need(name)
    return b"".join(p if isinstance(p, bytes) else p.encode() for p in pieces)


_ENCODERS: Mapping[Encoding, Callable[[bytes], str]] = {
    "hex": bytes.hex,
    "base64": lambda data: base64.b64encode(data).decode(),
    "base64url": lambda data: base64.urlsafe_b64encode(data).rstrip(b"=").decode(),
}
_KEYS: Mapping[KeyForm, Callable[[str], bytes]] = {
    "text": str.encode,
    "hex": bytes.fromhex,
    "base64": lambda text: base64.b64decode(text, validate=True),
}
_STAMPS: Mapping[Stamp, Callable[[datetime], str]] = {
    "unix": lambda now: str(int(now.timestamp())),
    "unix_ms": lambda now: str(times.microseconds(now) // 1000),
    "rfc3339": lambda now: f"{now:%Y-%m-%dT%H:%M:%SZ}",
    "http": lambda now: format_datetime(now, usegmt=True),
}
