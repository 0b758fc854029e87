"""Which source serves a stream: its collection, or its sync route."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from penstock.clock import Clock
from penstock.errors import ConnectorError
from penstock.pipeline.collection import CollectionSource
from penstock.pipeline.letters import Postmaster
from penstock.pipeline.reading import Installation, RecordReader
from penstock.pipeline.route import RouteHost, RouteSource
from penstock.pipeline.source import Source
from penstock.pipeline.stage import HeadsOf
from penstock.sdk.connector import Connector
from penstock.upstream.request import Request, Response


@dataclass(frozen=True, slots=True)
class SourceMaker:
    """Makes the sources of one connection."""

    installation: Installation
    send: Callable[[Request], Response]
    heads_of: HeadsOf
    clock: Clock

    def __call__(self, stream: str, postmaster: Postmaster, run_no: int, observing: bool) -> Source:
        """The source of a stream. Raises ConnectorError where nothing serves it."""
        connector = self.installation.loaded.connector
        mapping = connector.mappings.get(stream)
        if mapping is not None and mapping.endpoint is not None:
            return CollectionSource(
                endpoint=mapping.endpoint,
                values=self.installation.values,
                reader=RecordReader(self.installation, stream),
                postmaster=postmaster,
                send=self.send,
                heads_of=self.heads_of,
            )
        route = connector.sync_routes.get(stream)
        if route is None:
            raise ConnectorError(
                f"stream {stream} of connector {connector.key} has neither a collection nor a "
                "sync route; declare one, see `penstock check`"
            )

        def host() -> RouteHost:
            return RouteHost(
                self.installation,
                postmaster,
                self.send,
                self.heads_of,
                self.clock,
                run_no=run_no,
                observing=observing,
            )

        return RouteSource(route=route, host=host, since=None, now=self.clock.now())


def polls(connector: Connector) -> list[str]:
    """Keys of the streams that `run` pulls."""
    return [stream.key for stream in connector.streams.values() if stream.mode == "poll"]
