"""dlt against the API of throttled.py: one reader, all of dlt's defaults but telemetry.

python bench/throttled_dlt.py --url http://127.0.0.1:8899 --reader one --directory dlt
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
    parser = argparse.ArgumentParser(description="dlt, one of four readers of one API.")
    parser.add_argument("--url", required=True)
    parser.add_argument("--reader", required=True)
    parser.add_argument("--directory", type=Path, required=True)
    args = parser.parse_args()

    directory = (args.directory / args.reader).resolve()
    directory.mkdir(parents=True, exist_ok=True)
    pages = {"type": "cursor", "cursor_path": "next_cursor", "cursor_param": "cursor"}
    endpoint = {"path": f"customers/{args.reader}", "data_selector": "data"}
    source = rest_api_source(
        {
            "client": {"base_url": args.url, "paginator": pages},
            "resources": [{"name": "customers", "primary_key": "id", "endpoint": endpoint}],
        }
    )
    flow = dlt.pipeline(
        f"throttled_{args.reader}",
        destination=dlt.destinations.sqlalchemy(f"sqlite:///{directory / 'dlt.db'}"),
        dataset_name="throttled",
        pipelines_dir=str(directory / "pipelines"),
    )
    flow.run(source)
    with flow.sql_client() as client:
        table = client.make_qualified_table_name("customers")
        print(json.dumps({"records": client.execute_sql(f"SELECT count(*) FROM {table}")[0][0]}))


if __name__ == "__main__":
    main()
