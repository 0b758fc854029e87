"""Fills a database with documents, as many as wanted, by cloning one that penstock stored there.

    python bench/loader.py --database postgresql://… --documents 10000000

Rows go straight into their tables (COPY on PostgreSQL, executemany on SQLite), each valid: an id of
its own, the content with its own name, the hash of that, a head, a version and its place in the
feed. They belong to a connection `loaded`, and stand in no run's counts.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, LargeBinary, Table, func, select, text
from sqlalchemy.types import Integer

from penstock.app.wiring import open_store
from penstock.model.identity import document_namer
from penstock.store.tables import document_versions, documents, feed

BATCH = 25_000
"""Documents of one transaction."""

Row = dict[str, Any]
OWNER = "loaded"


@dataclass(frozen=True, slots=True)
class Pattern:
    """A document that penstock made, as rows of its two tables; clones differ in their name."""

    head: Row
    version: Row

    @classmethod
    def of(cls, connection: Connection) -> Pattern:
        head = connection.execute(select(documents).limit(1)).mappings().one_or_none()
        if head is None:
            raise SystemExit("the database holds no document to clone: run penstock on it first")
        numbered = select(document_versions).where(
            document_versions.c.version_no == head["version_no"]
        )
        return cls(dict(head), dict(connection.execute(numbered).mappings().one()))

    def clones(self, first: int, count: int, number: int) -> Iterator[tuple[Row, Row]]:
        """number: of the first clone's version."""
        name = self.head["source_id"]
        namer = document_namer(self.head["workspace"], OWNER, self.head["document_type"])
        around = self.version["content"].split(name.encode())
        for n in range(count):
            own = f"copy_{first + n:010d}"
            key = self.head["idempotency_key"].replace(name, own)
            content = own.encode().join(around)
            same = {
                "document_id": namer(key),
                "version_no": number + n,
                "payload_hash": hashlib.sha256(content).digest(),
            }
            head = {"connection": OWNER, "idempotency_key": key, "source_id": own, "number": own}
            version = {"content": content, "page_no": None, "page_index": None}
            yield self.head | same | head, self.version | same | version


def load(url: str, wanted: int, say: Callable[[str], None] = print) -> int:
    """Until so many documents are there; how many were made."""
    with open_store(url) as store:
        store.feed.head()  # places what waits, so that the feed's numbers end where they seem to
        with store._engines.reader.connect() as reading:  # type: ignore[attr-defined]
            pattern = Pattern.of(reading)
            there = reading.scalar(select(func.count()).select_from(documents)) or 0
            number = reading.scalar(select(func.max(document_versions.c.version_no))) or 0
            seq = reading.scalar(select(func.max(feed.c.seq))) or 0
        made = 0
        while there + made < wanted:
            count = min(BATCH, wanted - there - made)
            clones = list(pattern.clones(there + made, count, number + made + 1))
            items = [
                {"seq": seq + made + n + 1, "kind": "version", "ref": number + made + n + 1}
                for n in range(count)
            ]
            with store._engines.writer.begin() as writing:  # type: ignore[attr-defined]
                heads = sorted((head for head, _ in clones), key=lambda row: row["document_id"])
                _put(writing, documents, heads)
                _put(writing, document_versions, [version for _, version in clones])
                _put(writing, feed, items)
            made += count
            if made % (20 * BATCH) == 0:
                say(f"{there + made} documents")
        with store._engines.writer.begin() as writing:  # type: ignore[attr-defined]
            _settle(writing)
    return made


def _put(connection: Connection, table: Table, rows: Sequence[Row]) -> None:
    names = list(rows[0])
    values = [tuple(row.values()) for row in rows]
    driver: Any = connection.connection.driver_connection
    if connection.dialect.name == "postgresql":
        columns = ", ".join(names)
        copying = f"COPY {table.name} ({columns}) FROM STDIN (FORMAT BINARY)"
        with driver.cursor() as cursor, cursor.copy(copying) as copy:
            copy.set_types([_type(table, name) for name in names])
            for row in values:
                copy.write_row(row)
        return
    places = ", ".join("?" * len(names))
    driver.executemany(f"INSERT INTO {table.name} ({', '.join(names)}) VALUES ({places})", values)


def _type(table: Table, name: str) -> str:
    kind = table.c[name].type
    if isinstance(kind, LargeBinary):
        return "bytea"
    return "int8" if isinstance(kind, Integer) else "text"


def _settle(connection: Connection) -> None:
    """The next version's number follows; the planner knows how large the tables are."""
    if connection.dialect.name == "postgresql":
        connection.execute(
            text(
                "SELECT setval(pg_get_serial_sequence('document_versions', 'version_no'), "
                "(SELECT max(version_no) FROM document_versions))"
            )
        )
    connection.execute(text("ANALYZE"))


def main() -> None:
    parser = argparse.ArgumentParser(description="Fill a database with valid documents.")
    parser.add_argument("--database", required=True, help="URL; penstock has run on it")
    parser.add_argument("--documents", type=int, default=10_000_000)
    args = parser.parse_args()
    started = time.perf_counter()
    made = load(args.database, args.documents)
    print(json.dumps({"made": made, "seconds": round(time.perf_counter() - started, 1)}))


if __name__ == "__main__":
    main()
