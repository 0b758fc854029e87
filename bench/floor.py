"""The floor: the least a hand-written loop needs for fetch, parse, hash and store.

    python bench/floor.py --url http://127.0.0.1:8899 --database floor.db

For each page: one GET, exact decoding, one encoding with sorted keys and its SHA-256 for each
record, one transaction. No validation, no versions, nothing to resume from. Run again on the
same file, rows of an equal hash are left alone. The SQLite build is the one penstock takes.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import time
from collections.abc import Callable
from decimal import Decimal
from functools import partial
from http.client import HTTPConnection
from typing import Any
from urllib.parse import urlencode, urlsplit

import msgspec

try:
    from pysqlite3 import dbapi2 as sqlite
except ImportError:
    import sqlite3 as sqlite

TABLE = """
CREATE TABLE IF NOT EXISTS invoices (
    id TEXT PRIMARY KEY, updated_at TEXT NOT NULL, hash BLOB NOT NULL, body BLOB NOT NULL
)"""

UPSERT = """
INSERT INTO invoices VALUES (?, ?, ?, ?) ON CONFLICT (id) DO UPDATE
SET updated_at = excluded.updated_at, hash = excluded.hash, body = excluded.body
WHERE hash <> excluded.hash"""

decode = msgspec.json.Decoder(float_hook=Decimal).decode
encode = msgspec.json.Encoder(order="deterministic", decimal_format="string").encode


Row = tuple[str, str, bytes, bytes]


def rows(page: dict[str, Any]) -> list[Row]:
    made = []
    for record in page["data"]:
        body = encode(record)
        made.append((record["id"], record["updated_at"], hashlib.sha256(body).digest(), body))
    return made


def open_database(path: str) -> Any:
    database = sqlite.connect(path, isolation_level=None)
    database.execute("PRAGMA journal_mode=WAL")
    database.execute("PRAGMA synchronous=FULL")
    database.execute(TABLE)
    return database


def write(database: Any, page: list[Row]) -> None:
    database.execute("BEGIN IMMEDIATE")
    database.executemany(UPSERT, page)
    database.execute("COMMIT")


def ingest(url: str, write: Callable[[list[Row]], None]) -> dict[str, float]:
    """Read all pages and write each. Result: seconds of each phase."""
    phases = {"fetch": 0.0, "parse": 0.0, "write": 0.0}
    provider = HTTPConnection(urlsplit(url).netloc)
    query: dict[str, Any] | None = {"limit": 1_000}
    while query:
        started = time.perf_counter()
        provider.request("GET", "/invoices?" + urlencode(query))
        body = provider.getresponse().read()
        fetched = time.perf_counter()
        page = decode(body)
        made = rows(page)
        parsed = time.perf_counter()
        write(made)
        phases["fetch"] += fetched - started
        phases["parse"] += parsed - fetched
        phases["write"] += time.perf_counter() - parsed
        query = {"limit": 1_000, "cursor": page["next_cursor"]} if page["next_cursor"] else None
    return phases


def main() -> None:
    parser = argparse.ArgumentParser(description="The hand-written lower bound.")
    parser.add_argument("--url", required=True, help="of the provider")
    parser.add_argument("--database", required=True, help="path of the SQLite file")
    args = parser.parse_args()

    started = time.perf_counter()
    database = open_database(args.database)
    phases = ingest(args.url, partial(write, database))
    records = database.execute("SELECT count(*) FROM invoices").fetchone()[0]
    database.close()  # and with it the last checkpoint
    work = time.perf_counter() - started
    rounded = {name: round(seconds, 3) for name, seconds in phases.items()}
    print(json.dumps({"records": records, "work_seconds": round(work, 3), "phases": rounded}))


if __name__ == "__main__":
    main()
