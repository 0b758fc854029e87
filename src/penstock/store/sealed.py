"""Sealed cells wherever they stand, and the wrapped data keys they were sealed with."""

from __future__ import annotations

from typing import Any, NamedTuple

from sqlalchemy import Column, Connection, Row, Select, delete, exists, literal, select, update

from penstock.model.sealed import SealedCell, WrappedKey
from penstock.model.token import TOKENS
from penstock.store import tables
from penstock.store.engines import Engines
from penstock.store.tables import data_keys


class SealedColumn(NamedTuple):
    """A column of sealed bytes in a table that has `workspace` and `connection`.

    field: what its cells are bound to beside these, a name or the column that holds it.
    """

    column: Column[Any]
    field: Column[Any] | str

    @property
    def name(self) -> str:
        return f"{self.column.table.name}.{self.column.name}"

    def cells(self, workspace: str | None) -> Select[Any]:
        row = self.column.table.c
        field = literal(self.field) if isinstance(self.field, str) else self.field
        wanted = select(
            row.workspace, row.connection, field.label("field"), self.column.label("sealed")
        ).where(self.column.is_not(None))
        return wanted if workspace is None else wanted.where(row.workspace == workspace)


SEALED = (
    SealedColumn(tables.secrets.c.sealed, tables.secrets.c.field),
    SealedColumn(tables.tokens.c.sealed, TOKENS),
    SealedColumn(tables.tokens.c.previous, TOKENS),
    SealedColumn(tables.tokens.c.spare, TOKENS),
)
"""Every column of sealed bytes; rotation goes through all of them."""


class SqlSealed:
    """Role `Sealed` over the tables. Sees sealed and wrapped bytes only."""

    def __init__(self, engines: Engines) -> None:
        self._engines = engines

    def data_keys(self, workspace: str | None = None) -> list[WrappedKey]:
        """Wrapped data keys, of all workspaces unless one is named; highest generation first."""
        row = data_keys.c
        wanted = select(data_keys).order_by(row.workspace, row.generation.desc())
        if workspace is not None:
            wanted = wanted.where(row.workspace == workspace)
        with self._engines.reader.connect() as reading:
            return [_key(found) for found in reading.execute(wanted)]

    def add(self, key: WrappedKey) -> bool:
        """Write a new key; False where the workspace has this generation already."""
        insert = self._engines.upsert(data_keys).values(
            workspace=key.workspace,
            generation=key.generation,
            wrapped=key.wrapped,
            created_at=key.created_at,
            finished_at=key.finished_at,
        )
        added = insert.on_conflict_do_nothing().returning(data_keys.c.generation)
        with self._engines.writer.begin() as writing:
            return writing.execute(added).one_or_none() is not None

    def rewrap(self, key: WrappedKey, wrapped: bytes) -> bool:
        """Replace the wrapped bytes; False where they are no longer those of `key`."""
        row = data_keys.c
        change = (
            update(data_keys).where(_is(key), row.wrapped == key.wrapped).values(wrapped=wrapped)
        )
        with self._engines.writer.begin() as writing:
            return writing.execute(change).rowcount == 1

    def finish(self, key: WrappedKey, *, now: int) -> None:
        """Everything is sealed with this key; forget those older than the one before it."""
        row = data_keys.c
        done = update(data_keys).where(_is(key), row.finished_at.is_(None)).values(finished_at=now)
        old = delete(data_keys).where(
            row.workspace == key.workspace, row.generation < key.generation - 1
        )
        with self._engines.writer.begin() as writing:
            writing.execute(done)
            writing.execute(old)

    def cells(self, workspace: str | None = None) -> list[SealedCell]:
        """Every sealed cell, of all workspaces unless one is named."""
        with self._engines.reader.connect() as reading:
            return [
                SealedCell(each.name, row.workspace, row.connection, row.field, row.sealed)
                for each in SEALED
                for row in reading.execute(each.cells(workspace))
            ]

    def reseal(self, cell: SealedCell, sealed: bytes) -> bool:
        """Replace the bytes of a cell; False where they are no longer those of `cell`."""
        (column,) = (each.column for each in SEALED if each.name == cell.column)
        table = column.table
        change = (
            update(table)
            # The bytes say which row: no two sealed values are equal.
            .where(
                table.c.workspace == cell.workspace,
                table.c.connection == cell.connection,
                column == cell.sealed,
            )
            .values({column: sealed})
        )
        with self._engines.writer.begin() as writing:
            return writing.execute(change).rowcount == 1


def forget_unused_keys(writing: Connection, workspace: str) -> None:
    """Where nothing of the workspace is sealed any more its keys go, too.

    So a lost master key does not lock a workspace for good: remove its connections, connect again.
    """
    used = [exists(each.cells(workspace).subquery().select()) for each in SEALED]
    writing.execute(
        delete(data_keys).where(data_keys.c.workspace == workspace, *(~each for each in used))
    )


def _is(key: WrappedKey) -> Any:
    row = data_keys.c
    return (row.workspace == key.workspace) & (row.generation == key.generation)


def _key(row: Row[Any]) -> WrappedKey:
    return WrappedKey(row.workspace, row.generation, row.wrapped, row.created_at, row.finished_at)
