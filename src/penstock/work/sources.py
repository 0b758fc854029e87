"""Which source serves a stream, or a part of its past: its collection, or a route."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Literal

from penstock.clock import Clock
from penstock.errors import ConnectorError
from penstock.model.backfill import Part
from penstock.pipeline.collection import CollectionSource
from penstock.pipeline.letters import Postmaster
from penstock.pipeline.reading import Installation, RecordReader
from penstock.pipeline.reading_process import ReadingProcess
from penstock.pipeline.route import RouteHost, RouteSource
from penstock.pipeline.source import Source
from penstock.pipeline.stage import HeadsOf
from penstock.sdk.collection import Endpoint
from penstock.sdk.connector import Connector
from penstock.sdk.request import Door, RouteRequest
from penstock.upstream.files import Download
from penstock.upstream.request import Request, Response
from penstock.vault.redaction import Redactor


@dataclass(frozen=True, slots=True)
class SourceMaker:
    """Makes the sources of one connection. beside: long enumerations may use another process. part:
    of a backfill, that they are to read."""

    installation: Installation
    door: Door
    heads_of: HeadsOf
    clock: Clock
    beside: bool = False
    part: Part | None = None

    def __call__(self, stream: str, postmaster: Postmaster, run_no: int, observing: bool) -> Source:
        """The source of a stream. Raises ConnectorError where nothing serves it."""
        connector = self.installation.loaded.connector
        mapping = connector.mappings.get(stream)
        if self.part is not None and (back := connector.backfill_routes.get(stream)):
            return self._route(back, postmaster, run_no, observing, "backfill")
        if mapping is not None and mapping.endpoint is not None:
            return self._collection(mapping.endpoint, postmaster)
        if self.part is None and (route := connector.sync_routes.get(stream)):
            return self._route(route, postmaster, run_no, observing)
        kind = "sync" if self.part is None else "backfill"
        raise ConnectorError(
            f"stream {stream} of connector {connector.key} has neither a collection nor a "
            f"{kind} route; declare one, see `penstock check`"
        )

    def _collection(self, endpoint: Endpoint, postmaster: Postmaster) -> CollectionSource:
        stream = postmaster.stream
        door = self._paced(stream, endpoint)
        completion = self.installation.completion(stream, door, self.clock.now())
        beside = self.beside and completion is None
        return CollectionSource(
            endpoint=endpoint,
            values=self.installation.values,
            reader=RecordReader(self.installation, stream),
            postmaster=postmaster,
            send=door.send,
            heads_of=self.heads_of,
            beside=partial(ReadingProcess, self.installation, stream) if beside else None,
            completion=completion,
            part=self.part,
        )

    def _route(
        self,
        route: Callable[[RouteRequest], Any],
        postmaster: Postmaster,
        run_no: int,
        observing: bool,
        kind: Literal["sync", "backfill"] = "sync",
    ) -> RouteSource:
        door, part = self._paced(postmaster.stream), self.part

        def host() -> RouteHost:
            return RouteHost(
                self.installation,
                postmaster,
                door,
                self.heads_of,
                self.clock,
                run_no=run_no,
                observing=observing,
            )

        return RouteSource(
            route=route,
            host=host,
            since=None,
            now=self.clock.now(),
            from_=part.from_ if part is not None else None,
            to=part.to if part is not None else None,
            kind=kind,
        )

    def within(self, part: Part) -> SourceMaker:
        """The same for a part of the past; several are read at once."""
        installation = replace(self.installation, partition=part.slice.keys)
        return replace(self, installation=installation, beside=False, part=part)

    def below(self, parent: Mapping[str, Any]) -> SourceMaker:
        """The same for the children of one parent; there are many, and each is short."""
        installation = replace(self.installation, parent=parent)
        return replace(self, installation=installation, beside=False)

    def _paced(self, stream: str, endpoint: Endpoint | None = None) -> Paced:
        rate = self.installation.loaded.connector.stream(stream).rate
        if endpoint is None:
            return Paced(self.door, rate)
        return Paced(self.door, endpoint.rate or rate, endpoint.cost)


@dataclass(frozen=True, slots=True)
class Paced:
    """The door for one stream: what its requests count against is declared, not stored, so that a
    checkpoint never names a rate that is no more. cost: in place of the request's own."""

    door: Door
    rate: str | None
    cost: int | None = None

    @property
    def redact(self) -> Redactor:
        return self.door.redact

    def send(self, request: Request) -> Response:
        return self.door.send(self._counted(request))

    def send_many(self, requests: Sequence[Request]) -> list[Response]:
        return self.door.send_many([self._counted(request) for request in requests])

    def download(self, request: Request) -> Download:
        return self.door.download(self._counted(request))

    def _counted(self, request: Request) -> Request:
        cost = request.cost if self.cost is None else self.cost
        return replace(request, rate=request.rate or self.rate, cost=cost)


def polls(connector: Connector) -> list[str]:
    """Keys of the streams that `run` pulls, parents before their children."""
    keys = [stream.key for stream in connector.streams.values() if stream.mode == "poll"]
    return sorted(keys, key=lambda key: _depth(connector, key))


def _depth(connector: Connector, key: str | None) -> int:
    depth = 0
    while depth < len(connector.streams):
        mapping = connector.mappings.get(key) if key is not None else None
        key = mapping.endpoint.parent if mapping is not None and mapping.endpoint else None
        if key is None:
            break
        depth += 1
    return depth
