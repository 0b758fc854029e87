"""Heads and units of work on SQLite: the hot statements, and the one transaction they make.

They run on the writer's connection in the calling thread, straight on the driver. That
connection's page cache stays valid between commits (no one else writes in this process), so
looking heads up brings in the very pages that the commit then changes.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import fields
from functools import lru_cache
from operator import attrgetter
from typing import Any

from sqlalchemy import Engine

from penstock.errors import LeaseLostError, WriteConflictError
from penstock.model import times
from penstock.model.unit import (
    ArchivedPage,
    DocumentState,
    Head,
    Lease,
    NewLetter,
    NewVersion,
    UnitOfWork,
)
from penstock.store import json_text
from penstock.store.engines import Engines
from penstock.store.sqlite_error import is_conflict, translated
from penstock.telemetry import kill_point

GRAVE = DocumentState.GRAVE

_IDS_AT_ONCE = 1000
_page_values = attrgetter(*(field.name for field in fields(ArchivedPage)))
_letter_values = attrgetter(*(field.name for field in fields(NewLetter)))


def _places(*names: str) -> dict[str, str]:
    """Name to numbered place holder: rows are bound by position, statements read by name."""
    return {name: f"?{place}" for place, name in enumerate(names, 1)}


# Only what a statement needs is bound: binding the content twice costs as much as the look-up.
_HEAD_FIELDS = (
    *("document_id", "document_type", "idempotency_key", "source_id", "version", "previous"),
    *("state", "payload_hash", "raw_mark", "source_version", "source_updated_at", "as_of"),
    *("status", "on_date", "party", "number"),
)
_VERSION_FIELDS = (
    *("document_id", "version", "previous", "state", "contract_version", "payload_hash"),
    *("source_version", "source_updated_at", "as_of", "flags", "page_index", "content"),
)
_head_values = attrgetter(*_HEAD_FIELDS)
_version_values = attrgetter(*_VERSION_FIELDS)
_PREVIOUS = _HEAD_FIELDS.index("previous")
_HEAD_ROW = _places(*_HEAD_FIELDS, "workspace", "connection", "version_no")
_VERSION_ROW = _places(
    *_VERSION_FIELDS, "workspace", "run_no", "page_no", "recorded_at", "version_no"
)

# Hot: every record that is seen for the first time. A row more means the document exists.
INSERT_DOCUMENT = """
INSERT INTO documents (document_id, workspace, connection, document_type, idempotency_key,
    source_id, state, version, version_no, payload_hash, raw_mark, source_version,
    source_updated_at, as_of, status, on_date, party, number)
VALUES ({document_id}, {workspace}, {connection}, {document_type}, {idempotency_key},
    {source_id}, {state}, {version}, {version_no}, {payload_hash}, {raw_mark}, {source_version},
    {source_updated_at}, {as_of}, {status}, {on_date}, {party}, {number})
""".format(**_HEAD_ROW)

# Hot: every record that changed. Finds no row when the head has moved on.
MOVE_HEAD = """
UPDATE documents SET source_id = {source_id}, state = {state}, version = {version},
    version_no = {version_no}, payload_hash = {payload_hash}, raw_mark = {raw_mark},
    source_version = {source_version}, source_updated_at = {source_updated_at}, as_of = {as_of},
    status = {status}, on_date = {on_date}, party = {party}, number = {number}
WHERE document_id = {document_id} AND version_no = {previous}
""".format(**_HEAD_ROW)

# Hot: the content of every created or changed record, at the end of the table.
INSERT_VERSION = """
INSERT INTO document_versions (version_no, workspace, document_id, version, previous, state,
    contract_version, payload_hash, source_version, source_updated_at, as_of, flags, run_no,
    page_no, page_index, recorded_at, content)
VALUES ({version_no}, {workspace}, {document_id}, {version}, nullif({previous}, 0), {state},
    {contract_version}, {payload_hash}, {source_version}, {source_updated_at}, {as_of}, {flags},
    {run_no}, {page_no}, iif({page_no} IS NULL, NULL, {page_index}), {recorded_at}, {content})
""".format(**_VERSION_ROW)

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

# Once for each unit: the first statement, on which a worker without its lease stops.
FENCE = """
UPDATE stream_state SET unit_no = :unit_no, lease_until = :until
WHERE workspace = :workspace AND connection = :connection AND stream = :stream
    AND "partition" = :partition AND lease_owner = :owner AND epoch = :epoch
    AND unit_no = :unit_no - 1
"""

# Only after FENCE found nothing: is the unit there already, or is the lease lost?
FENCED_AT = """
SELECT unit_no FROM stream_state
WHERE workspace = :workspace AND connection = :connection AND stream = :stream
    AND "partition" = :partition AND lease_owner = :owner AND epoch = :epoch
"""

# Once for each unit with versions: where the two dense orders stand.
LAST_NUMBERS = """
SELECT ifnull((SELECT max(version_no) FROM document_versions), 0),
    ifnull((SELECT max(seq) FROM feed), 0)
"""

# Once for each response of a unit that something came of.
INSERT_PAGE = """
INSERT INTO pages (workspace, run_no, url, status, content_type, received_at, sha256, size, body)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)
"""

_LETTER_ROW = _places(
    *(field.name for field in fields(NewLetter)),
    *("workspace", "connection", "stream", "run_no", "page_no", "recorded_at"),
)

# The same record seen again is the same letter: one more attempt, the latest reasons, open.
WRITE_LETTER = """
INSERT INTO dead_letters (letter_id, workspace, connection, stream, state, document_id,
    document_type, idempotency_key, source_id, contract_version, reason, message, retryable,
    errors, errors_truncated, raw, payload, as_of, run_no, page_no, page_index, attempts,
    first_seen_at, last_seen_at)
VALUES ({letter_id}, {workspace}, {connection}, {stream}, 'open', {document_id},
    {document_type}, {idempotency_key}, {source_id}, {contract_version}, {reason}, {message},
    {retryable}, {errors}, {errors_truncated}, {raw}, {payload}, {as_of}, {run_no},
    {page_no}, iif({page_no} IS NULL, NULL, {page_index}), 1, {recorded_at}, {recorded_at})
ON CONFLICT (letter_id) DO UPDATE SET state = 'open', document_id = excluded.document_id,
    document_type = excluded.document_type, idempotency_key = excluded.idempotency_key,
    source_id = excluded.source_id, contract_version = excluded.contract_version,
    reason = excluded.reason, message = excluded.message, retryable = excluded.retryable,
    errors = excluded.errors, errors_truncated = excluded.errors_truncated, raw = excluded.raw,
    payload = excluded.payload, as_of = excluded.as_of, run_no = excluded.run_no,
    page_no = excluded.page_no, page_index = excluded.page_index, attempts = attempts + 1,
    last_seen_at = excluded.last_seen_at, closed_at = NULL, closed_by = NULL
""".format(**_LETTER_ROW)

# A letter that names no document was made by this unit's only version, where it has but one.
CLOSE_LETTER = """
UPDATE dead_letters SET state = :state, closed_at = :now, closed_by =
    iif(:state = 'discarded', NULL, ifnull(
        (SELECT nullif(version_no, 0) FROM documents
         WHERE documents.document_id = dead_letters.document_id), :only_version))
WHERE letter_id = :letter_id AND state = 'open'
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

# Once for each unit that moves the resume point; the fence has locked the row already.
WRITE_CHECKPOINT = """
UPDATE stream_state SET cursor = :cursor, enumeration = :enumeration, watermark = :watermark
WHERE workspace = :workspace AND connection = :connection AND stream = :stream
    AND "partition" = :partition
"""

# Once for each unit.
ADD_COUNTERS = """
UPDATE runs SET pages = pages + :pages, fetched = fetched + :fetched,
    extra_emits = extra_emits + :extra_emits, filtered = filtered + :filtered,
    mapping_errors = mapping_errors + :mapping_errors, submitted = submitted + :submitted,
    created = created + :created, updated = updated + :updated,
    unchanged = unchanged + :unchanged, stale = stale + :stale, rejected = rejected + :rejected
WHERE run_no = :run_no
"""


class SqliteDocuments:
    """Role `Documents`, and the writing half of role `Letters`."""

    def __init__(self, engines: Engines) -> None:
        self._reader = engines.reader
        self._writer = engines.writer

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
        with _driver(self._writer) as connection, _transaction(connection):
            if unit.lease and not _fence(connection, unit, unit.lease):
                return
            kill_point("commit.fenced")
            page_no = _archive(connection, unit)
            kill_point("commit.page")
            versions = _write_versions(connection, unit, page_no)
            _move_marks(connection, unit)
            kill_point("commit.versions")
            _write_letters(connection, unit, page_no)
            _close_letters(connection, unit, versions)
            kill_point("commit.letters")
            _write_checkpoint(connection, unit)
            connection.execute(ADD_COUNTERS, unit.counters.as_json() | {"run_no": unit.run_no})
            kill_point("commit.checkpoint")

    def write_letters(self, unit: UnitOfWork) -> None:
        """Write only the letters of a unit, without a lease and without its page."""
        with _driver(self._writer) as connection, _transaction(connection):
            _write_letters(connection, unit, page_no=None)


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
def _transaction(connection: Any) -> Iterator[None]:
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
        kill_point("page.before_commit")
        connection.execute("COMMIT")
    except BaseException as error:
        connection.rollback()  # does nothing where SQLite has rolled back already
        if is_conflict(error):
            raise WriteConflictError("another writer made one of these documents first") from error
        raise
    kill_point("page.after_commit")


def _fence(connection: Any, unit: UnitOfWork, lease: Lease) -> bool:
    """True: write. False: the unit is committed already. Raises LeaseLostError."""
    key = _stream_key(unit, lease) | {"owner": lease.owner, "epoch": lease.epoch}
    fenced = {"unit_no": unit.unit_no, "until": times.microseconds(lease.until)}
    if connection.execute(FENCE, key | fenced).rowcount == 1:
        return True
    reached = connection.execute(FENCED_AT, key).fetchone()
    if reached is None:
        raise LeaseLostError(
            f"{unit.connection}/{unit.stream} was taken over by another worker; nothing of this "
            "page was written"
        )
    if reached[0] < unit.unit_no:
        raise ValueError(f"unit {unit.unit_no} does not follow unit {reached[0]}")
    return False


def _archive(connection: Any, unit: UnitOfWork) -> int | None:
    """Keep the pages if anything came of them; the number of the first, which that points at."""
    if not unit.pages or not (unit.letters or any(v.state != GRAVE for v in unit.versions)):
        return None
    numbers = [
        connection.execute(
            INSERT_PAGE, (unit.workspace, unit.run_no, *_page_values(page))
        ).lastrowid
        for page in unit.pages
    ]
    first: int = numbers[0]
    return first


def _write_versions(connection: Any, unit: UnitOfWork, page_no: int | None) -> range:
    """Heads, versions and feed rows; the numbers of the new versions."""
    if not unit.versions:
        return range(0)
    last_no, last_seq = connection.execute(LAST_NUMBERS).fetchone()
    numbered = list(_number(unit.versions, last_no))

    home = (unit.workspace, unit.connection)
    heads = [(_head_values(version) + home + (no,)) for version, no in numbered]
    connection.executemany(INSERT_DOCUMENT, [row for row in heads if row[_PREVIOUS] is None])
    _move_heads(connection, MOVE_HEAD, [row for row in heads if row[_PREVIOUS] is not None])

    origin = (unit.workspace, unit.run_no, page_no, unit.recorded_at)
    rows = [(_version_values(version) + origin + (no,)) for version, no in numbered if no]
    connection.executemany(INSERT_VERSION, rows)
    connection.execute(APPEND_FEED, {"seq": last_seq, "version_no": last_no})
    return range(last_no + 1, last_no + 1 + len(rows))


def _number(versions: Sequence[NewVersion], last_no: int) -> Iterator[tuple[NewVersion, int]]:
    """Each version with its number; a grave has none and gets 0."""
    for version in versions:
        last_no += version.state != GRAVE
        yield version, 0 if version.state == GRAVE else last_no


def _move_heads(connection: Any, statement: str, rows: Sequence[tuple[Any, ...]]) -> None:
    if rows and connection.executemany(statement, rows).rowcount != len(rows):
        raise WriteConflictError("another writer changed one of these documents first")


def _move_marks(connection: Any, unit: UnitOfWork) -> None:
    _move_heads(connection, MOVE_MARKS, unit.marks)


def _write_letters(connection: Any, unit: UnitOfWork, page_no: int | None) -> None:
    rest = (unit.workspace, unit.connection, unit.stream, unit.run_no, page_no, unit.recorded_at)
    rows = [(*_letter_values(letter), *rest) for letter in unit.letters]
    connection.executemany(WRITE_LETTER, rows)


def _close_letters(connection: Any, unit: UnitOfWork, versions: range) -> None:
    """Those closed by name, then those whose document is accepted after all."""
    only_version = versions[0] if len(versions) == 1 else None
    for letter in unit.closed:
        closing_letter = {
            "letter_id": letter.letter_id,
            "state": letter.state,
            "now": unit.recorded_at,
            "only_version": only_version,
        }
        connection.execute(CLOSE_LETTER, closing_letter)
    if connection.execute(ANY_OPEN_LETTER).fetchone():
        accepted = dict.fromkeys(unit.accepted) | dict.fromkeys(
            v.document_id for v in unit.versions
        )
        for ids in _batches(list(accepted)):
            statement = _for_ids(SUPERSEDE_LETTERS, len(ids))
            connection.execute(statement, (unit.recorded_at, *ids))


def _write_checkpoint(connection: Any, unit: UnitOfWork) -> None:
    if unit.checkpoint is None:
        return
    if unit.lease is None:
        raise ValueError("a unit with a checkpoint needs the stream's lease")
    point = {
        "cursor": json_text.dump(unit.checkpoint.cursor),
        "enumeration": json_text.dump(unit.checkpoint.enumeration),
        "watermark": unit.checkpoint.watermark,
    }
    connection.execute(WRITE_CHECKPOINT, _stream_key(unit, unit.lease) | point)


def _stream_key(unit: UnitOfWork, lease: Lease) -> dict[str, str]:
    return {
        "workspace": unit.workspace,
        "connection": unit.connection,
        "stream": unit.stream,
        "partition": lease.partition,
    }


def _batches(ids: Sequence[bytes]) -> Iterator[Sequence[bytes]]:
    for start in range(0, len(ids), _IDS_AT_ONCE):
        yield ids[start : start + _IDS_AT_ONCE]


@lru_cache(maxsize=256)
def _for_ids(statement: str, number: int) -> str:
    return statement.format(", ".join(["(?)"] * number))
