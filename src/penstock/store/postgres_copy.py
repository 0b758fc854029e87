"""Taking over what another database holds: every table in one transaction, compared before it
counts."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import psycopg
from sqlalchemy import Connection, Table, func, select, text

from penstock.errors import DatabaseError, UsageError
from penstock.store.engines import Engines
from penstock.store.postgres_error import translated
from penstock.store.rows import CopiedTable
from penstock.store.snapshot import Digest, Snapshot, tables
from penstock.store.tables import feed, stream_state
from penstock.telemetry import event, kill_point

# One copy at a time; the key is "copy" in ASCII.
_ALONE = text("SELECT pg_advisory_xact_lock(x'636f7079'::int)")


def take_over(source: Snapshot, target: Engines) -> list[CopiedTable]:
    """Copy all tables, move the sequences behind their rows, and compare what is there by count and
    hash; only then is anything committed.

    Leases are not taken along: nobody works under them here. Raises UsageError for a target that is
    not empty, DatabaseError where what is there is not what was written.
    """
    with target.writer.begin() as writing:
        writing.execute(_ALONE)
        there = Snapshot(writing)
        _refuse_unless_empty(there)
        copied = [_copy(source, writing, table) for table in tables()]
        for table, written in zip(tables(), copied, strict=True):
            _compare(there, table, written)
            _move_sequence(writing, table)
        kill_point("copy.before_commit")
    return copied


def _refuse_unless_empty(there: Snapshot) -> None:
    for table in tables():
        if not there.is_empty(table):
            raise UsageError(
                f"the target is not empty: {table.name} has {there.count(table):,} rows; name a "
                "new database"
            )


def _copy(source: Snapshot, writing: Connection, table: Table) -> CopiedTable:
    digest = Digest()
    columns = ", ".join(f'"{column.name}"' for column in table.columns)
    connection: Any = writing.connection.driver_connection
    try:
        with (
            translated(),
            connection.cursor() as cursor,
            cursor.copy(f'COPY "{table.name}" ({columns}) FROM STDIN') as copy,
        ):
            for row in _as_written(source, table):
                digest.add(row)
                copy.write_row(row)
    except psycopg.DataError as error:
        raise DatabaseError(
            f"row {digest.count} of {table.name} holds what PostgreSQL cannot: {error}"
        ) from error
    event("copy.table", table=table.name, rows=digest.count)
    return CopiedTable(table.name, digest.count, digest.hex)


def _as_written(source: Snapshot, table: Table) -> Iterator[tuple[Any, ...]]:
    """Rows as they are to be here: the feed dense from 1, streams held by nobody."""
    if table is feed:
        place = list(feed.columns.keys()).index("seq")
        for seq, row in enumerate(source.rows(table), 1):
            yield (*row[:place], seq, *row[place + 1 :])
        return
    freed = {"lease_owner": "", "lease_until": 0} if table is stream_state else {}
    places = {list(table.columns.keys()).index(name): value for name, value in freed.items()}
    for row in source.rows(table):
        yield tuple(places.get(n, value) for n, value in enumerate(row)) if places else row


def _compare(there: Snapshot, table: Table, written: CopiedTable) -> None:
    found = Digest()
    for row in there.rows(table):
        found.add(row)
    if (found.count, found.hex) != (written.rows, written.sha256):
        raise DatabaseError(
            f"{table.name} came out otherwise than it was written ({written.rows:,} rows written, "
            f"{found.count:,} found): nothing was kept; is somebody else at work on the target?"
        )


def _move_sequence(writing: Connection, table: Table) -> None:
    """Numbers given from here on lie behind those that came along."""
    numbered = table.autoincrement_column
    if numbered is None:
        return
    last = writing.scalar(select(func.max(numbered)))
    if last is not None:
        sequence = func.pg_get_serial_sequence(table.name, numbered.name)
        writing.execute(select(func.setval(sequence, last)))
