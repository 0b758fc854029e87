"""Copying: a house moves from a file to a server."""

from __future__ import annotations

from penstock.app.wiring import open_postgres
from penstock.clock import SystemClock
from penstock.errors import StreamBusyError, UsageError
from penstock.model import times
from penstock.read.pulse import SILENT_US
from penstock.store.roles import Store
from penstock.store.rows import CopiedTable
from penstock.store.sqlite import SqliteStore
from penstock.work.owner import Owner


def copy(source_url: str, target_url: str, workspace: str | None = None) -> list[CopiedTable]:
    """Copy an SQLite database, or one workspace of it, into an empty PostgreSQL database.

    Whole or not at all. Raises UsageError for other databases and for a target that is not empty,
    StreamBusyError while somebody works on the source, DatabaseError.
    """
    _check_urls(source_url, target_url)
    with SqliteStore.open(source_url, create=False) as source:
        _refuse_busy(source)
        if workspace is not None:
            _check_workspace(source, workspace)
        with open_postgres(target_url) as target, source.snapshot(workspace) as snapshot:
            return target.take_over(snapshot)


def _check_urls(source: str, target: str) -> None:
    if not source.startswith("sqlite:"):
        raise UsageError("copy moves an SQLite database: the source is sqlite:///FILE")
    if not target.startswith(("postgresql:", "postgres:")):
        raise UsageError(
            "copy moves to PostgreSQL: the target is postgresql://user:password@host/database"
        )


def _check_workspace(source: Store, workspace: str) -> None:
    known = sorted({connection.workspace for connection in source.connections.list()})
    if workspace not in known and not source.runs.list(workspace, limit=1):
        raise UsageError(
            f"the source has no workspace {workspace!r}; it has: {', '.join(known) or 'none'}"
        )


def _refuse_busy(source: Store) -> None:
    """Who works on goes on writing where nobody looks any more."""
    now = times.microseconds(SystemClock().now())
    me = Owner.of_this_process()
    holders = [row.lease_owner for row in source.streams.held() if row.lease_until > now]
    beating = [row.owner for row in source.workers.list() if now - row.beat_at <= SILENT_US]
    for text in (*holders, *beating):
        owner = Owner.parse(text)
        if owner is None or not owner.is_dead(me):
            who = f"process {owner.pid} on {owner.host}" if owner else text
            raise StreamBusyError(f"{who} works on the source: stop it first", owner=text)
