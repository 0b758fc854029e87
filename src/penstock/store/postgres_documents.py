"""Heads and units of work on PostgreSQL: the hot statements, and the one transaction they make.

New rows go in by binary COPY, straight into their tables; changes to rows that are there are
copied into a temporary table and merged with one statement.

A server that goes away in the middle may have committed and not said so. A unit under a lease has
a name that its fence compares, epoch and number, so it is handed over again as it is: found there
it is done, and else it is written, behind a straggler that may still hold the stream's row.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from functools import lru_cache
from operator import attrgetter
from typing import Any

from sqlalchemy import Engine

from penstock.errors import StoreUnavailableError, WriteConflictError
from penstock.model.unit import Head, UnitOfWork
from penstock.store.engines import Engines
from penstock.store.postgres_error import is_conflict, translated
from penstock.store.unit import Cursor, is_content, write, write_letters
from penstock.telemetry import event, kill_point

ATTEMPTS = 3
"""How often a unit is handed to the server before its absence is the caller's to bear."""

_NAMED = re.compile(r"(?<![:\w]):(\w+)")

_HEAD_COLUMNS = {
    "document_id": "bytea",
    "source_id": "text",
    "state": "text",
    "version": "int8",
    "payload_hash": "bytea",
    "raw_mark": "bytea",
    "source_version": "text",
    "source_updated_at": "int8",
    "as_of": "int8",
    "status": "text",
    "on_date": "text",
    "party": "text",
    "number": "text",
}
_BORN_COLUMNS = {"document_type": "text", "idempotency_key": "text"}
_HOME_COLUMNS = {"workspace": "text", "connection": "text"}
_NUMBER = {"version_no": "int8"}
_VERSION_COLUMNS = {
    "document_id": "bytea",
    "version": "int8",
    "state": "text",
    "contract_version": "text",
    "payload_hash": "bytea",
    "source_version": "text",
    "source_updated_at": "int8",
    "as_of": "int8",
    "flags": "bytea",
    "content": "bytea",
}
_ORIGIN_COLUMNS = {
    "workspace": "text",
    "run_no": "int8",
    "page_no": "int8",
    "recorded_at": "int8",
    "version_no": "int8",
    "previous": "int8",
    "page_index": "int8",
}
_MARK_COLUMNS = {
    "document_id": "bytea",
    "version_no": "int8",
    "raw_mark": "bytea",
    "source_version": "text",
    "source_updated_at": "int8",
    "as_of": "int8",
}
_SIGHTING_COLUMNS = {"sweep_no": "int8", "document_id": "bytea", "seen": "int8"}

_head_values = attrgetter(*_HEAD_COLUMNS)
_born_values = attrgetter(*_BORN_COLUMNS)
_version_values = attrgetter(*_VERSION_COLUMNS)

# Hot: asked for every page, known and unknown ids alike.
HEADS = """
SELECT document_id, version, version_no, state, payload_hash, raw_mark, source_id, source_version,
    source_updated_at, as_of
FROM documents WHERE document_id = ANY(%b)
"""

# Once for each unit with versions: their numbers, which only grow.
NEXT_NUMBERS = """
SELECT array_agg(nextval(pg_get_serial_sequence('document_versions', 'version_no')))
FROM generate_series(1, %s)
"""

# Hot: every record that changed. Finds fewer rows than were staged when a head has moved on.
MOVE_HEADS = """
UPDATE documents SET {sets} FROM staged_heads AS staged
WHERE documents.document_id = staged.document_id AND documents.version_no = staged.previous
""".format(sets=", ".join(f"{name} = staged.{name}" for name in {**_HEAD_COLUMNS, **_NUMBER}))

# Hot on a full run: unchanged records whose marks move.
MOVE_MARKS = """
UPDATE documents SET raw_mark = staged.raw_mark, source_version = staged.source_version,
    source_updated_at = staged.source_updated_at, as_of = staged.as_of
FROM staged_marks AS staged
WHERE documents.document_id = staged.document_id AND documents.version_no = staged.version_no
"""

# Hot on streams with proven deletes: every record of every enumeration.
SIGHT = """
INSERT INTO sightings (sweep_no, document_id, seen)
SELECT sweep_no, document_id, seen FROM staged_sightings
ON CONFLICT (sweep_no, document_id) DO UPDATE SET seen = excluded.seen
"""

# Once for each unit with versions: see `postgres_feed`.
FEED_LATER = """
INSERT INTO feed_inbox (txid, kind, refs)
VALUES (pg_current_xact_id()::text::bigint, 'version', %b)
"""

# Once for each unit: most stores have no open letter, and then this one look is all.
ANY_OPEN_LETTER = """
SELECT 1 FROM dead_letters WHERE state = 'open' AND document_id IS NOT NULL LIMIT 1
"""

# Only where letters are open: the records that were rejected before and are accepted now.
SUPERSEDE_LETTERS = """
UPDATE dead_letters SET state = 'superseded', closed_at = %s, closed_by =
    (SELECT nullif(version_no, 0) FROM documents
     WHERE documents.document_id = dead_letters.document_id)
WHERE state = 'open' AND document_id = ANY(%b)
"""


class PostgresDocuments:
    """Role `Documents`, and the writing half of role `Letters`."""

    def __init__(self, engines: Engines) -> None:
        self._writer = engines.writer

    def heads(self, document_ids: Sequence[bytes]) -> dict[bytes, Head]:
        """The current heads of those documents that exist: one statement, so one snapshot."""
        with driver(self._writer) as connection:
            rows = connection.execute(HEADS, (list(document_ids),), binary=True).fetchall()
        return {row[0]: Head._make(row) for row in rows}

    def content(self, version_no: int) -> bytes:
        """The content bytes of one version. Raises KeyError where there is no such version."""
        with driver(self._writer) as connection:
            wanted = "SELECT content FROM document_versions WHERE version_no = %s"
            row = connection.execute(wanted, (version_no,), binary=True).fetchone()
        if row is None:
            raise KeyError(version_no)
        content: bytes = row[0]
        return content

    def commit(self, unit: UnitOfWork) -> None:
        """Write all of the unit in one durable transaction, or nothing of it: see the role."""
        for attempt in range(1, ATTEMPTS + 1):
            try:
                self._write(unit)
                return
            except StoreUnavailableError as error:
                if unit.lease is None or attempt == ATTEMPTS:
                    raise
                told = {"stream": unit.stream, "attempt": attempt, "reason": error.message}
                event("commit.repeated", logging.WARNING, **told)

    def _write(self, unit: UnitOfWork) -> None:
        with driver(self._writer) as connection, _transaction(connection):
            write(PostgresSession(connection), unit)

    def write_letters(self, unit: UnitOfWork) -> None:
        """Write only the letters of a unit, without a lease and without its page."""
        with driver(self._writer) as connection, _transaction(connection):
            write_letters(PostgresSession(connection), unit, page_no=None)


class PostgresSession:
    """The hot half of a unit, on the driver's connection in an open transaction."""

    def __init__(self, connection: Any) -> None:
        self._connection = connection

    def execute(self, statement: str, values: Mapping[str, Any]) -> Cursor:
        """One of the statements with named values."""
        cursor: Cursor = self._connection.execute(_spelled(statement), values)
        return cursor

    def write_versions(self, unit: UnitOfWork, page_no: int | None) -> Sequence[int]:
        """Heads, versions and the feed's inbox; the numbers of the versions."""
        # In one order for everybody, so that two who write the same documents do not lock each
        # other, each waiting for what the other has.
        versions = unit.versions
        numbers = self._next_numbers(sum(map(is_content, versions)))
        left = iter(numbers)
        numbered = [(version, next(left) if is_content(version) else 0) for version in versions]

        home = (unit.workspace, unit.connection)
        born = sorted(
            (*_head_values(version), *_born_values(version), *home, number)
            for version, number in numbered
            if version.previous is None
        )
        columns = _HEAD_COLUMNS | _BORN_COLUMNS | _HOME_COLUMNS | _NUMBER
        _copy(self._connection, "documents", columns, born)
        moved = [
            (*_head_values(version), number, version.previous)
            for version, number in numbered
            if version.previous is not None
        ]
        staged = _HEAD_COLUMNS | _NUMBER | {"previous": "int8"}
        self._merge("staged_heads", staged, moved, MOVE_HEADS)
        rows = [
            (
                *_version_values(version),
                *(unit.workspace, unit.run_no, page_no, unit.recorded_at),
                *(number, version.previous or None),
                None if page_no is None else version.page_index,
            )
            for version, number in numbered
            if number
        ]
        _copy(self._connection, "document_versions", _VERSION_COLUMNS | _ORIGIN_COLUMNS, rows)
        if numbers:
            self._connection.execute(FEED_LATER, (numbers,))
        return numbers

    def move_marks(self, unit: UnitOfWork) -> None:
        """All with one statement."""
        self._merge("staged_marks", _MARK_COLUMNS, unit.marks, MOVE_MARKS)

    def supersede(self, document_ids: Sequence[bytes], now: int) -> None:
        """Nothing where no letter is open, as in most stores."""
        if self._connection.execute(ANY_OPEN_LETTER).fetchone():
            self._connection.execute(SUPERSEDE_LETTERS, (now, list(document_ids)))

    def sight(self, sweep_no: int, document_ids: Sequence[bytes], seen: int) -> None:
        """Insert or replace."""
        rows = [(sweep_no, document_id, seen) for document_id in sorted(document_ids)]
        self._merge("staged_sightings", _SIGHTING_COLUMNS, rows, SIGHT)

    def _next_numbers(self, count: int) -> list[int]:
        if not count:
            return []
        row = self._connection.execute(NEXT_NUMBERS, (count,), binary=True).fetchone()
        numbers: list[int] = row[0]
        return numbers

    def _merge(
        self, table: str, columns: Mapping[str, str], rows: Sequence[tuple[Any, ...]], merge: str
    ) -> None:
        """Every row finds its place, or WriteConflictError."""
        if not rows:
            return
        described = ", ".join(f"{name} {kind}" for name, kind in columns.items())
        self._connection.execute(
            f"CREATE TEMPORARY TABLE IF NOT EXISTS {table} ({described}) ON COMMIT DELETE ROWS"
        )
        _copy(self._connection, table, columns, rows)
        if self._connection.execute(merge).rowcount != len(rows):
            raise WriteConflictError("another writer changed one of these documents first")


@contextmanager
def driver(engine: Engine) -> Iterator[Any]:
    """A connection of the driver, for this thread alone while the block runs; what is left open
    is rolled back. A connection that is lost leaves the pool."""
    with translated(), closing(engine.raw_connection()) as lent:
        try:
            yield lent.driver_connection
        finally:
            if lent.driver_connection is not None and lent.driver_connection.closed:
                lent.invalidate()


@contextmanager
def _transaction(connection: Any) -> Iterator[None]:
    """The driver begins one with the first statement."""
    try:
        yield
        kill_point("page.before_commit")
        connection.commit()
    except BaseException as error:
        if not connection.closed:
            connection.rollback()
        if is_conflict(error):
            raise WriteConflictError("another writer made one of these documents first") from error
        raise
    kill_point("page.after_commit")


def _copy(
    connection: Any, table: str, columns: Mapping[str, str], rows: Sequence[tuple[Any, ...]]
) -> None:
    if not rows:
        return
    statement = f"COPY {table} ({', '.join(columns)}) FROM STDIN (FORMAT BINARY)"
    with connection.cursor() as cursor, cursor.copy(statement) as copy:
        copy.set_types(list(columns.values()))
        for row in rows:
            copy.write_row(row)


@lru_cache(maxsize=256)
def _spelled(statement: str) -> str:
    """Named values as this driver spells them."""
    return _NAMED.sub(r"%(\1)s", statement)
