"""Planning: every stream has the schedule of its manifest, as that is today."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from penstock.clock import Clock
from penstock.errors import PenstockError
from penstock.model import times
from penstock.model.connection import Connection
from penstock.sdk import loader
from penstock.sdk.connector import Connector
from penstock.store.roles import Store
from penstock.store.rows import PlannedStream
from penstock.telemetry import event
from penstock.work.sources import polls
from penstock.work.timetable import next_slot

Key = tuple[str, str, str]
"""Workspace, connection, stream."""


@dataclass(slots=True)
class Planning:
    """One look at all connections and their manifests."""

    store: Store
    clock: Clock
    loaded: dict[str, Connector | None] = field(default_factory=dict)

    def plan(self) -> None:
        """Write down the schedules that have changed. A new stream is due at once, one that is no
        longer declared never again."""
        planned = {row[:3]: row.schedule for row in self.store.agenda.planned()}
        changed = [
            PlannedStream(*key, schedule)
            for key, schedule in self.schedules(planned)
            if planned.get(key) != schedule
        ]
        if changed:
            now = times.microseconds(self.clock.now())
            self.store.agenda.plan([(s, _first(s, planned, now)) for s in changed])

    def schedules(self, planned: Iterable[Key]) -> Iterator[tuple[Key, str | None]]:
        """What each stream should have; of connectors that cannot be loaded nothing is known."""
        known: dict[tuple[str, str], set[str]] = {}
        for workspace, name, stream in planned:
            known.setdefault((workspace, name), set()).add(stream)
        for connection in self.store.connections.list():
            connector = self.connector(connection)
            if connector is None:
                continue
            home = (connection.workspace, connection.name)
            declared = polls(connector)
            for stream in declared:
                yield (*home, stream), connector.stream(stream).schedule
            for stream in known.get(home, set()).difference(declared):
                yield (*home, stream), None

    def connector(self, connection: Connection) -> Connector | None:
        """Loaded once in a look, so that a manifest may change while we run."""
        target = connection.target
        if target not in self.loaded:
            try:
                self.loaded[target] = loader.load(target).connector
            except PenstockError as error:
                event("connector.unloadable", logging.WARNING, target=target, reason=error.code)
                self.loaded[target] = None
        return self.loaded[target]


def _first(stream: PlannedStream, planned: dict[Key, str | None], now: int) -> int | None:
    if stream.schedule is None:
        return None
    if stream[:3] not in planned:
        return now
    return next_slot(stream.schedule, "/".join(stream[:3]), now)
