"""How the house stands: the store, and every stream or letter that wants attention."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from penstock.model.connection import Connection, ConnectionState
from penstock.read.counts import Counts
from penstock.read.streams import StreamView
from penstock.store.roles import StoreFacts

QUIET_STATES = frozenset({"ok", "new"})


@dataclass(frozen=True, slots=True)
class Health:
    """What `doctor` shows. findings: sentences, empty when nothing wants attention."""

    workspace: str
    store: StoreFacts
    connections: int
    counts: Counts
    findings: tuple[str, ...]

    def as_json(self) -> dict[str, Any]:
        return {
            "workspace": self.workspace,
            "store": store_json(self.store),
            "connections": self.connections,
            **self.counts.as_json(),
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
        "hazards": list(facts.hazards),
        "settings": dict(facts.settings),
    }


def findings(
    facts: StoreFacts,
    connections: list[Connection],
    streams: list[StreamView],
    counts: Counts,
) -> tuple[str, ...]:
    """Everything that wants attention, the most pressing first."""
    return (
        *facts.hazards,
        *(["the database schema is not current: penstock db upgrade"] * (not facts.schema_current)),
        *(_standing(stream) for stream in streams if stream.state not in QUIET_STATES),
        *(
            f"connection {connection.name} is paused"
            for connection in connections
            if connection.state is ConnectionState.PAUSED
        ),
        *_letters(counts),
    )


def _standing(stream: StreamView) -> str:
    since = f" since {stream.since}" if stream.since else ""
    reason = f": {stream.reason}" if stream.reason else ""
    return f"stream {stream.connection} {stream.stream} is {stream.state}{since}{reason}"


def _letters(counts: Counts) -> list[str]:
    if not counts.open_letters:
        return []
    shown = ", ".join(f"{number} {reason}" for reason, number in sorted(counts.letters.items()))
    return [f"{counts.open_letters} open dead letters ({shown}): penstock dead-letters list"]
