"""`penstock doctor`: is the store sound, does somebody work on it, does anything want attention?"""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer

from penstock.cli import output
from penstock.cli.session import opened, settings

if TYPE_CHECKING:
    from penstock.read.health import Health
    from penstock.store.schema import SchemaState

SOUND, UNSOUND = 0, 1


def doctor(context: typer.Context, as_json: output.AsJson = False) -> int:
    """Is the store sound, does somebody work on it, does anything want attention?

    Ends with 1 when the store itself is not sound.
    """
    outdated = _outdated(settings(context).database)
    if outdated is not None:
        return _show_outdated(outdated, as_json)
    with opened(context) as app:
        health = app.health()
    if as_json:
        output.show_json(health.as_json())
    else:
        _show(health)
    store = health.store
    return UNSOUND if store.hazards or not store.schema_current else SOUND


def _outdated(url: str) -> SchemaState | None:
    """An older schema, which no other command works on; None for a current one, and for none."""
    from penstock.errors import DatabaseError
    from penstock.store import schema

    try:
        state = schema.check(url)
    except DatabaseError:
        return None  # opening it says why, or makes it
    return state if state.is_older else None


def _show_outdated(state: SchemaState, as_json: bool) -> int:
    if as_json:
        output.show_json(
            {
                "store": {"schema_revision": state.found, "schema_current": False},
                "pending_migrations": list(state.pending),
            }
        )
    else:
        output.show_fields([("schema", state.found), ("pending", ", ".join(state.pending))])
        output.say("attention: the database schema is not current, and nothing works on it")
        output.hint("penstock db upgrade")
    return UNSOUND


def _show(health: Health) -> None:
    store, pulse = health.store, health.pulse
    totals = health.counts.documents.values()
    workers = [worker for worker in pulse.workers if worker.state == "at work"] if pulse else []
    free = None if store.free_bytes is None else f"{store.free_bytes / 1_000_000:,.1f} MB"
    output.show_fields(
        [
            ("database", store.url),
            ("driver", f"{store.dialect} {store.driver_version}"),
            ("schema", store.schema_revision),
            ("size", f"{store.size_bytes / 1_000_000:,.1f} MB"),
            ("free on its disk", free),
            ("workers", len(workers)),
            ("workspace", health.workspace),
            ("connections", health.connections),
            ("documents", sum(counts["documents"] for counts in totals)),
            ("versions", sum(counts["versions"] for counts in totals)),
            ("open dead letters", health.counts.open_letters),
        ]
    )
    for finding in health.findings:
        output.say(f"attention: {finding}")
    if not health.findings:
        output.say("all is well")
