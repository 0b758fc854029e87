"""The floor on PostgreSQL: what floor.py does, with binary COPY and one merge for each page.

    python bench/floor_postgres.py --url http://127.0.0.1:8899 --database postgresql://…

The same exact decoding, sorted encoding and SHA-256; the page is copied into a temporary table and
merged with one statement, which leaves rows of an equal hash alone.
"""

from __future__ import annotations

import argparse
import json
import time
from typing import Any

import psycopg
from floor import Row, ingest

TABLE = """
CREATE TABLE IF NOT EXISTS invoices (
    id text PRIMARY KEY, updated_at text NOT NULL, hash bytea NOT NULL, body bytea NOT NULL
)"""

STAGED = "CREATE TEMPORARY TABLE staged (LIKE invoices) ON COMMIT DELETE ROWS"

COPY = "COPY staged (id, updated_at, hash, body) FROM STDIN (FORMAT BINARY)"

MERGE = """
INSERT INTO invoices SELECT * FROM staged ON CONFLICT (id) DO UPDATE
SET updated_at = excluded.updated_at, hash = excluded.hash, body = excluded.body
WHERE invoices.hash <> excluded.hash"""


class Database:
    """Writes a page in one transaction."""

    def __init__(self, url: str) -> None:
        self.connection = psycopg.connect(url)
        self.connection.execute("SET synchronous_commit = on")
        self.connection.execute(TABLE)
        self.connection.execute(STAGED)
        self.connection.commit()

    def write(self, page: list[Row]) -> None:
        with self.connection.cursor() as cursor:
            with cursor.copy(COPY) as copy:
                copy.set_types(["text", "text", "bytea", "bytea"])
                for row in page:
                    copy.write_row(row)
            cursor.execute(MERGE)
        self.connection.commit()

    def records(self) -> int:
        row: Any = self.connection.execute("SELECT count(*) FROM invoices").fetchone()
        return int(row[0])

    def close(self) -> None:
        self.connection.close()


def main() -> None:
    parser = argparse.ArgumentParser(description="The hand-written lower bound on PostgreSQL.")
    parser.add_argument("--url", required=True, help="of the provider")
    parser.add_argument("--database", required=True, help="URL of the database")
    args = parser.parse_args()

    started = time.perf_counter()
    database = Database(args.database)
    phases = ingest(args.url, database.write)
    records = database.records()
    database.close()
    work = time.perf_counter() - started
    rounded = {name: round(seconds, 3) for name, seconds in phases.items()}
    print(json.dumps({"records": records, "work_seconds": round(work, 3), "phases": rounded}))


if __name__ == "__main__":
    main()
