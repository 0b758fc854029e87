"""dlt: rest_api source to SQLite or PostgreSQL, merge on the invoice's id.

    python bench/peer_dlt.py --url http://127.0.0.1:8899 --directory dlt [--best] [--postgres URL]

Runs in the environment of requirements/bench.txt. Run again in the same directory, dlt keeps
its state and its tables. Without --best everything is dlt's default but for telemetry, which
is off. --best is what proved fastest for this data there; README.md says what was tried.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from pathlib import Path
from typing import Any

os.environ["RUNTIME__DLTHUB_TELEMETRY"] = "false"
if "--best" in sys.argv:  # dlt reads its settings while it is imported
    os.environ["DATA_WRITER__DISABLE_COMPRESSION"] = "true"
    if "--postgres" not in sys.argv:
        os.environ["LOAD__WORKERS"] = "1"

import dlt
from dlt.sources.rest_api import rest_api_source


def invoices(url: str, best: bool, postgres: bool) -> Any:
    resource: dict[str, Any] = {
        "name": "invoices",
        "primary_key": "id",
        "write_disposition": "merge",
        "endpoint": {"path": "invoices", "params": {"limit": 1_000}, "data_selector": "data"},
    }
    if best:
        resource["max_table_nesting"] = 0  # the lines stay one JSON column
    if best and postgres:
        resource["write_disposition"] = {"disposition": "merge", "strategy": "upsert"}
    pages = {"type": "cursor", "cursor_path": "next_cursor", "cursor_param": "cursor"}
    config: Any = {"client": {"base_url": url, "paginator": pages}, "resources": [resource]}
    return rest_api_source(config)


def pipeline(directory: Path, best: bool, postgres: str | None) -> Any:
    url = f"sqlite:///{directory / 'dlt.db'}"
    return dlt.pipeline(
        "bench",
        destination=dlt.destinations.postgres(postgres)
        if postgres
        else dlt.destinations.sqlalchemy(url, create_primary_keys=best),
        dataset_name="bench",
        pipelines_dir=str(directory / "pipelines"),
    )


def main() -> None:
    parser = argparse.ArgumentParser(description="dlt, rest_api source to a database.")
    parser.add_argument("--url", required=True, help="of the provider")
    parser.add_argument("--directory", type=Path, required=True)
    parser.add_argument("--best", action="store_true")
    parser.add_argument("--postgres", metavar="URL", help="into this database, not into SQLite")
    args = parser.parse_args()

    directory = args.directory.resolve()
    directory.mkdir(parents=True, exist_ok=True)
    flow = pipeline(directory, args.best, args.postgres)
    started = time.perf_counter()
    copied = "csv" if args.best and args.postgres else None
    flow.extract(invoices(args.url, args.best, bool(args.postgres)), loader_file_format=copied)
    extracted = time.perf_counter()
    flow.normalize()
    normalized = time.perf_counter()
    flow.load()
    loaded = time.perf_counter()

    with flow.sql_client() as client:
        table = client.make_qualified_table_name("invoices")
        records = client.execute_sql(f"SELECT count(*) FROM {table}")[0][0]
    phases = {
        "extract": round(extracted - started, 3),
        "normalize": round(normalized - extracted, 3),
        "load": round(loaded - normalized, 3),
    }
    work = round(loaded - started, 3)
    print(json.dumps({"records": records, "work_seconds": work, "phases": phases}))


if __name__ == "__main__":
    main()
