"""Archived pages: which record of which page a document's current version came from."""

from __future__ import annotations

from sqlalchemy import Connection, exists, func, or_, select, update

from penstock.model.unit import DocumentState, Head, LetterState
from penstock.store.engines import Engines
from penstock.store.reader import PAGE_COLUMNS
from penstock.store.rows import Forgotten, StoredPage, Trace
from penstock.store.tables import (
    dead_letters,
    document_versions,
    documents,
    drifts,
    pages,
    runs,
)

_HEAD = [documents.c[name] for name in Head._fields]


class SqlArchive:
    """Role `Archive` over the tables.

    Versions are walked in the order of their numbers, in which they were written: those of one page
    stand together, so a page is read once, and no other index is needed.
    """

    def __init__(self, engines: Engines) -> None:
        self._engines = engines

    def last(self) -> int:
        """The greatest version_no there is, 0 where there is none."""
        with self._engines.reader.connect() as reading:
            return reading.scalar(select(func.max(document_versions.c.version_no))) or 0

    def cut(self, upto: int) -> int:
        """`upto`, or the version_no behind it up to which the versions of its page go on."""
        version = document_versions.c
        before = select(version.page_no).where(version.version_no <= upto)
        before = before.order_by(version.version_no.desc()).limit(1)
        with self._engines.reader.connect() as reading:
            page_no = reading.scalar(before)
            if page_no is None:
                return upto
            other = select(version.version_no).where(
                version.version_no > upto, version.page_no.is_distinct_from(page_no)
            )
            behind = reading.scalar(other.order_by(version.version_no).limit(1))
        return self.last() if behind is None else behind - 1

    def traces(
        self, workspace: str, connection: str, stream: str, *, after: int, upto: int
    ) -> list[Trace]:
        """Of the documents whose current version is one of (after, upto]: see the role."""
        version, head = document_versions.c, documents.c
        letter = exists().where(
            dead_letters.c.document_id == head.document_id,
            dead_letters.c.state == LetterState.OPEN,
        )
        newer = or_(
            version.source_version.is_distinct_from(head.source_version),
            version.source_updated_at.is_distinct_from(head.source_updated_at),
        )
        wanted = (
            select(
                *_HEAD,
                head.document_type,
                version.page_no,
                version.page_index,
                func.coalesce(func.length(pages.c.body), 0),
                newer,
                letter,
                version.content,
            )
            .join_from(
                document_versions,
                documents,
                (head.document_id == version.document_id) & (head.version_no == version.version_no),
            )
            .join(runs, runs.c.run_no == version.run_no)
            .outerjoin(pages, pages.c.page_no == version.page_no)
            .where(version.version_no > after, version.version_no <= upto)
            .where(runs.c.workspace == workspace, runs.c.connection == connection)
            .where(runs.c.stream == stream)
            .where(or_(head.state == DocumentState.LIVE, version.page_no.is_not(None)))
            .order_by(version.version_no)
        )
        width = len(_HEAD)
        with self._engines.reader.connect() as reading:
            found = reading.execute(wanted).all()
        return [Trace(Head._make(row[:width]), *row[width:]) for row in found]

    def unit(self, page_no: int) -> list[StoredPage]:
        """The responses of one unit, in order; page_no: of the first."""
        row = pages.c
        with self._engines.reader.connect() as reading:
            first = reading.execute(select(*PAGE_COLUMNS).where(row.page_no == page_no)).one()
            unit = [StoredPage(*first)]
            others = (
                select(*PAGE_COLUMNS)
                .where(row.page_no > page_no, row.run_no == unit[0].run_no)
                .order_by(row.page_no)
                .limit(unit[0].parts - 1)
            )
            if unit[0].parts > 1:
                unit += [StoredPage(*found) for found in reading.execute(others)]
        return unit

    def forget(self, *, before: int, after: int = 0, limit: int = 500) -> Forgotten:
        """Empty the bodies of pages received before that instant: see the role."""
        row = pages.c
        wanted = (
            select(row.page_no, row.received_at, func.length(row.body))
            .where(row.page_no > after)
            .order_by(row.page_no)
            .limit(limit)
        )
        with self._engines.writer.begin() as writing:
            looked_at = writing.execute(wanted).all()
            if not looked_at:
                return Forgotten(0, 0, None)
            first, last = looked_at[0][0], looked_at[-1][0]
            needed = _looked_for(writing, first, last)
            going = {
                page_no: size
                for page_no, received_at, size in looked_at
                if received_at < before and size and page_no not in needed
            }
            writing.execute(update(pages).where(row.page_no.in_(going)).values(body=b""))
        end = last if len(looked_at) == limit else None
        return Forgotten(len(going), sum(going.values()), end)


def _looked_for(writing: Connection, first: int, last: int) -> set[int]:
    """Pages that somebody has still to look at: an open letter or a waiting drift is theirs."""
    letter, drift = dead_letters.c, drifts.c
    of_letters = select(letter.page_no).where(
        letter.state == LetterState.OPEN,
        letter.page_no.between(first, last),
    )
    of_drifts = select(drift.page_no).where(
        drift.accepted_at.is_(None),
        drift.page_no.between(first, last),
    )
    return {*writing.scalars(of_letters), *writing.scalars(of_drifts)}
