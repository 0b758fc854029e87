"""The pair of engines that the roles stand on: one to read through, one to write through.

On SQLite the reader is a pool of read-only connections and the writer a pool of exactly one
connection, whose check-out is the writer's lock; on PostgreSQL both are the same engine.
"""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import Engine, Table
from sqlalchemy.dialects import sqlite


@dataclass(frozen=True, slots=True)
class Engines:
    """Foreign errors leave both already translated: see `sqlite_error`."""

    reader: Engine
    writer: Engine

    def upsert(self, table: Table) -> sqlite.Insert:
        """An insert that can say ON CONFLICT; both dialects spell it alike."""
        return sqlite.insert(table)

    def close(self) -> None:
        self.reader.dispose()
        self.writer.dispose()
