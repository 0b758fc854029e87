"""Addresses: which are public, which are this machine, and which lie behind a name.

The table is our own. Python's is_global says yes to several that do not belong (192.0.0.192,
multicast, the NAT64 and 6to4 forms of loopback), and what it says changes between its versions.
"""

from __future__ import annotations

import socket
from collections.abc import Callable, Sequence
from ipaddress import (
    IPv4Address,
    IPv4Network,
    IPv6Address,
    IPv6Network,
    ip_address,
    ip_network,
)
from queue import Empty, SimpleQueue
from threading import Thread

from penstock.errors import UsageError

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

Resolver = Callable[[str, float | None], Sequence[Address]]
"""(name, seconds to wait) to its addresses, best first. Raises OSError, TimeoutError included."""


def _networks(*texts: str) -> tuple[Network, ...]:
    return tuple(ip_network(text) for text in texts)


_LOOPBACK = _networks("127.0.0.0/8", "::1/128")
PRIVATE = _networks("10.0.0.0/8", "100.64.0.0/10", "172.16.0.0/12", "192.168.0.0/16", "fc00::/7")
"""What may be opened: other machines of one's own, never this one or its link."""
_METADATA = _networks("100.100.100.200/32", "fd00:ec2::254/128", "fd20:ce::254/128")
"""Services of clouds that hand out a machine's credentials, on addresses of private networks."""

_CLOSED_4 = _networks(
    "0.0.0.0/8",
    "10.0.0.0/8",
    "100.64.0.0/10",
    "127.0.0.0/8",
    "168.63.129.16/32",  # a cloud's metadata service on a public address
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
_OPEN_6 = IPv6Network("2000::/3")
_CLOSED_6 = _networks(
    "2001::/23",
    "2001:db8::/32",
    "2002::/16",
    "2620:4f:8000::/48",
    "3fff::/20",
)


def is_public(address: Address) -> bool:
    """Whether an address belongs to the public network.

    Mapped, NAT64 and 6to4 forms do not, whatever they embed: they lie outside 2000::/3 or in the
    table.
    """
    if isinstance(address, IPv4Address):
        return not _lies_in(address, _CLOSED_4)
    return address in _OPEN_6 and not _lies_in(address, _CLOSED_6)


def is_opened(address: Address, networks: tuple[Network, ...]) -> bool:
    """Whether an address lies in one of the networks that a person has opened."""
    return _lies_in(address, networks) and not _lies_in(address, _METADATA)


def is_loopback(host: str) -> bool:
    """Whether a host, by name or literal address, is this machine."""
    if host == "localhost" or host.endswith(".localhost"):
        return True
    address = literal(host)
    return address is not None and is_loopback_address(address)


def is_loopback_address(address: Address) -> bool:
    return _lies_in(address, _LOOPBACK)


def literal(host: str) -> Address | None:
    """The address a host spells in its plain form, None for anything else, a zone included."""
    try:
        return None if "%" in host else ip_address(host)
    except ValueError:
        return None


def private_networks(text: str) -> tuple[Network, ...]:
    """Networks a person opens, as in "10.1.0.0/16, fd00:12::/32". Raises UsageError."""
    return tuple(_private(part.strip()) for part in text.split(",") if part.strip())


def _private(text: str) -> Network:
    try:
        network = ip_network(text)
    except ValueError as error:
        raise UsageError(f"private_networks: {text!r} is no network such as 10.1.0.0/16") from error
    if not any(_within(network, private) for private in PRIVATE):
        allowed = ", ".join(str(private) for private in PRIVATE)
        raise UsageError(f"private_networks: {text} is no part of a private network: {allowed}")
    return network


def _within(network: Network, whole: Network) -> bool:
    return (
        network.version == whole.version
        and network.prefixlen >= whole.prefixlen
        and network.network_address in whole
    )


def _lies_in(address: Address, networks: tuple[Network, ...]) -> bool:
    return any(address in network for network in networks)


def resolve(host: str, timeout_s: float | None) -> list[Address]:
    """What the system's resolver says of a name, now: no answer is kept, good or bad.

    The resolver of the system knows no deadline, so it is asked in a thread that may be left
    behind. Raises OSError, TimeoutError where no answer came in time.
    """
    answers: SimpleQueue[list[Address] | Exception] = SimpleQueue()

    def ask() -> None:
        try:
            found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
            answers.put([ip_address(where[0]) for *_, where in found])
        except Exception as error:
            answers.put(error)

    Thread(target=ask, name="penstock-resolve", daemon=True).start()
    try:
        answer = answers.get(timeout=timeout_s)
    except Empty:
        raise TimeoutError(f"no answer for the name {host} within {timeout_s:.0f} s") from None
    if isinstance(answer, Exception):
        raise answer
    return answer
