"""Connections and their sealed secrets."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy import Row, delete, select, update

from penstock.model.connection import Account, Connection, ConnectionMode, ConnectionState
from penstock.store import json_text, tables
from penstock.store.engines import Engines
from penstock.store.sealed import forget_unused_keys
from penstock.store.tables import connections, stream_state
from penstock.store.tokens import granted


class SqlConnections:
    """Role `Connections` over the tables. Sees sealed bytes only."""

    def __init__(self, engines: Engines) -> None:
        self._engines = engines

    def save(
        self,
        connection: Connection,
        secrets: Mapping[str, bytes],
        *,
        now: int,
        tokens: bytes | None = None,
    ) -> None:
        """Insert or replace the connection and the given secrets; secrets not given stay.

        tokens: a new grant, in place of whatever there was; None leaves it.
        """
        with self._engines.writer.begin() as writing:
            writing.execute(self._saved_connection(connection, now))
            for field, value in secrets.items():
                writing.execute(self._saved_secret(connection, field, value, now))
            if tokens is not None:
                writing.execute(
                    granted(self._engines, connection.workspace, connection.name, tokens, now)
                )

    def get(self, workspace: str, name: str) -> Connection | None:
        """The connection, or None."""
        row = connections.c
        wanted = select(connections).where(row.workspace == workspace, row.name == name)
        with self._engines.reader.connect() as reading:
            found = reading.execute(wanted).one_or_none()
        return _connection(found) if found else None

    def list(self, workspace: str | None = None) -> list[Connection]:
        """By name; of all workspaces unless one is named."""
        row = connections.c
        wanted = select(connections).order_by(row.workspace, row.name)
        if workspace is not None:
            wanted = wanted.where(row.workspace == workspace)
        with self._engines.reader.connect() as reading:
            return [_connection(found) for found in reading.execute(wanted)]

    def set(
        self,
        workspace: str,
        name: str,
        *,
        mode: ConnectionMode | None = None,
        state: ConnectionState | None = None,
    ) -> bool:
        """Change mode or state, which ends its reason; False where there is no such connection."""
        row = connections.c
        change = (
            update(connections)
            .where(row.workspace == workspace, row.name == name)
            .values(
                mode=row.mode if mode is None else mode,
                state=row.state if state is None else state,
                reason=row.reason if state is None else None,
            )
        )
        with self._engines.writer.begin() as writing:
            return writing.execute(change).rowcount == 1

    def remove(self, workspace: str, name: str) -> bool:
        """Remove connection, secrets and stream states. Documents, letters and runs stay."""
        with self._engines.writer.begin() as writing:
            for table, named in (
                (tables.secrets, tables.secrets.c.connection),
                (tables.tokens, tables.tokens.c.connection),
                (stream_state, stream_state.c.connection),
                (tables.held_pages, tables.held_pages.c.connection),
                (tables.shapes, tables.shapes.c.connection),
                (tables.drifts, tables.drifts.c.connection),
                (tables.backfills, tables.backfills.c.connection),
            ):
                writing.execute(delete(table).where(table.c.workspace == workspace, named == name))
            _forget_sweeps(writing, workspace, name)
            row = connections.c
            gone = delete(connections).where(row.workspace == workspace, row.name == name)
            forget_unused_keys(writing, workspace)
            return writing.execute(gone).rowcount == 1

    def sealed(self, workspace: str, name: str) -> dict[str, bytes]:
        """Field name to sealed bytes."""
        row = tables.secrets.c
        wanted = select(row.field, row.sealed).where(
            row.workspace == workspace, row.connection == name
        )
        with self._engines.reader.connect() as reading:
            return {found.field: found.sealed for found in reading.execute(wanted)}

    def _saved_connection(self, connection: Connection, now: int) -> Any:
        row = {
            "workspace": connection.workspace,
            "name": connection.name,
            "target": connection.target,
            "connector": connection.connector,
            "settings": json_text.dump(connection.settings),
            "account": json_text.dump(connection.account and connection.account.as_json()),
            "mode": connection.mode,
            "state": connection.state,
            "allow_loopback": connection.allow_loopback,
            "facts": json_text.dump(connection.facts),
            "reason": connection.reason,
            "created_at": connection.created_at,
            "updated_at": now,
        }
        return self._replacing(connections, row, key=("workspace", "name"))

    def _saved_secret(self, connection: Connection, field: str, value: bytes, now: int) -> Any:
        row = {
            "workspace": connection.workspace,
            "connection": connection.name,
            "field": field,
            "sealed": value,
            "updated_at": now,
        }
        return self._replacing(tables.secrets, row, key=("workspace", "connection", "field"))

    def _replacing(self, table: Any, row: dict[str, Any], *, key: tuple[str, ...]) -> Any:
        rest = {name: value for name, value in row.items() if name not in key}
        insert = self._engines.upsert(table).values(row)
        return insert.on_conflict_do_update(index_elements=key, set_=rest)


def _forget_sweeps(writing: Any, workspace: str, name: str) -> None:
    row = tables.sweeps.c
    ours = (row.workspace == workspace, row.connection == name)
    numbers = select(row.sweep_no).where(*ours)
    sighted = tables.sightings
    writing.execute(delete(sighted).where(sighted.c.sweep_no.in_(numbers)))
    writing.execute(delete(tables.sweeps).where(*ours))


def _connection(row: Row[Any]) -> Connection:
    account = json_text.load(row.account)
    return Connection(
        workspace=row.workspace,
        name=row.name,
        target=row.target,
        connector=row.connector,
        settings=json_text.load(row.settings),
        account=Account(**account) if account else None,
        mode=ConnectionMode(row.mode),
        state=ConnectionState(row.state),
        allow_loopback=row.allow_loopback,
        created_at=row.created_at,
        facts=json_text.load(row.facts) or {},
        reason=row.reason,
    )
