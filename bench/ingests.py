"""Ingests: each peer against the same provider, first, again, and with a few records changed."""

from __future__ import annotations

import os
import select
import sqlite3
import subprocess
import sys
import tempfile
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path

from figures import SIDE_BY_SIDE, Run
from peers import HERE, Peer, Report
from process import BenchError, Ended, run

CHANGED_EVERY = 100
"""One record of so many is another before the third ingest."""

TIMEOUT_S = 1_800.0
"""For one command; the slowest known needs a tenth of it."""


def series(peers: Sequence[Peer], records: int, url: str, work: Path) -> list[Run]:
    """All ingests of all peers, one after another.

    dlt has no third, and on SQLite beyond SIDE_BY_SIDE records no second: its merge would take too
    long there.
    """
    runs: list[Run] = []
    failed: set[str] = set()

    def ingest_all(name: str, chosen: Sequence[Peer]) -> None:
        for peer in chosen:
            made = (
                skipped(peer, name, records)
                if peer.name in failed
                else ingest(peer, name, records, work)
            )
            runs.append(made)
            if made.error:
                failed.add(peer.name)

    steady = [peer for peer in peers if not peer.name.startswith("dlt")]
    ingest_all("first", peers)
    quick = [peer for peer in peers if peer in steady or peer.name.startswith("dlt_pg")]
    ingest_all("unchanged", peers if records <= SIDE_BY_SIDE else quick)
    if steady:
        change(url)
        ingest_all("changed", steady)
    return runs


def skipped(peer: Peer, name: str, records: int) -> Run:
    load = round(os.getloadavg()[0], 2)
    return Run(peer.name, records, name, load, error="not run: an ingest before it failed")


def ingest(peer: Peer, name: str, records: int, work: Path) -> Run:
    """One ingest, measured and checked; what goes wrong stands in the run's `error`."""
    directory, log = work / peer.name, work.parent / "bench.log"
    directory.mkdir(exist_ok=True)
    load = round(os.getloadavg()[0], 2)
    say(f"{peer.name}: {name} ingest of {records} records")
    try:
        if name == "first":
            for command in peer.prepare:
                run(command, directory=directory, log=log, timeout_s=TIMEOUT_S)
        command = peer.first if name == "first" else peer.again
        ended = run(command, directory=directory, log=log, timeout_s=TIMEOUT_S)
        report = peer.read(ended.stdout)
        check(report, name, records)
    except BenchError as error:
        say(f"{peer.name}: {error}")
        return Run(peer.name, records, name, load, error=str(error))
    return measured(peer.name, name, records, load, ended, report)


def check(report: Report, name: str, records: int) -> None:
    """A run counts only if it did the work. Raises BenchError."""
    changed = records // CHANGED_EVERY
    expected = {
        "first": {"created": records, "updated": 0, "unchanged": 0},
        "unchanged": {"created": 0, "updated": 0, "unchanged": records},
        "changed": {"created": 0, "updated": changed, "unchanged": records - changed},
    }[name]
    if report.records != records:
        raise BenchError(f"{report.records} records instead of {records}")
    if report.outcomes not in (None, expected):
        raise BenchError(f"outcomes {report.outcomes} instead of {expected}")


def measured(peer: str, name: str, records: int, load: float, ended: Ended, report: Report) -> Run:
    return Run(
        peer=peer,
        records=records,
        ingest=name,
        load_before=load,
        seconds=ended.seconds,
        work_seconds=report.work_seconds,
        records_per_s=round(records / ended.seconds),
        peak_rss_mb=ended.peak_rss_mb,
        phases=report.phases or None,
        outcomes=report.outcomes,
    )


def sustained(database: Path, records: int) -> float | None:
    """Rate over the last tenth of the versions, over the rate of the first tenth.

    Read off the times at which pages were recorded. None when there are not so many versions.
    """
    tenth = records // 10
    last = "SELECT recorded_at FROM document_versions ORDER BY version_no LIMIT 1 OFFSET ?"
    with closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True)) as connection:
        rows = [
            connection.execute(last, (n,)).fetchone()
            for n in (0, tenth, records - 1 - tenth, records - 1)
        ]
    if None in rows:
        return None
    (start,), (after_first,), (before_last,), (end,) = rows
    return round(float(after_first - start) / float(end - before_last), 3)


@contextmanager
def provider(records: int, latency_ms: int = 0) -> Iterator[str]:
    """The provider in a process of its own, which ends with its standard input. Gives its URL."""
    say(f"rendering {records} records")
    command = (sys.executable, str(HERE / "provider.py"), "--records", str(records))
    command += ("--latency-ms", str(latency_ms))
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdin
        assert process.stdout
        try:
            ready, _, _ = select.select([process.stdout], [], [], 60 + records / 2_000)
            url = process.stdout.readline().decode().strip() if ready else ""
            if not url:
                raise BenchError("the provider did not start")
            yield url
        finally:
            process.stdin.close()
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()


def change(url: str) -> None:
    request = urllib.request.Request(f"{url}/change?every={CHANGED_EVERY}", method="POST")
    urllib.request.urlopen(request, timeout=60).close()


@contextmanager
def workspace(parent: Path) -> Iterator[Path]:
    """A directory for what the peers store; gone afterwards."""
    with tempfile.TemporaryDirectory(dir=parent, prefix="run-") as directory:
        yield Path(directory)


def say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)
