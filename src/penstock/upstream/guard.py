"""Which addresses a connection may reach, judged before every hop.

Twice: the URL, by the manifest's patterns, before anything else happens; and the addresses its
host name turns out to lead to, when a connection is opened. To the very address that was judged
the connection then goes, so that a second answer of the DNS cannot lead it elsewhere.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Self

import httpx2

from penstock.errors import ConnectorError, EgressDeniedError
from penstock.upstream.addresses import (
    Address,
    Network,
    is_loopback,
    is_loopback_address,
    is_opened,
    is_public,
    literal,
)
from penstock.upstream.proxy import Proxy

_PATTERN = re.compile(
    r"(?P<scheme>https?)://(?P<host>\[[0-9a-fA-F:.]+\]|[^/:@?#\[\]\s]+)"
    r"(?::(?P<port>\d{1,5}))?(?P<path>/[^?#\s]*)?"
)
_ODD = re.compile(r"[\x00-\x20\x7f\\]")
_NAME = re.compile(r"[a-z0-9_-]{1,63}(\.[a-z0-9_-]{1,63})*")
_NUMBERLIKE = re.compile(r"\d+|0x[0-9a-f]*")
_DEFAULT_PORTS = {"http": 80, "https": 443}


@dataclass(frozen=True, slots=True)
class Pattern:
    """One permitted family of URLs: "https://api.acme.test/*", "https://*.acme.test/v2/*".

    `*.` may only be the first label, with two fixed labels after it. No port: any port. The path
    may end in `*`; without a path every path is meant.
    """

    text: str
    scheme: str
    host: str
    port: int | None
    path: str

    @classmethod
    def parse(cls, text: str) -> Self:
        """Raises ConnectorError with a sentence."""
        match = _PATTERN.fullmatch(text)
        if match is None:
            raise ConnectorError(
                f"{text!r} is no permission pattern such as 'https://api.acme.test/*'"
            )
        host, path = match["host"], match["path"] or "/*"
        fixed = host.removeprefix("*.")
        if "*" in fixed or (fixed != host and fixed.count(".") < 1):
            raise ConnectorError(
                f"{text!r}: '*.' may only be the first label of a host, "
                "with at least two fixed labels after it"
            )
        if "*" in path[:-1]:
            raise ConnectorError(f"{text!r}: '*' may only stand at the end of a path")
        try:
            fixed = _host(httpx2.URL(f"https://{fixed}/"))
        except (httpx2.InvalidURL, ValueError) as error:
            raise ConnectorError(f"{text!r}: there can be no such host") from error
        port = int(match["port"]) if match["port"] else None
        wild = "*." if host.startswith("*.") else ""
        return cls(text, match["scheme"], wild + fixed, port, path)

    def allows(self, url: httpx2.URL) -> bool:
        return (
            url.scheme == self.scheme
            and self._allows_host(_host(url))
            and self.port in (None, url.port or _DEFAULT_PORTS.get(url.scheme))
            and self._allows_path(url.raw_path.partition(b"?")[0].decode("ascii"))
        )

    def _allows_host(self, host: str) -> bool:
        if self.host.startswith("*."):
            return host.endswith(self.host[1:]) and len(host) > len(self.host) - 1
        return host == self.host

    def _allows_path(self, path: str) -> bool:
        if self.path.endswith("*"):
            return path.startswith(self.path[:-1])
        return path == self.path


@dataclass(frozen=True, slots=True)
class Egress:
    """What one connection may reach, and by which way.

    allow_loopback never widens the patterns: a loopback URL has to match one and be allowed as
    loopback. networks: private ones that a person has opened. proxy: through which every name but
    a loopback one is reached; then it is the proxy that looks the name up and judges the address.
    """

    patterns: tuple[Pattern, ...]
    allow_loopback: bool = False
    networks: tuple[Network, ...] = ()
    proxy: Proxy | None = None

    @classmethod
    def of(
        cls,
        patterns: Iterable[str],
        *,
        allow_loopback: bool = False,
        networks: Iterable[Network] = (),
        proxy: Proxy | None = None,
    ) -> Self:
        """From the manifest's patterns, placeholders filled. Raises ConnectorError."""
        parsed = tuple(Pattern.parse(text) for text in patterns)
        return cls(parsed, allow_loopback, tuple(networks), proxy)

    def check(self, url: str) -> httpx2.URL:
        """The parsed URL if it may be reached; raises EgressDeniedError if not.

        What is judged is the very value that is connected to, so no second parser can see another
        host in it.
        """
        if _ODD.search(url):
            raise EgressDeniedError("a URL with white space, a control character or a backslash")
        try:
            parsed = httpx2.URL(url)
        except (httpx2.InvalidURL, ValueError) as error:
            raise EgressDeniedError("a URL that cannot be read") from error
        self._check_shape(parsed)
        self._check_host(parsed)
        self._check_patterns(parsed)
        return parsed

    def choose(self, host: str, addresses: Iterable[Address]) -> list[Address]:
        """Those of the addresses behind a host that may be connected to, in their order.

        A loopback name leads to this machine alone, every other name never to it. An address that
        is not allowed is left out and does not spoil the others: none but a judged one is ever
        connected to, so a mixed answer gains nobody anything, while networks with DNS64 put a
        made-up address beside every good one. Raises EgressDeniedError where none is left.
        """
        found = list(addresses)
        fit = self._here(found) if is_loopback(host) else self._elsewhere(found)
        if not fit:
            told = ", ".join(str(address) for address in found) or "no address"
            raise EgressDeniedError(
                f"{host} leads to {told}, which is not allowed; an own network is opened with "
                "the setting private_networks"
            )
        return fit

    def _here(self, addresses: list[Address]) -> list[Address]:
        return [a for a in addresses if self.allow_loopback and is_loopback_address(a)]

    def _elsewhere(self, addresses: list[Address]) -> list[Address]:
        return [a for a in addresses if is_public(a) or is_opened(a, self.networks)]

    def _check_shape(self, url: httpx2.URL) -> None:
        if url.scheme not in _DEFAULT_PORTS or not url.raw_host:
            raise EgressDeniedError(f"{_shown(url)} is no absolute http or https URL")
        if url.port is not None and not 0 < url.port <= 65_535:
            raise EgressDeniedError(f"{_shown(url)}: there is no such port")
        if url.userinfo:
            raise EgressDeniedError(f"{_shown(url)}: a URL may hold no user name or password")
        if any(part in (".", "..") for part in url.path.split("/")):
            raise EgressDeniedError(f"{_shown(url)}: a path may not climb with '.' or '..'")

    def _check_host(self, url: httpx2.URL) -> None:
        host = _host(url)
        address = literal(host)
        if address is None:
            _check_name(url, host)
        if is_loopback(host):
            if not self.allow_loopback:
                raise EgressDeniedError(
                    f"{_shown(url)} is this machine; allow it with --allow-loopback"
                )
            return
        if url.scheme != "https":
            raise EgressDeniedError(f"{_shown(url)}: plain http is only for loopback")
        if address is not None:
            self.choose(host, [address])

    def _check_patterns(self, url: httpx2.URL) -> None:
        if not any(pattern.allows(url) for pattern in self.patterns):
            allowed = ", ".join(pattern.text for pattern in self.patterns) or "none"
            raise EgressDeniedError(
                f"{_shown(url)} is not among the addresses the connector may reach: {allowed}"
            )


def names_loopback(pattern: str) -> bool:
    """Whether a manifest's pattern literally names this machine: a placeholder does not."""
    match = _PATTERN.fullmatch(pattern)
    return match is not None and is_loopback(match["host"].lower().strip("[]"))


def _host(url: httpx2.URL) -> str:
    """The host as it goes into DNS and TLS: IDNA-encoded, an address in its usual form."""
    host = url.raw_host.decode("ascii")
    address = literal(host)
    return host if address is None else str(address)


def _check_name(url: httpx2.URL, host: str) -> None:
    """Odd spellings of addresses (0x7f.1, 2130706433) are refused: resolvers understand them."""
    if host.endswith("."):
        raise EgressDeniedError(f"{_shown(url)}: leave out the dot at the end of the host")
    if not _NAME.fullmatch(host) or len(host) > 253:
        raise EgressDeniedError(f"{_shown(url)}: no host has such a name")
    if _NUMBERLIKE.fullmatch(host.rpartition(".")[2]):
        raise EgressDeniedError(f"{_shown(url)}: write an address in its plain form")


def _shown(url: httpx2.URL) -> str:
    host = url.raw_host.decode("ascii")
    port = f":{url.port}" if url.port else ""
    return f"{url.scheme}://{f'[{host}]' if ':' in host else host}{port}{url.path}"
