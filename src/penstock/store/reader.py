"""What the read service asks: rows in a steady order, page by page or as one stream."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import fields
from typing import Any

from sqlalchemy import Connection, Select, case, func, select

from penstock.model.unit import DocumentState
from penstock.store.engines import Engines
from penstock.store.rows import StoredDocument, StoredPage, StoredVersion
from penstock.store.tables import document_versions, documents, pages

_DOCUMENT = [documents.c[field.name] for field in fields(StoredDocument)]
_VERSION = [document_versions.c[field.name] for field in fields(StoredVersion)]
PAGE_COLUMNS = [pages.c[field.name] for field in fields(StoredPage)]
_ORDER = (documents.c.source_id, documents.c.document_id)
_ROWS_HELD = 200


class SqlReader:
    """Role `Reader` over the tables.

    Lists go connection by connection, because the index (workspace, connection, type, source id)
    then gives the order by itself: nothing is sorted and no other type's rows are walked.
    """

    def __init__(self, engines: Engines) -> None:
        self._engines = engines

    def documents(
        self,
        workspace: str,
        document_type: str,
        *,
        connection: str | None = None,
        after: tuple[str, str] = ("", ""),
        limit: int = 100,
    ) -> list[StoredDocument]:
        """In order of (connection, source_id), beginning behind `after`; graves left out.

        Documents that share one source_id stay on one page, which may pass `limit` for them:
        `after` could not name a place between them.
        """
        found: list[StoredDocument] = []
        with self._engines.reader.connect() as reading:
            for name in _connections(reading, workspace, connection, start=after[0]):
                behind = after[1] if name == after[0] else ""
                wanted = _of_kind(select(*_DOCUMENT), workspace, name, document_type)
                found += _page_of(reading, wanted, behind, limit - len(found))
                if len(found) >= limit:
                    break
        return found

    def document(self, document_id: bytes) -> StoredDocument | None:
        """The document (a grave, too), or None."""
        wanted = select(*_DOCUMENT).where(documents.c.document_id == document_id)
        with self._engines.reader.connect() as reading:
            row = reading.execute(wanted).one_or_none()
        return StoredDocument(*row) if row else None

    def find(
        self, workspace: str, document_type: str, source_id: str, connection: str | None = None
    ) -> list[StoredDocument]:
        """The documents of that type and source id, graves left out, in order of connection."""
        found: list[StoredDocument] = []
        with self._engines.reader.connect() as reading:
            for name in _connections(reading, workspace, connection):
                wanted = _of_kind(select(*_DOCUMENT), workspace, name, document_type)
                wanted = wanted.where(documents.c.source_id == source_id)
                found += [StoredDocument(*row) for row in reading.execute(wanted)]
        return found

    def history(self, document_id: bytes) -> list[StoredVersion]:
        """All versions, oldest first: the chain from the head back to the first."""
        version = document_versions.c
        head = select(documents.c.version_no).where(documents.c.document_id == document_id)
        chain = (
            select(version.version_no, version.previous)
            .where(version.version_no == head.scalar_subquery())
            .cte("chain", recursive=True)
        )
        chain = chain.union_all(
            select(version.version_no, version.previous).where(
                version.version_no == chain.c.previous
            )
        )
        wanted = (
            select(*_VERSION)
            .where(version.version_no == chain.c.version_no)
            .order_by(version.version_no)
        )
        with self._engines.reader.connect() as reading:
            return [StoredVersion(*row) for row in reading.execute(wanted)]

    def page(self, page_no: int) -> StoredPage | None:
        """An archived response, or None."""
        with self._engines.reader.connect() as reading:
            row = reading.execute(
                select(*PAGE_COLUMNS).where(pages.c.page_no == page_no)
            ).one_or_none()
        return StoredPage(*row) if row else None

    def counts(
        self, workspace: str, *, connection: str | None = None
    ) -> dict[str, Mapping[str, int]]:
        """Document type to {"documents" (deleted ones included), "deleted", "versions"}."""
        row = documents.c
        deleted = func.sum(case((row.state == DocumentState.DELETED, 1), else_=0))
        wanted = (
            select(row.document_type, func.count(), deleted, func.sum(row.version))
            .where(row.workspace == workspace, row.state != DocumentState.GRAVE)
            .group_by(row.document_type)
            .order_by(row.document_type)
        )
        if connection is not None:
            wanted = wanted.where(row.connection == connection)
        with self._engines.reader.connect() as reading:
            return {
                kind: {"documents": number, "deleted": int(gone), "versions": int(versions)}
                for kind, number, gone, versions in reading.execute(wanted)
            }

    def contents(
        self, workspace: str, document_type: str, *, connection: str | None = None
    ) -> Iterator[tuple[StoredDocument, bytes]]:
        """Every live document of a type with its content, ordered, with flat memory.

        One snapshot: what is committed meanwhile does not appear.
        """
        content = document_versions.c.content
        joined = document_versions.c.version_no == documents.c.version_no
        with self._engines.reader.connect() as reading:
            for name in _connections(reading, workspace, connection):
                wanted = _of_kind(select(*_DOCUMENT, content), workspace, name, document_type)
                wanted = wanted.where(joined, documents.c.state == DocumentState.LIVE)
                wanted = wanted.order_by(*_ORDER).execution_options(yield_per=_ROWS_HELD)
                with reading.execute(wanted) as found:
                    for row in found:
                        yield StoredDocument(*row[:-1]), row[-1]


def _connections(
    reading: Connection, workspace: str, only: str | None, *, start: str = ""
) -> Iterator[str]:
    """Names of connections that have documents, in order from `start` on: one seek for each."""
    if only is not None:
        yield from [only] if only >= start else []
        return
    row = documents.c
    reached = row.connection >= start
    while True:
        first = select(row.connection).where(row.workspace == workspace, reached)
        name = reading.scalar(first.order_by(row.connection).limit(1))
        if name is None:
            return
        yield name
        reached = row.connection > name


def _of_kind(wanted: Select[Any], workspace: str, connection: str, kind: str) -> Select[Any]:
    row = documents.c
    return wanted.where(
        row.workspace == workspace,
        row.connection == connection,
        row.document_type == kind,
        row.state != DocumentState.GRAVE,
    )


def _page_of(
    reading: Connection, wanted: Select[Any], behind: str, limit: int
) -> Iterator[StoredDocument]:
    """The next `limit` documents behind a source id, and those that share the last one's."""
    row = documents.c
    wanted = wanted.where(row.source_id > behind) if behind else wanted
    sources = wanted.with_only_columns(row.source_id).order_by(row.source_id)
    last = reading.scalar(sources.limit(1).offset(limit - 1))
    wanted = wanted if last is None else wanted.where(row.source_id <= last)
    return (StoredDocument(*found) for found in reading.execute(wanted.order_by(*_ORDER)))
