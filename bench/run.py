"""Measure penstock beside a hand-written floor and dlt; one JSON document on standard output.

    python bench/run.py [--records 100000] [--quick] [--only NAME …] [--million] [--out FILE]

README.md says what each number means. What is made along the way stands under bench-work/; only
the log and dlt's environment stay there.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import platform
import signal
import sqlite3
import statistics
import sys
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import databases
import faults
import figures
import latency
import pace
import peers
import rederive
import stored
from faults import Stood
from figures import SIDE_BY_SIDE, Figure, Paced, Run, Slow
from ingests import ingest, provider, say, series, sustained, workspace
from peers import HERE, Peer
from process import BenchError, run
from rederive import Rederived

WORK = HERE.parent / "bench-work"
LOG = WORK / "bench.log"
ON_POSTGRES = ("floor_pg", "dlt_pg", "dlt_pg_best", "penstock_pg", "latency")
NAMES = (
    *("floor", "dlt", "dlt_best", "penstock", "startup", "rederive", "pace", "faults"),
    *ON_POSTGRES,
)
PEERS = {name for name in NAMES if name.startswith(("floor", "dlt", "penstock"))}
SLOW_DLT = ("dlt", "dlt_pg")
"""At its best it stands for itself when all has to be quick."""

MILLION = 1_000_000
PAGE = 1_000
STARTS = 5
PACED_PAGES = {"quick": 30, "usual": 200}
"""Requests of each of the four processes."""
SLOW_PAGES = {"quick": 40, "usual": 120}
"""Of each of the two streams."""


def main() -> None:
    args = arguments()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that every `finally` runs
    WORK.mkdir(exist_ok=True)
    LOG.unlink(missing_ok=True)
    text = json.dumps(document(args), indent=2)
    print(text)
    if args.out:
        args.out.write_text(text + "\n")


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="penstock beside its peers, as one JSON document.")
    parser.add_argument("--records", type=int, default=100_000, help="of the larger series")
    parser.add_argument(
        "--quick",
        action="store_true",
        help=f"only {SIDE_BY_SIDE} records, dlt at its best, a bit of pace",
    )
    parser.add_argument("--only", nargs="*", choices=NAMES, default=NAMES, metavar="NAME")
    parser.add_argument(
        "--stored",
        type=int,
        metavar="N",
        help="penstock's rate on both backends with N documents stored, beside that with 100000",
    )
    parser.add_argument("--million", action="store_true", help="penstock on a million records too")
    parser.add_argument("--out", type=Path, help="write the document to this file too")
    return parser.parse_args()


def document(args: argparse.Namespace) -> dict[str, Any]:
    wanted = tuple(name for name in args.only if not (args.quick and name in SLOW_DLT))
    if set(wanted) & set(ON_POSTGRES) and not databases.answers():
        say(f"no PostgreSQL answers, nothing is measured there: name one in {databases.NAMED}")
        wanted = tuple(name for name in wanted if name not in ON_POSTGRES)
    runs = compared(SIDE_BY_SIDE, wanted)
    if args.records != SIDE_BY_SIDE and not args.quick:
        runs += compared(args.records, wanted)
    found = figures.ratios(runs)
    if args.million:
        of_million, rate = million()
        runs.append(of_million)
        found += figures.million(of_million, rate)
    if args.stored:
        for name in ("sqlite", "postgresql"):
            of_many = filled(name, args.stored)
            runs += of_many
            found += figures.stored(of_many)
    if "startup" in wanted:
        found += startup()
    records = SIDE_BY_SIDE if args.quick else args.records
    rederived = derived_again(records) if "rederive" in wanted else []
    found += figures.rederive(rederived)
    paced = shared_pace(quick=args.quick) if "pace" in wanted else []
    found += figures.pace(paced)
    slow = two_streams(quick=args.quick) if "latency" in wanted else []
    found += figures.latency(slow)
    stood = all_faults() if "faults" in wanted and not args.quick else []
    found += figures.faults(stood)
    return {
        "measured_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": machine(),
        "figures": [figure.as_json() for figure in found],
        "runs": [run.as_json() for run in runs],
        "rederived": [one.as_json() for one in rederived],
        "paced": [paced.as_json() for paced in paced],
        "latency": [one.as_json() for one in slow],
        "faults": [one.as_json() for one in stood],
    }


def compared(records: int, wanted: tuple[str, ...]) -> list[Run]:
    """The wanted peers, measured on the same records."""
    names = [name for name in wanted if name in PEERS]
    if not names:
        return []
    with (
        provider(records) as url,
        workspace(WORK) as directory,
        own_databases([name for name in names if name in ON_POSTGRES]) as made,
    ):
        return series(contestants(names, url, made), records, url, directory)


def contestants(names: Sequence[str], url: str, made: Mapping[str, str]) -> list[Peer]:
    """made: the database of each peer on PostgreSQL."""
    environment = WORK / "dlt-environment"
    everybody = {
        "floor": lambda: peers.floor(url),
        "dlt": lambda: peers.dlt(url, environment),
        "dlt_best": lambda: peers.dlt(url, environment, best=True),
        "penstock": lambda: peers.penstock(url),
        "floor_pg": lambda: peers.floor_postgres(url, made["floor_pg"]),
        "dlt_pg": lambda: peers.dlt(url, environment, database=made["dlt_pg"]),
        "dlt_pg_best": lambda: peers.dlt(url, environment, best=True, database=made["dlt_pg_best"]),
        "penstock_pg": lambda: peers.penstock(url, made["penstock_pg"]),
    }
    return [make() for name, make in everybody.items() if name in names]


@contextlib.contextmanager
def own_databases(names: Sequence[str]) -> Iterator[Mapping[str, str]]:
    """None are made, and no server is asked, where none are wanted."""
    if not names:
        yield {}
        return
    with databases.databases(names) as made:
        yield made


def million() -> tuple[Run, float | None]:
    """penstock's first ingest of a million, and its rate at the end over that at the start."""
    with provider(MILLION) as url, workspace(WORK) as directory:
        made = ingest(peers.penstock(url), "first", MILLION, directory)
        if made.error:
            return made, None
        return made, sustained(directory / "penstock" / "penstock.db", MILLION)


def filled(name: str, documents: int) -> list[Run]:
    """penstock on a database with few documents, and with so many; none where no server answers."""
    with workspace(WORK) as directory:
        if name == "sqlite":
            return stored.compared(name, f"sqlite:///{directory}/full.db", documents, directory)
        if not databases.answers():
            return []
        with databases.databases(["full"]) as made:
            return stored.compared(name, made["full"], documents, directory)


def startup() -> list[Figure]:
    """The median time of `penstock --help`, and of a run that fetches one page again."""
    with provider(PAGE) as url, workspace(WORK) as directory:
        peer = peers.penstock(url)
        help_command = (peers.penstock_program(), "--help")
        helps = pages = None
        try:
            helps = median_seconds(help_command, directory)
            for command in peer.prepare:
                run(command, directory=directory, log=LOG, timeout_s=60)
            pages = median_seconds(peer.again, directory)
        except BenchError as error:
            say(f"start-up: {error}")
    return figures.startup(helps, pages)


def derived_again(records: int) -> list[Rederived]:
    """penstock alone: all records through another mapping."""
    with provider(records) as url, workspace(WORK) as directory:
        return rederive.by_one_and_two(records, url, directory)


def shared_pace(*, quick: bool) -> list[Paced]:
    """Four processes of each peer at the same API; when quick only where it is harder."""
    pages = PACED_PAGES["quick" if quick else "usual"]
    with workspace(WORK) as directory:
        return [
            pace.at_once(peer, pages, directory, retry_after=retry_after)
            for retry_after in ((False,) if quick else (True, False))
            for peer in (pace.penstock(), pace.four_dlt(WORK / "dlt-environment"))
        ]


def two_streams(*, quick: bool) -> list[Slow]:
    """Two streams of a slow API by one process, and by two."""
    pages = SLOW_PAGES["quick" if quick else "usual"]
    with workspace(WORK) as directory, own_databases(["one", "two"]) as made:
        return latency.compared(pages, list(made.values()), directory)


def all_faults() -> list[Stood]:
    """Each peer put through every fault of a provider."""
    with workspace(WORK) as directory:
        everybody = (faults.penstock(), faults.one_dlt(WORK / "dlt-environment"))
        return [one for peer in everybody for one in faults.through_all(peer, directory)]


def median_seconds(command: peers.Command, directory: Path) -> float:
    """Over STARTS starts, the first one, which fills the caches, left out."""
    ends = [run(command, directory=directory, log=LOG, timeout_s=60) for _ in range(STARTS + 1)]
    return statistics.median(ended.seconds for ended in ends[1:])


def machine() -> dict[str, Any]:
    return {
        "cores": os.cpu_count(),
        "load": round(os.getloadavg()[0], 2),
        "system": f"{platform.system()} {platform.release()} {platform.machine()}",
        "python": platform.python_version(),
        "sqlite": sqlite_version(),
        "postgresql": databases.server_version(),
        "penstock": version("penstock"),
        "dlt": peers.locked_version("dlt"),
    }


def sqlite_version() -> str:
    """Of the build that penstock and the floor use; dlt uses the standard library's."""
    try:
        from pysqlite3 import dbapi2
    except ImportError:
        return sqlite3.sqlite_version
    return f"{dbapi2.sqlite_version} (standard library: {sqlite3.sqlite_version})"


if __name__ == "__main__":
    main()
