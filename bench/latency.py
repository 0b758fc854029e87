"""Two streams of a slow API: one worker process after the other's work, or two at once.

Every answer takes 100 ms, as over a long line. Nothing of that is anybody's work, so a second
process, on a second stream, should nearly double the rate: what they share is the database.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from figures import Slow
from ingests import TIMEOUT_S, provider, say
from latency_connector import PAGE_RECORDS, STREAMS
from peers import HERE, penstock_program
from process import BenchError, run

LATENCY_MS = 100


def compared(pages: int, databases: Sequence[str], work: Path) -> list[Slow]:
    """One process, then two, each on an empty database of those. pages: of each stream."""
    with provider(pages * PAGE_RECORDS, LATENCY_MS) as url:
        return [
            measured(processes, pages, database, url, work)
            for processes, database in zip((1, 2), databases, strict=True)
        ]


def measured(processes: int, pages: int, database: str, url: str, work: Path) -> Slow:
    load = round(os.getloadavg()[0], 2)
    say(f"penstock: {processes} processes, two streams of {pages} pages, {LATENCY_MS} ms latency")
    program = (penstock_program(), "--database", database)
    connect = (*program, "connect", str(HERE / "latency_connector.py"), "--name", "slow")
    connect += ("--set", f"base_url={url}", "--allow-loopback")
    log, total = work.parent / "bench.log", len(STREAMS) * pages * PAGE_RECORDS
    shares = [STREAMS[worker::processes] for worker in range(processes)]

    def ingest(streams: Sequence[str]) -> int:
        command = (*program, "run", "slow", *streams, "--json")
        reports = json.loads(run(command, directory=work, log=log, timeout_s=TIMEOUT_S).stdout)
        return sum(report["fetched"] for report in reports)

    try:
        run(connect, directory=work, log=log, timeout_s=60)
        started = time.perf_counter()
        with ThreadPoolExecutor(processes) as pool:
            read = sum(pool.map(ingest, shares))
        seconds = round(time.perf_counter() - started, 3)
        if read != total:
            raise BenchError(f"{read} records instead of {total}")
    except BenchError as error:
        say(f"penstock: {error}")
        return Slow(processes, total, load, error=str(error))
    return Slow(processes, total, load, seconds, round(total / seconds))
