"""How a migration runs: on the connection, and in the transaction, that `schema.upgrade` opened."""

from __future__ import annotations

from typing import Any

from alembic import context

from penstock.telemetry import kill_point


def _applied(*_: Any, **_step: Any) -> None:
    kill_point("migrate.step")


context.configure(
    connection=context.config.attributes["connection"],
    render_as_batch=True,
    on_version_apply=_applied,
)
context.run_migrations()
