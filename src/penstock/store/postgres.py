"""The PostgreSQL backend: one database, many hosts, all roles.

Start at `PostgresStore.open`. What is hot stands in `postgres_documents`, what both backends share
in the modules named for their role.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from datetime import datetime, timedelta
from pathlib import Path

from sqlalchemy import Connection, text

from penstock.store import schema, view_sql
from penstock.store.engines import Engines
from penstock.store.postgres_backup import back_up
from penstock.store.postgres_copy import take_over
from penstock.store.postgres_documents import PostgresDocuments, driver
from penstock.store.postgres_engine import open_engines, refuse_unfit, shown, version
from penstock.store.postgres_feed import PostgresFeed
from penstock.store.rows import CopiedTable, StoreFacts
from penstock.store.snapshot import Snapshot
from penstock.store.sql_roles import SqlRoles

_SIZE = text("""
SELECT coalesce(sum(pg_total_relation_size(oid)), 0) FROM pg_class
WHERE relnamespace = current_schema()::regnamespace AND relkind = 'r'
""")


_CLOCK = text("SELECT clock_timestamp()")


class PostgresStore(SqlRoles):
    """Role `Store` on a PostgreSQL database. Made by `open`, closed by `close` or a with-block."""

    def __init__(self, url: str, engines: Engines) -> None:
        super().__init__(
            engines, PostgresDocuments(engines), PostgresFeed(engines), view_sql.Postgres()
        )
        self._url = url
        self._engines = engines

    @classmethod
    def open(cls, url: str) -> PostgresStore:
        """Open postgresql://user:password@host:5432/database; its tables are made when missing.

        A schema other than `public` is named by ?options=-csearch_path%3Dname. Raises UsageError
        for another URL, DatabaseError where server, database or schema do not fit,
        StoreUnavailableError where the server does not answer now.
        """
        with ExitStack() as undo:
            engines = open_engines(url)
            undo.callback(engines.close)
            with driver(engines.writer) as connection:
                refuse_unfit(connection)
            schema.ensure(engines)
            undo.pop_all()
        return cls(url, engines)

    def facts(self) -> StoreFacts:
        """What `doctor` shows."""
        with self._engines.reader.connect() as reading:
            found = schema.state(reading)
            size = int(reading.scalar(_SIZE) or 0)
        with driver(self._engines.writer) as connection:
            kept = refuse_unfit(connection)
            server = version(connection)
        return StoreFacts(
            url=shown(self._url),
            dialect="postgresql",
            driver_version=server,
            schema_revision=found.found,
            schema_current=found.current,
            size_bytes=size,
            hazards=(),
            settings=kept,
        )

    def ahead(self, now: Callable[[], datetime]) -> timedelta:
        """By how much the server's clock is ahead, as the fastest of some questions tells."""
        with self._engines.reader.connect() as reading:
            return min((_asked(reading, now) for _ in range(5)), key=lambda told: told[0])[1]

    def take_over(self, source: Snapshot) -> list[CopiedTable]:
        """Fill this empty database with what another one holds: see `postgres_copy`."""
        return take_over(source, self._engines)

    def backup(self, file: Path) -> None:
        """Copy the database to a new file while others write."""
        with self._engines.reader.connect() as reading:
            schema_name = str(reading.scalar(text("SELECT current_schema()")))
        back_up(self._url, schema_name, file)

    def close(self) -> None:
        """Close all connections. Closing twice is allowed."""
        self._engines.close()

    def __enter__(self) -> PostgresStore:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()


def _asked(reading: Connection, now: Callable[[], datetime]) -> tuple[timedelta, timedelta]:
    """How long the answer took, and how far ahead it was in the middle of that."""
    before = now()
    told: datetime = reading.execute(_CLOCK).scalar_one()
    after = now()
    return after - before, told - (before + (after - before) / 2)
