"""What both backends are alike in: all roles, made of their engines."""

from __future__ import annotations

from typing import Protocol

from penstock.model.unit import UnitOfWork
from penstock.store import view_sql
from penstock.store.agenda import SqlAgenda
from penstock.store.archive import SqlArchive
from penstock.store.backfills import SqlBackfills
from penstock.store.connections import SqlConnections
from penstock.store.engines import Engines
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
from penstock.store.runs import SqlRuns
from penstock.store.sealed import SqlSealed
from penstock.store.shapes import SqlShapes
from penstock.store.streams import SqlStreams
from penstock.store.sweeps import SqlSweeps
from penstock.store.tokens import SqlTokens
from penstock.store.views import SqlViews
from penstock.store.work_roles import Agenda, Backfills, Notices, Workers
from penstock.store.workers import SqlWorkers


class HotDocuments(Documents, Protocol):
    """The writing of documents and letters: what each backend does in its own way."""

    def write_letters(self, unit: UnitOfWork) -> None:
        """Write only the letters of a unit, without a lease and without its page."""


class SqlRoles:
    """The roles of a store. What a backend does in its own way is handed over."""

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

    def __init__(
        self, engines: Engines, documents: HotDocuments, feed: Feed, dialect: view_sql.Dialect
    ) -> None:
        self.documents = documents
        self.streams = SqlStreams(engines)
        self.runs = SqlRuns(engines)
        self.connections = SqlConnections(engines)
        self.tokens = SqlTokens(engines)
        self.sealed = SqlSealed(engines)
        self.letters = SqlLetters(engines, documents.write_letters)
        self.reader = SqlReader(engines)
        self.archive = SqlArchive(engines)
        self.feed = feed
        self.held_pages = SqlHeldPages(engines)
        self.sweeps = SqlSweeps(engines)
        self.pace = SqlPace(engines)
        self.shapes = SqlShapes(engines)
        self.backfills = SqlBackfills(engines)
        self.agenda = SqlAgenda(engines)
        self.workers = SqlWorkers(engines)
        self.notices = SqlNotices(engines)
        self.views = SqlViews(engines, dialect)
