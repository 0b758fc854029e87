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
from penstock.store.agenda import SqlAgenda
from penstock.store.archive import SqlArchive
from penstock.store.backfills import SqlBackfills
from penstock.store.connections import SqlConnections
from penstock.store.engines import Engines
from penstock.store.feed import SqlFeed
from penstock.store.held_pages import SqlHeldPages
from penstock.store.letters import SqlLetters
from penstock.store.notices import SqlNotices
from penstock.store.pace import SqlPace
from penstock.store.reader import SqlReader
from penstock.store.roles import (
    Archive,
    Connections,
    Documents,
    Feed,
    HeldPages,
    Letters,
    Pace,
    Reader,
    Runs,
    Sealed,
    Shapes,
    Streams,
    Sweeps,
    Tokens,
    Views,
)
from penstock.store.rows import StoreFacts
from penstock.store.runs import SqlRuns
from penstock.store.sealed import SqlSealed
from penstock.store.shapes import SqlShapes
from penstock.store.snapshot import Snapshot
from penstock.store.sqlite_backup import back_up
from penstock.store.sqlite_build import TEXT, VERSION, hazard
from penstock.store.sqlite_documents import SqliteDocuments
from penstock.store.sqlite_engine import open_engines, settings
from penstock.store.sqlite_error import translated
from penstock.store.sqlite_file import DatabaseFile
from penstock.store.streams import SqlStreams
from penstock.store.sweeps import SqlSweeps
from penstock.store.tokens import SqlTokens
from penstock.store.views import SqlViews
from penstock.store.work_roles import Agenda, Backfills, Notices, Workers
from penstock.store.workers import SqlWorkers


class SqliteStore:
    """Role `Store` on one SQLite file. Made by `open`, closed by `close` or a with-block."""

    documents: Documents
    streams: Streams
    runs: Runs
    connections: Connections
    tokens: Tokens
    sealed: Sealed
    letters: Letters
    reader: Reader
    archive: Archive
    feed: Feed
    held_pages: HeldPages
    sweeps: Sweeps
    pace: Pace
    shapes: Shapes
    backfills: Backfills
    agenda: Agenda
    workers: Workers
    notices: Notices
    views: Views

    def __init__(self, url: str, file: DatabaseFile, engines: Engines) -> None:
        documents = SqliteDocuments(engines)
        self.documents = documents
        self.streams = SqlStreams(engines)
        self.runs = SqlRuns(engines)
        self.connections = SqlConnections(engines)
        self.tokens = SqlTokens(engines)
        self.sealed = SqlSealed(engines)
        self.letters = SqlLetters(engines, documents.write_letters)
        self.reader = SqlReader(engines)
        self.archive = SqlArchive(engines)
        self.feed = SqlFeed(engines)
        self.held_pages = SqlHeldPages(engines)
        self.sweeps = SqlSweeps(engines)
        self.pace = SqlPace(engines)
        self.shapes = SqlShapes(engines)
        self.backfills = SqlBackfills(engines)
        self.agenda = SqlAgenda(engines)
        self.workers = SqlWorkers(engines)
        self.notices = SqlNotices(engines)
        self.views = SqlViews(engines, view_sql.Sqlite())

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
