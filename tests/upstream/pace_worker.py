"""One of several processes that ask one API at the pace of one shared database.

    python -m tests.upstream.pace_worker URL DATABASE READER [unpaced]

Reads all pages of its reader and prints how many records they held.
"""

from __future__ import annotations

import sys

from penstock.app import open_store
from penstock.clock import SystemClock
from penstock.upstream.client import Client
from penstock.upstream.guard import Egress
from penstock.upstream.pace import Rate
from penstock.upstream.pacing import UNPACED, Pacer, Sharers
from penstock.upstream.request import Request


def main(url: str, database: str, reader: str, how: str = "paced") -> None:
    clock = SystemClock()
    sharers = Sharers("default", "acme-main", "acme")
    with open_store(database) as store:
        shared = Pacer(store.pace, sharers, clock=clock, rates=[Rate(20)])
        pacer = shared if how == "paced" else UNPACED
        egress = Egress.of([f"{url}/*"], allow_loopback=True)
        with Client(url, egress=egress, clock=clock, pacer=pacer) as client:
            print(read(client, reader))


def read(client: Client, reader: str) -> int:
    records, cursor = 0, "0"
    while cursor is not None:
        asked = Request("GET", f"/customers/{reader}", params=(("cursor", cursor),))
        page = client.send(asked).json()
        records += len(page["data"])
        cursor = page["next_cursor"]
    return records


if __name__ == "__main__":
    main(*sys.argv[1:])
