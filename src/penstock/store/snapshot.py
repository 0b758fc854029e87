"""A snapshot: the rows of every table that belongs to a workspace, or to all, as of one moment."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from typing import Any

import msgspec
from sqlalchemy import Connection, Select, Table, func, select

from penstock.store.tables import (
    backfill_partitions,
    backfills,
    document_versions,
    feed,
    revision,
    sightings,
    sweeps,
    tables_of,
    turns,
    views,
    workers,
)

ROWS_HELD = 500

LEFT_OUT = (revision, turns, views, workers)
"""What belongs to a database and to the processes on it, and to no workspace."""

_PARENT = {
    sightings: (sightings.c.sweep_no, sweeps, sweeps.c.sweep_no),
    backfill_partitions: (
        backfill_partitions.c.backfill_no,
        backfills,
        backfills.c.backfill_no,
    ),
    feed: (feed.c.ref, document_versions, document_versions.c.version_no),
}
"""Tables without a workspace of their own: their column, and whose rows it names."""


def tables() -> list[Table]:
    """Those that both dialects have and that hold data, parents before children."""
    both = set(tables_of("postgresql"))
    return [t for t in tables_of("sqlite") if t in both and t not in LEFT_OUT]


class Snapshot:
    """Reads within the transaction of a connection. workspace: None for all of them."""

    def __init__(self, connection: Connection, workspace: str | None = None) -> None:
        self.workspace = workspace

        self._connection = connection

    def rows(self, table: Table) -> Iterator[tuple[Any, ...]]:
        """In order of the primary key, with flat memory."""
        wanted = self._of(select(table), table).order_by(*table.primary_key.columns)
        with self._connection.execute(wanted.execution_options(yield_per=ROWS_HELD)) as found:
            for row in found:
                yield tuple(row)

    def count(self, table: Table) -> int:
        """How many rows."""
        wanted = self._of(select(func.count()).select_from(table), table)
        return int(self._connection.scalar(wanted) or 0)

    def is_empty(self, table: Table) -> bool:
        """Whether there is not one row."""
        wanted = self._of(select(table.c[table.primary_key.columns.keys()[0]]), table)
        return self._connection.execute(wanted.limit(1)).first() is None

    def _of(self, wanted: Select[Any], table: Table) -> Select[Any]:
        if self.workspace is None:
            return wanted
        if "workspace" in table.c:
            return wanted.where(table.c.workspace == self.workspace)
        column, parent, number = _PARENT[table]
        mine = select(number).where(parent.c.workspace == self.workspace)
        return wanted.where(column.in_(mine))


class Digest:
    """Counts rows and hashes them in the order in which they come."""

    def __init__(self) -> None:
        self.count = 0

        self._hash = hashlib.sha256()
        self._encoder = msgspec.msgpack.Encoder()

    def add(self, row: tuple[Any, ...]) -> None:
        """One row, its values in the order of the table's columns."""
        self.count += 1
        self._hash.update(self._encoder.encode(row))

    @property
    def hex(self) -> str:
        return self._hash.hexdigest()
