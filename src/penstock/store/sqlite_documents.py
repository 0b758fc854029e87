"""Heads and units of work on SQLite: the hot statements, and the one transaction they make.

They run on the writer's connection in the calling thread, straight on the driver. That
connection's page cache stays valid between commits (no one else writes in this process), so
looking heads up brings in the very pages that the commit then changes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from functools import lru_cache
from itertools import chain
from operator import attrgetter
from typing import Any

from sqlalchemy import Engine

from penstock.errors import WriteConflictError
from penstock.model.unit import Head, NewVersion, UnitOfWork
from penstock.store.engines import Engines
from penstock.store.sqlite_error import is_conflict, translated
from penstock.store.sqlite_latch import Latch
from penstock.store.unit import Cursor, is_content, write, write_letters
from penstock.telemetry import kill_point

_IDS_AT_ONCE = 1000
_ROWS_AT_ONCE = 256


def _places(*names: str) -> dict[str, str]:
    """Name to numbered place holder: rows are bound by position, statements read by name."""
    return {name: f"?{place}" for place, name in enumerate(names, 1)}


def _columns(*names: str) -> dict[str, str]:
    """Name to column of a VALUES list."""
    return {name: f"column{place}" for place, name in enumerate(names, 1)}


# Binding a value costs about as much as storing it: what the rows of a kind share is bound once.
_KIND = ("document_type", "contract_version", "state", "version")
_SHARED = (*_KIND, "workspace", "connection", "run_no", "page_no", "recorded_at")
_HEAD_FIELDS = (
    *("document_id", "idempotency_key", "source_id", "payload_hash", "raw_mark", "source_version"),
    *("source_updated_at", "as_of", "status", "on_date", "party", "number"),
)
_VERSION_FIELDS = (
    *("document_id", "previous", "payload_hash", "source_version", "source_updated_at"),
    *("as_of", "flags", "page_index", "content"),
)
_MOVED_FIELDS = (
    *("document_id", "previous", "source_id", "state", "version", "payload_hash", "raw_mark"),
    *("source_version", "source_updated_at", "as_of", "status", "on_date", "party", "number"),
)
_kind = attrgetter(*_KIND)
_head_values = attrgetter(*_HEAD_FIELDS)
_version_values = attrgetter(*_VERSION_FIELDS)
_moved_values = attrgetter(*_MOVED_FIELDS)

# Hot: every record that is seen for the first time. A row more means the document exists.
INSERT_DOCUMENTS = """
INSERT INTO documents (document_id, workspace, connection, document_type, idempotency_key,
    source_id, state, version, version_no, payload_hash, raw_mark, source_version,
    source_updated_at, as_of, status, on_date, party, number)
SELECT {document_id}, {workspace}, {connection}, {document_type}, {idempotency_key},
    {source_id}, {state}, {version}, {version_no}, {payload_hash}, {raw_mark}, {source_version},
    {source_updated_at}, {as_of}, {status}, {on_date}, {party}, {number}
FROM (VALUES {{}})
""".format(**_places(*_SHARED), **_columns(*_HEAD_FIELDS, "version_no"))

# Hot: every record that changed. Finds no row when the head has moved on.
MOVE_HEAD = """
UPDATE documents SET source_id = {source_id}, state = {state}, version = {version},
    version_no = {version_no}, payload_hash = {payload_hash}, raw_mark = {raw_mark},
    source_version = {source_version}, source_updated_at = {source_updated_at}, as_of = {as_of},
    status = {status}, on_date = {on_date}, party = {party}, number = {number}
WHERE document_id = {document_id} AND version_no = {previous}
""".format(**_places(*_MOVED_FIELDS, "version_no"))

# Hot: the content of every created or changed record, at the end of the table.
INSERT_VERSIONS = """
INSERT INTO document_versions (version_no, workspace, document_id, version, previous, state,
    contract_version, payload_hash, source_version, source_updated_at, as_of, flags, run_no,
    page_no, page_index, recorded_at, content)
SELECT {version_no}, {workspace}, {document_id}, {version}, nullif({previous}, 0), {state},
    {contract_version}, {payload_hash}, {source_version}, {source_updated_at}, {as_of}, {flags},
    {run_no}, {page_no}, iif({page_no} IS NULL, NULL, {page_index}), {recorded_at}, {content}
FROM (VALUES {{}})
""".format(**_places(*_SHARED), **_columns(*_VERSION_FIELDS, "version_no"))

# Hot: the order of all versions; followers read them in this order.
APPEND_FEED = """
INSERT INTO feed (seq, kind, ref)
SELECT :seq + version_no - :version_no, 'version', version_no
FROM document_versions WHERE version_no > :version_no ORDER BY version_no
"""

# Hot: asked for every page, known and unknown ids alike. {} takes the ids' place holders. A join
# with the list goes straight to the index, where IN would first build a tree of the ids.
HEADS = """
SELECT document_id, version, version_no, state, payload_hash, raw_mark, source_id, source_version,
    source_updated_at, as_of
FROM (VALUES {}) CROSS JOIN documents ON document_id = column1
"""

# Hot on a full run: unchanged records whose marks move.
MOVE_MARKS = """
UPDATE documents SET raw_mark = ?3, source_version = ?4, source_updated_at = ?5, as_of = ?6
WHERE document_id = ?1 AND version_no = ?2
"""

# Once for each unit with versions: where the two dense orders stand.
LAST_NUMBERS = """
SELECT ifnull((SELECT max(version_no) FROM document_versions), 0),
    ifnull((SELECT max(seq) FROM feed), 0)
"""

# Once for each unit: most stores have no open letter, and then this one seek is all.
ANY_OPEN_LETTER = "SELECT 1 FROM dead_letters WHERE state = 'open' AND document_id > x'' LIMIT 1"

# Only where letters are open: the records that were rejected before and are accepted now.
SUPERSEDE_LETTERS = """
UPDATE dead_letters SET state = 'superseded', closed_at = ?, closed_by =
    (SELECT nullif(version_no, 0) FROM documents
     WHERE documents.document_id = dead_letters.document_id)
WHERE state = 'open' AND document_id IN ({})
"""

# Hot there: every record of every enumeration.
SIGHT = """
INSERT OR REPLACE INTO sightings (sweep_no, document_id, seen)
SELECT ?1, column1, ?2 FROM (VALUES {})
"""


class SqliteDocuments:
    """Role `Documents`, and the writing half of role `Letters`."""

    def __init__(self, engines: Engines) -> None:
        self._reader = engines.reader
        self._writer = engines.writer
        self._latch = engines.latch

    def heads(self, document_ids: Sequence[bytes]) -> dict[bytes, Head]:
        """The current heads of those documents that exist. Any number of ids; one snapshot."""
        found: dict[bytes, Head] = {}
        with _driver(self._writer) as connection, _snapshot(connection):
            for ids in _batches(document_ids):
                rows = connection.execute(_for_ids(HEADS, len(ids)), ids)
                found |= {row[0]: Head._make(row) for row in rows}
        return found

    def content(self, version_no: int) -> bytes:
        """The content bytes of one version. Raises KeyError where there is no such version."""
        with _driver(self._reader) as connection:
            wanted = "SELECT content FROM document_versions WHERE version_no = ?"
            row = connection.execute(wanted, (version_no,)).fetchone()
        if row is None:
            raise KeyError(version_no)
        content: bytes = row[0]
        return content

    def commit(self, unit: UnitOfWork) -> None:
        """Write all of the unit in one durable transaction, or nothing of it: see the role."""
        with _driver(self._writer) as connection, _transaction(connection, self._latch):
            write(SqliteSession(connection), unit)

    def write_letters(self, unit: UnitOfWork) -> None:
        """Write only the letters of a unit, without a lease and without its page."""
        with _driver(self._writer) as connection, _transaction(connection, self._latch):
            write_letters(SqliteSession(connection), unit, page_no=None)


class SqliteSession:
    """The hot half of a unit, on the driver's connection in an open transaction."""

    def __init__(self, connection: Any) -> None:
        self._connection = connection
        self.execute: Callable[[str, Mapping[str, Any]], Cursor] = connection.execute

    def write_versions(self, unit: UnitOfWork, page_no: int | None) -> Sequence[int]:
        """Heads, versions and feed rows, many with a statement; the numbers of the versions."""
        connection = self._connection
        last_no, last_seq = connection.execute(LAST_NUMBERS).fetchone()
        origin = (unit.workspace, unit.connection, unit.run_no, page_no, unit.recorded_at)
        made = 0
        for kind, numbered in _numbered(unit.versions, last_no).items():
            shared = (*kind, *origin)
            new = [(*_head_values(one), no) for one, no in numbered if one.previous is None]
            moved = [(*_moved_values(one), no) for one, no in numbered if one.previous is not None]
            rows = [(*_version_values(one), no) for one, no in numbered if no]
            _insert(connection, INSERT_DOCUMENTS, shared, new)
            _move_heads(connection, MOVE_HEAD, moved)
            _insert(connection, INSERT_VERSIONS, shared, rows)
            made += len(rows)
        connection.execute(APPEND_FEED, {"seq": last_seq, "version_no": last_no})
        return range(last_no + 1, last_no + 1 + made)

    def move_marks(self, unit: UnitOfWork) -> None:
        """One statement for each row."""
        _move_heads(self._connection, MOVE_MARKS, unit.marks)

    def supersede(self, document_ids: Sequence[bytes], now: int) -> None:
        """Nothing where no letter is open, as in most stores."""
        if self._connection.execute(ANY_OPEN_LETTER).fetchone():
            for ids in _batches(document_ids):
                self._connection.execute(_for_ids(SUPERSEDE_LETTERS, len(ids)), (now, *ids))

    def sight(self, sweep_no: int, document_ids: Sequence[bytes], seen: int) -> None:
        """Insert or replace."""
        rows = [(document_id,) for document_id in document_ids]
        _insert(self._connection, SIGHT, (sweep_no, seen), rows)


@contextmanager
def _driver(engine: Engine) -> Iterator[Any]:
    """A connection of the driver, for this thread alone while the block runs."""
    with translated(), closing(engine.raw_connection()) as lent:
        yield lent.driver_connection


@contextmanager
def _snapshot(connection: Any) -> Iterator[None]:
    connection.execute("BEGIN")
    try:
        yield
    finally:
        connection.rollback()


@contextmanager
def _transaction(connection: Any, latch: Latch) -> Iterator[None]:
    latch.check()
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
        kill_point("page.before_commit")
        connection.execute("COMMIT")
    except BaseException as error:
        latch.see(error)
        connection.rollback()  # does nothing where SQLite has rolled back already
        if is_conflict(error):
            raise WriteConflictError("another writer made one of these documents first") from error
        raise
    kill_point("page.after_commit")


def _insert(
    connection: Any, statement: str, shared: tuple[Any, ...], rows: Sequence[tuple[Any, ...]]
) -> None:
    """Insert rows, many with one statement: other threads run on while it does.

    With a statement a row every row waits for the interpreter again, which a busy thread gives up
    only after milliseconds.
    """
    start = 0
    while start < len(rows):
        number = min(_ROWS_AT_ONCE, 1 << (len(rows) - start).bit_length() - 1)
        some = rows[start : start + number]
        values = (*shared, *chain.from_iterable(some))
        connection.execute(_for_rows(statement, len(shared), len(some[0]), number), values)
        start += number


def _numbered(
    versions: Sequence[NewVersion], last_no: int
) -> dict[tuple[Any, ...], list[tuple[NewVersion, int]]]:
    """Each version with its number, by kind; a grave has none and gets 0."""
    kinds: dict[tuple[Any, ...], list[tuple[NewVersion, int]]] = {}
    for version in versions:
        number = 0
        if is_content(version):
            last_no += 1
            number = last_no
        kinds.setdefault(_kind(version), []).append((version, number))
    return kinds


def _move_heads(connection: Any, statement: str, rows: Sequence[tuple[Any, ...]]) -> None:
    if rows and connection.executemany(statement, rows).rowcount != len(rows):
        raise WriteConflictError("another writer changed one of these documents first")


def _batches(ids: Sequence[bytes]) -> Iterator[Sequence[bytes]]:
    for start in range(0, len(ids), _IDS_AT_ONCE):
        yield ids[start : start + _IDS_AT_ONCE]


@lru_cache(maxsize=256)
def _for_rows(statement: str, shared: int, width: int, number: int) -> str:
    """A statement with `shared` values, which come first, for that many rows of that width.

    Places without a number count on from the last one: one with a number costs a search through
    all the others.
    """
    row = "(" + ", ".join("?" * width) + ")"
    first = row.replace("?", f"?{shared + 1}", 1)
    return statement.format(", ".join([first, *[row] * (number - 1)]))


@lru_cache(maxsize=256)
def _for_ids(statement: str, number: int) -> str:
    return statement.format(", ".join(["(?)"] * number))
