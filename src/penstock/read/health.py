"""How the house stands: the store, and every stream or letter that wants attention."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from penstock.model.backfill import BackfillState
from penstock.model.connection import Connection, ConnectionState
from penstock.read.backfills import BackfillView
from penstock.read.counts import Counts
from penstock.read.deletes import WaitingDeletes
from penstock.read.pulse import Pulse
from penstock.read.streams import StreamView
from penstock.store.rows import StoreFacts

SCARCE_BYTES = 1_000_000_000
"""Less room than this, or than the database itself takes, is told: a checkpoint, an upgrade and a
backup each may want as much."""

QUIET_STATES = frozenset({"ok", "new"})
STUCK = (BackfillState.PAUSED, BackfillState.FAILED)
"""Of backfills: until somebody resumes or cancels them, nothing of them is pulled."""


@dataclass(frozen=True, slots=True)
class Health:
    """What `doctor` shows. findings: sentences, empty when nothing wants attention."""

    workspace: str
    store: StoreFacts
    connections: int
    counts: Counts
    findings: tuple[str, ...]
    pulse: Pulse | None = None

    def as_json(self) -> dict[str, Any]:
        return {
            "workspace": self.workspace,
            "store": store_json(self.store),
            "connections": self.connections,
            **self.counts.as_json(),
            **(self.pulse.as_json() if self.pulse else {}),
            "findings": list(self.findings),
        }


def store_json(facts: StoreFacts) -> dict[str, Any]:
    """The store's facts as JSON values."""
    return {
        "url": facts.url,
        "dialect": facts.dialect,
        "driver_version": facts.driver_version,
        "schema_revision": facts.schema_revision,
        "schema_current": facts.schema_current,
        "size_bytes": facts.size_bytes,
        "free_bytes": facts.free_bytes,
        "hazards": list(facts.hazards),
        "settings": dict(facts.settings),
    }


def findings(
    facts: StoreFacts,
    connections: list[Connection],
    streams: list[StreamView],
    counts: Counts,
    deletes: tuple[WaitingDeletes, ...],
    backfills: tuple[BackfillView, ...] = (),
) -> tuple[str, ...]:
    """Everything that wants attention, the most pressing first."""
    return (
        *facts.hazards,
        *_disk(facts),
        *(["the database schema is not current: penstock db upgrade"] * (not facts.schema_current)),
        *(c.reason for c in connections if c.reason),
        *(_standing(stream) for stream in streams if stream.state not in QUIET_STATES),
        *(
            f"connection {connection.name} is paused"
            for connection in connections
            if connection.state is ConnectionState.PAUSED
        ),
        *_letters(counts),
        *_drift(counts),
        *map(_waiting, deletes),
        *(_stuck(one) for one in backfills if one.state in STUCK),
    )


def _stuck(backfill: BackfillView) -> str:
    reason = f": {backfill.reason}" if backfill.reason else ""
    return (
        f"backfill {backfill.backfill_no} of {backfill.connection} {backfill.stream} is "
        f"{backfill.state}{reason}; penstock backfills show {backfill.backfill_no}"
    )


def _disk(facts: StoreFacts) -> list[str]:
    if facts.free_bytes is None or facts.free_bytes >= max(SCARCE_BYTES, facts.size_bytes):
        return []
    free, taken = facts.free_bytes / 1_000_000, facts.size_bytes / 1_000_000
    return [f"the disk has {free:,.0f} MB left, and the database takes {taken:,.0f} MB"]


def _waiting(deletes: WaitingDeletes) -> str:
    return (
        f"{deletes.gone} of {deletes.documents} documents of {deletes.connection} "
        f"{deletes.stream} are no longer listed: penstock deletes"
    )


def _standing(stream: StreamView) -> str:
    reason = f": {stream.reason}" if stream.reason else ""
    return f"stream {stream.connection} {stream.stream} is {stream.standing}{reason}"


def _letters(counts: Counts) -> list[str]:
    if not counts.open_letters:
        return []
    shown = ", ".join(f"{number} {reason}" for reason, number in sorted(counts.letters.items()))
    return [f"{counts.open_letters} open dead letters ({shown}): penstock dead-letters list"]


def _drift(counts: Counts) -> list[str]:
    if not counts.drift:
        return []
    shown = ", ".join(f"{number} {kind}" for kind, number in sorted(counts.drift.items()))
    return [f"providers' records have changed ({shown}): penstock drift"]
