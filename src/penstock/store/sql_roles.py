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

    def __init__(
        self, engines: Engines, documents: HotDocuments, feed: Feed, dialect: view_sql.Dialect
    ) -> None:
        self.documents: Documents = documents
        self.streams: Streams = SqlStreams(engines)
        self.runs: Runs = SqlRuns(engines)
        self.connections: Connections = SqlConnections(engines)
        self.tokens: Tokens = SqlTokens(engines)
        self.sealed: Sealed = SqlSealed(engines)
        self.letters: Letters = SqlLetters(engines, documents.write_letters)
        self.reader: Reader = SqlReader(engines)
        self.archive: Archive = SqlArchive(engines)
        self.feed: Feed = feed
        self.held_pages: HeldPages = SqlHeldPages(engines)
        self.sweeps: Sweeps = SqlSweeps(engines)
        self.pace: Pace = SqlPace(engines)
        self.shapes: Shapes = SqlShapes(engines)
        self.backfills: Backfills = SqlBackfills(engines)
        self.agenda: Agenda = SqlAgenda(engines)
        self.workers: Workers = SqlWorkers(engines)
        self.notices: Notices = SqlNotices(engines)
        self.views: Views = SqlViews(engines, dialect)
