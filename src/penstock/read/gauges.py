"""Numbers of this moment, of all workspaces, read from the store at each scrape."""

from __future__ import annotations

import logging
from collections.abc import Iterator

from penstock.errors import PenstockError
from penstock.read.late import late
from penstock.store.roles import Store
from penstock.telemetry import event
from penstock.telemetry.metrics import Gauge

ALIVE_US = 60 * 1_000_000
"""A worker says every ten seconds that it lives; one that is silent for longer is counted out."""


def gauges(store: Store, now: int) -> list[Gauge]:
    """All of them; where the database does not answer, only that it does not."""
    try:
        found = [*_streams(store, now), *_letters(store), *_workers(store, now)]
    except PenstockError as error:
        event("gauges.unread", logging.WARNING, reason=error.code)
        return [_up(0)]
    return [*found, _up(1)]


def _up(value: int) -> Gauge:
    return Gauge("penstock_store_up", "1 where the database answers.", value)


def _streams(store: Store, now: int) -> Iterator[Gauge]:
    for (workspace, condition), number in store.streams.conditions().items():
        labels = {"workspace": workspace, "condition": condition}
        yield Gauge("penstock_streams", "Streams by condition.", number, labels)
    planned, due = store.agenda.counts(now)
    yield Gauge("penstock_streams_planned", "Streams that have a time for their next run.", planned)
    yield Gauge("penstock_streams_due", "Streams whose time has come.", due)
    overdue = len(late(store.agenda, now))
    yield Gauge("penstock_streams_late", "Streams overdue by more than their pause.", overdue)


def _letters(store: Store) -> Iterator[Gauge]:
    for (workspace, reason), number in store.letters.totals().items():
        labels = {"workspace": workspace, "reason": reason}
        yield Gauge("penstock_open_letters", "Open dead letters by reason.", number, labels)
    for (workspace, connection, stream), (number, _) in store.shapes.waiting().items():
        labels = {"workspace": workspace, "connection": connection, "stream": stream}
        yield Gauge("penstock_open_drifts", "Drift that waits to be accepted.", number, labels)


def _workers(store: Store, now: int) -> Iterator[Gauge]:
    alive = [worker for worker in store.workers.list() if now - worker.beat_at <= ALIVE_US]
    for kind in sorted({worker.kind for worker in alive} | {"serve"}):
        mine = [worker for worker in alive if worker.kind == kind]
        labels = {"kind": kind}
        yield Gauge("penstock_workers", "Processes at work.", len(mine), labels)
        slots, busy = sum(w.slots for w in mine), sum(w.busy for w in mine)
        yield Gauge("penstock_worker_slots", "Streams they could run at once.", slots, labels)
        yield Gauge("penstock_worker_busy", "Streams they run now.", busy, labels)
