"""A network of names and addresses, of which every wire ends on a loopback port of the test."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from ipaddress import ip_address
from typing import Any
from urllib.parse import urlsplit

import httpcore2

from penstock.upstream.addresses import Address

from .provider import Provider


@dataclass
class Names:
    """A resolver by script: each name's answers, one after the other, the last one for ever.

    An answer is a list of addresses, or the error to raise. A name that is not told leads where
    the resolver of an operating system leads odd spellings of addresses: to this machine.
    """

    answers: dict[str, list[Sequence[str] | OSError]] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)

    def __call__(self, host: str, timeout_s: float | None) -> list[Address]:
        self.asked.append(host)
        script = self.answers.get(host, [["127.0.0.1"]])
        answer = script[min(self.asked.count(host), len(script)) - 1]
        if isinstance(answer, OSError):
            raise answer
        return [ip_address(text) for text in answer]


@dataclass
class Wires(httpcore2.NetworkBackend):
    """Dials for real, but each address ends at the provider that is told, all others at the
    canary. `dialled` are the addresses asked for. An address told as None takes no connection."""

    canary: Provider
    ends: dict[str, Provider | None] = field(default_factory=dict)
    dialled: list[str] = field(default_factory=list)

    def connect_tcp(self, host: str, port: int, timeout: float | None = None, *rest: Any) -> Any:
        self.dialled.append(host)
        end = self.ends.get(host, self.canary)
        if end is None:
            raise httpcore2.ConnectError("no route to host")
        return httpcore2.SyncBackend().connect_tcp(
            "127.0.0.1", urlsplit(end.url).port or 0, timeout
        )
