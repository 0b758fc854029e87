"""dlt against the provider of faults.py: all its defaults but telemetry.

python bench/faulty_dlt.py --url http://127.0.0.1:8899

Writes what is stored afterwards to stored.json, whether the run went well or not.
"""

from __future__ import annotations

import argparse
import json
import os
from pathlib import Path

os.environ["RUNTIME__DLTHUB_TELEMETRY"] = "false"

import dlt
from dlt.sources.rest_api import rest_api_source


def main() -> None:
    parser = argparse.ArgumentParser(description="dlt, payments of a provider with faults.")
    parser.add_argument("--url", required=True)
    url = parser.parse_args().url

    directory = Path("dlt").resolve()
    directory.mkdir(exist_ok=True)
    pages = {"type": "cursor", "cursor_path": "next_cursor", "cursor_param": "cursor"}
    source = rest_api_source(
        {
            "client": {"base_url": url, "paginator": pages},
            "resources": [
                {
                    "name": "payments",
                    "primary_key": "id",
                    "write_disposition": "merge",
                    "endpoint": {"path": "payments", "data_selector": "data"},
                }
            ],
        }
    )
    flow = dlt.pipeline(
        "faulty",
        destination=dlt.destinations.sqlalchemy(f"sqlite:///{directory / 'dlt.db'}"),
        dataset_name="faulty",
        pipelines_dir=str(directory / "pipelines"),
    )
    try:
        flow.run(source)
    finally:
        keep(flow)


def keep(flow: dlt.Pipeline) -> None:
    """Ids with their amounts, as they stand in the table."""
    try:
        with flow.sql_client() as client:
            table = client.make_qualified_table_name("payments")
            rows = client.execute_sql(f"SELECT id, amount FROM {table}")
    except Exception:
        rows = []
    stored = {row[0]: f"{row[1]:.2f}" if isinstance(row[1], float) else str(row[1]) for row in rows}
    Path("stored.json").write_text(json.dumps(stored))


if __name__ == "__main__":
    main()
