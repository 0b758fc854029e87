"""`penstock doctor`: is the store sound, and does anything want attention?"""

from __future__ import annotations

import typer

from penstock.cli import output
from penstock.cli.session import opened

SOUND, UNSOUND = 0, 1


def doctor(context: typer.Context, as_json: output.AsJson = False) -> int:
    """Is the store sound, does anything want attention?

    Ends with 1 when the store itself is not sound.
    """
    with opened(context) as app:
        health = app.read.health()
    store = health.store
    if as_json:
        output.show_json(health.as_json())
    else:
        totals = health.counts.documents.values()
        output.show_fields(
            [
                ("database", store.url),
                ("driver", f"{store.dialect} {store.driver_version}"),
                ("schema", store.schema_revision),
                ("size", f"{store.size_bytes / 1_000_000:,.1f} MB"),
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
    return UNSOUND if store.hazards or not store.schema_current else SOUND
