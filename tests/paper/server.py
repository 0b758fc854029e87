"""A connector and its paper provider, joined by real sockets on loopback.

A provider is a function from request to answer. Whatever host a request is for, it is led here;
`headers["host"]` says which one was meant.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from penstock import Account, Connector
from penstock.testing import (
    FAULTS,
    Answer,
    ConnectorRuntime,
    HostileProvider,
    Sent,
    connector_runtime,
)
from penstock.work.runner import RunReport

FAULT = {fault.name: fault for fault in FAULTS}
SHARED = Path(__file__).parents[2].parent / "shared" / "data"
"""Published examples of the real providers, where they lie beside the repository."""


@dataclass
class Line:
    """The joined pair. run: a stream to its end; asked: the requests since it was last asked."""

    kit: ConnectorRuntime
    provider: HostileProvider
    seen: int = 0

    def run(self, stream: str, *, full: bool = False) -> RunReport:
        report = self.kit.run(stream, full=full)
        assert report.counters.balanced, report.counters
        return report

    def pull(self, stream: str, *, full: bool = False) -> RunReport:
        """The same where it must go well."""
        report = self.run(stream, full=full)
        assert not report.failed, report.message
        return report

    def asked(self) -> list[Sent]:
        new = self.provider.requests[self.seen :]
        self.seen += len(new)
        return new

    def payloads(self, document_type: str, name: str) -> dict[str, dict[str, Any]]:
        """Live documents by the member that names them."""
        return {payload[name]: payload for payload in self.kit.documents(document_type)}


@contextmanager
def joined(
    connector: Connector,
    answer: Callable[[Sent], Answer],
    *,
    settings: Mapping[str, Any] | None = None,
    account: Account | None = None,
    facts: Mapping[str, Any] | None = None,
    fault: str | None = None,
    at: int = 1,
) -> Iterator[Line]:
    """Both, until the block ends. fault: what the provider does badly at its request number `at`,
    one of `penstock.testing.FAULTS`."""
    struck = FAULT[fault] if fault else None
    with (
        connector_runtime(connector, settings=settings, account=account, facts=facts) as kit,
        HostileProvider(answer, struck, clock=kit.clock, at=at) as provider,
    ):
        kit.lead_to(provider.url)
        yield Line(kit, provider)
        assert struck is None or provider.fired, "the fault never struck"
