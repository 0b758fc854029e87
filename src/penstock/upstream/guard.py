"""Which addresses a connection may reach: its manifest's patterns, judged before every hop."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address
from typing import Self

import httpx2

from penstock.errors import ConnectorError, EgressDeniedError

_PATTERN = re.compile(
    r"(?P<scheme>https?)://(?P<host>\[[0-9a-fA-F:.]+\]|[^/:@?#\[\]\s]+)"
    r"(?::(?P<port>\d{1,5}))?(?P<path>/[^?#\s]*)?"
)
_ODD = re.compile(r"[\x00-\x20\x7f\\]")
_NUMBERLIKE = re.compile(r"(\d+|0[xX][0-9a-fA-F]*)\.?")

_CLOSED_4 = tuple(
    IPv4Network(text)
    for text in (
        "0.0.0.0/8",
        "10.0.0.0/8",
        "100.64.0.0/10",
        "127.0.0.0/8",
        "168.63.129.16/32",
        "169.254.0.0/16",
        "172.16.0.0/12",
        "192.0.0.0/24",
        "192.0.2.0/24",
        "192.31.196.0/24",
        "192.52.193.0/24",
        "192.88.99.0/24",
        "192.168.0.0/16",
        "192.175.48.0/24",
        "198.18.0.0/15",
        "198.51.100.0/24",
        "203.0.113.0/24",
        "224.0.0.0/4",
        "240.0.0.0/4",
    )
)
_OPEN_6 = IPv6Network("2000::/3")
_CLOSED_6 = tuple(
    IPv6Network(text)
    for text in (
        "2001::/23",
        "2001:db8::/32",
        "2002::/16",
        "2620:4f:8000::/48",
        "3fff::/20",
    )
)


def is_public(address: IPv4Address | IPv6Address) -> bool:
    """Whether an address belongs to the public network.

    Python's is_global says yes to several that do not (192.0.0.192, multicast, NAT64 and 6to4
    forms of loopback). 168.63.129.16 is a cloud's metadata service on a public address.
    """
    if isinstance(address, IPv4Address):
        return not any(address in network for network in _CLOSED_4)
    return address in _OPEN_6 and not any(address in network for network in _CLOSED_6)


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
        host, path = match["host"].lower(), match["path"] or "/*"
        fixed = host.removeprefix("*.")
        if "*" in fixed or (fixed != host and fixed.count(".") < 1):
            raise ConnectorError(
                f"{text!r}: '*.' may only be the first label of a host, "
                "with at least two fixed labels after it"
            )
        if "*" in path[:-1]:
            raise ConnectorError(f"{text!r}: '*' may only stand at the end of a path")
        port = int(match["port"]) if match["port"] else None
        return cls(text, match["scheme"], host.strip("[]"), port, path)

    def allows(self, url: httpx2.URL) -> bool:
        return (
            url.scheme == self.scheme
            and self._allows_host(url.host)
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
    """What one connection may reach. allow_loopback never widens the patterns: a loopback URL
    has to match one and be allowed as loopback."""

    patterns: tuple[Pattern, ...]
    allow_loopback: bool = False

    @classmethod
    def of(cls, patterns: Iterable[str], *, allow_loopback: bool = False) -> Self:
        """From the manifest's patterns, placeholders filled. Raises ConnectorError."""
        return cls(tuple(Pattern.parse(text) for text in patterns), allow_loopback)

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

    def _check_shape(self, url: httpx2.URL) -> None:
        if url.scheme not in _DEFAULT_PORTS or not url.host:
            raise EgressDeniedError(f"{_shown(url)} is no absolute http or https URL")
        if url.port is not None and not 0 < url.port <= 65_535:
            raise EgressDeniedError(f"{_shown(url)}: there is no such port")
        if url.userinfo:
            raise EgressDeniedError(f"{_shown(url)}: a URL may hold no user name or password")
        if any(part in (".", "..") for part in url.path.split("/")):
            raise EgressDeniedError(f"{_shown(url)}: a path may not climb with '.' or '..'")

    def _check_host(self, url: httpx2.URL) -> None:
        if is_loopback(url.host):
            if not self.allow_loopback:
                raise EgressDeniedError(
                    f"{_shown(url)} is this machine; allow it with --allow-loopback"
                )
            return
        if url.scheme != "https":
            raise EgressDeniedError(f"{_shown(url)}: plain http is only for loopback")
        address = _literal(url)
        if address is not None and not is_public(address):
            raise EgressDeniedError(f"{_shown(url)} is no address of the public network")

    def _check_patterns(self, url: httpx2.URL) -> None:
        if not any(pattern.allows(url) for pattern in self.patterns):
            allowed = ", ".join(pattern.text for pattern in self.patterns) or "none"
            raise EgressDeniedError(
                f"{_shown(url)} is not among the addresses the connector may reach: {allowed}"
            )


_DEFAULT_PORTS = {"http": 80, "https": 443}


def is_loopback(host: str) -> bool:
    """Whether a host, by name or literal address, is this machine."""
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


def _literal(url: httpx2.URL) -> IPv4Address | IPv6Address | None:
    """The address a host spells, None for a name. Odd spellings (0x7f.1, 2130706433) are refused:
    resolvers take them for addresses."""
    try:
        return ip_address(url.host)
    except ValueError as error:
        last = url.host.rstrip(".").rpartition(".")[2]
        if _NUMBERLIKE.fullmatch(last):
            raise EgressDeniedError(f"{_shown(url)}: write an address in its plain form") from error
        return None


def _shown(url: httpx2.URL) -> str:
    port = f":{url.port}" if url.port else ""
    return f"{url.scheme}://{url.host}{port}{url.path}"
