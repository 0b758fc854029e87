"""The pair of engines that the roles stand on: one to read through, one to write through.

On SQLite the reader is a pool of read-only connections and the writer a pool of exactly one
connection, whose check-out is the writer's lock. On PostgreSQL both are pools: the reader's
transactions are read-only snapshots, the writer's are READ COMMITTED and planned for point access.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from sqlalchemy import Engine, Table
from sqlalchemy.dialects import sqlite

from penstock.store.sqlite_latch import Latch

if TYPE_CHECKING:
    from sqlalchemy.dialects import postgresql


@dataclass(frozen=True, slots=True)
class Engines:
    """Foreign errors leave both already translated. latch: the writer's, see `sqlite_latch`; on
    PostgreSQL nothing shuts it, since there the server itself stops at a failed sync."""

    reader: Engine
    writer: Engine
    latch: Latch

    def upsert(self, table: Table) -> sqlite.Insert | postgresql.Insert:
        """An insert that can say ON CONFLICT; both dialects spell it alike."""
        if self.writer.dialect.name == "sqlite":
            return sqlite.insert(table)
        from sqlalchemy.dialects import postgresql  # dear, and most stores are a file

        return postgresql.insert(table)

    def close(self) -> None:
        self.reader.dispose()
        self.writer.dispose()
