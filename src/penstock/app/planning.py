"""Planning: every stream has the schedule of its manifest, as that is today."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import dataclass, field

from penstock.clock import Clock
from penstock.errors import PenstockError
from penstock.model import times
from penstock.sdk import loader
from penstock.store.roles import Store
from penstock.store.rows import PlannedStream
from penstock.telemetry import event
from penstock.work.sources import polls
from penstock.work.timetable import next_slot

Key = tuple[str, str, str]
"""Workspace, connection, stream."""


Manifest = dict[str, str | None]
"""Poll streams of a connector, each with its schedule."""


@dataclass(slots=True)
class Planning:
    """One look at all connections and their manifests."""

    store: Store
    clock: Clock
    manifests: dict[str, Manifest | None] = field(default_factory=dict)

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

    def schedules(self, planned: dict[Key, str | None]) -> Iterator[tuple[Key, str | None]]:
        """What each stream should have; of connectors that cannot be loaded nothing is known."""
        known: dict[tuple[str, str], Manifest] = {}
        for workspace, connection, stream in (key for key in planned if planned[key] is not None):
            known.setdefault((workspace, connection), {})[stream] = None
        for one in self.store.connections.list():
            manifest = self.manifest(one.target)
            if manifest is not None:
                home = (one.workspace, one.name)
                for stream, schedule in (known.get(home, {}) | manifest).items():
                    yield (*home, stream), schedule

    def manifest(self, target: str) -> Manifest | None:
        """Read once in a look, so that it may change while we run."""
        if target not in self.manifests:
            try:
                connector = loader.load(target).connector
                schedules = {key: connector.stream(key).schedule for key in polls(connector)}
                self.manifests[target] = schedules
            except PenstockError as error:
                event("connector.unloadable", logging.WARNING, target=target, reason=error.code)
                self.manifests[target] = None
        return self.manifests[target]


def _first(stream: PlannedStream, planned: dict[Key, str | None], now: int) -> int | None:
    if stream.schedule is None:
        return None
    name = "/".join(stream[:3])
    due = next_slot(stream.schedule, name, now)
    if due is None:
        event("schedule.unreadable", logging.WARNING, stream=name, schedule=stream.schedule)
    return now if due is not None and stream[:3] not in planned else due
