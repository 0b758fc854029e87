"""The SQLite backend: one file, several processes, all roles.

Start at `SqliteStore.open`. What is hot stands in `sqlite_documents`, what both backends share in
the modules named for their role.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from datetime import datetime, timedelta
from pathlib import Path

from penstock.store import schema, view_sql
from penstock.store.engines import Engines
from penstock.store.feed import SqlFeed
from penstock.store.rows import StoreFacts
from penstock.store.snapshot import Snapshot
from penstock.store.sql_roles import SqlRoles
from penstock.store.sqlite_backup import back_up
from penstock.store.sqlite_build import TEXT, VERSION, hazard
from penstock.store.sqlite_documents import SqliteDocuments
from penstock.store.sqlite_engine import open_engines, settings
from penstock.store.sqlite_error import translated
from penstock.store.sqlite_file import DatabaseFile


class SqliteStore(SqlRoles):
    """Role `Store` on one SQLite file. Made by `open`, closed by `close` or a with-block."""

    def __init__(self, url: str, file: DatabaseFile, engines: Engines) -> None:
        super().__init__(engines, SqliteDocuments(engines), SqlFeed(engines), view_sql.Sqlite())
        self._url = url
        self._file = file
        self._engines = engines

    @classmethod
    def open(cls, url: str, *, create: bool = True) -> SqliteStore:
        """Open sqlite:///relative.db, sqlite:////absolute.db, or sqlite:// (kept nowhere).

        create: make the file and its tables when missing. Raises UsageError for another URL,
        DatabaseError where file, place or schema do not fit, StoreUnavailableError where the file
        cannot be opened now.
        """
        with ExitStack() as undo:
            file = undo.enter_context(
                DatabaseFile(url, create=create, alone=hazard(VERSION) is not None)
            )
            engines = open_engines(file.path)
            undo.callback(engines.close)
            schema.ensure(engines, exists=file.path.exists())
            with translated(), engines.writer.connect():
                pass  # the first check-out reads the promised settings back
            undo.pop_all()
        return cls(url, file, engines)

    def facts(self) -> StoreFacts:
        """What `doctor` shows."""
        with self._engines.writer.connect() as connection:
            found = schema.state(connection)
            kept = settings(connection.connection.driver_connection)
        sentence = hazard(VERSION)
        return StoreFacts(
            url=self._url,
            dialect="sqlite",
            driver_version=TEXT,
            schema_revision=found.found,
            schema_current=found.current,
            size_bytes=self._file.size_bytes(),
            hazards=(sentence,) if sentence else (),
            settings=kept,
            free_bytes=self._file.free_bytes(),
        )

    def ahead(self, now: Callable[[], datetime]) -> timedelta:  # noqa: ARG002
        """Nothing: whoever opens the file is on this host."""
        return timedelta(0)

    @contextmanager
    def snapshot(self, workspace: str | None = None) -> Iterator[Snapshot]:
        """What it holds now, for another database to take over; None for all workspaces."""
        with self._engines.reader.connect() as reading:
            yield Snapshot(reading, workspace)

    def backup(self, file: Path) -> None:
        """Copy the database to a new file while others write."""
        back_up(self._engines, file)

    def close(self) -> None:
        """Close all connections and give the file free. Closing twice is allowed."""
        self._engines.close()
        self._file.close()

    def __enter__(self) -> SqliteStore:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()
