"""Measure penstock beside a hand-written floor and dlt; one JSON document on standard output.

    python bench/run.py [--records 100000] [--quick] [--only NAME …] [--million] [--out FILE]

README.md says what each number means. What is made along the way stands under bench-work/; only
the log and dlt's environment stay there.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import signal
import sqlite3
import statistics
import sys
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import faults
import figures
import pace
import peers
import rederive
from faults import Stood
from figures import SIDE_BY_SIDE, Figure, Paced, Run
from ingests import ingest, provider, say, series, sustained, workspace
from peers import HERE, Peer
from process import BenchError, run
from rederive import Rederived

WORK = HERE.parent / "bench-work"
LOG = WORK / "bench.log"
NAMES = ("floor", "dlt", "dlt_best", "penstock", "startup", "rederive", "pace", "faults")
MILLION = 1_000_000
PAGE = 1_000
STARTS = 5
PACED_PAGES = {"quick": 30, "usual": 200}
"""Requests of each of the four processes."""


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
    parser.add_argument("--only", nargs="+", choices=NAMES, default=NAMES, metavar="NAME")
    parser.add_argument("--million", action="store_true", help="penstock on a million records too")
    parser.add_argument("--out", type=Path, help="write the document to this file too")
    return parser.parse_args()


def document(args: argparse.Namespace) -> dict[str, Any]:
    wanted = tuple(name for name in args.only if not (args.quick and name == "dlt"))
    runs = compared(SIDE_BY_SIDE, wanted)
    if args.records != SIDE_BY_SIDE and not args.quick:
        runs += compared(args.records, wanted)
    found = figures.ratios(runs)
    if args.million:
        of_million, rate = million()
        runs.append(of_million)
        found += figures.million(of_million, rate)
    if "startup" in wanted:
        found += startup()
    records = SIDE_BY_SIDE if args.quick else args.records
    rederived = derived_again(records) if "rederive" in wanted else []
    found += figures.rederive(rederived)
    paced = shared_pace(quick=args.quick) if "pace" in wanted else []
    found += figures.pace(paced)
    stood = all_faults() if "faults" in wanted and not args.quick else []
    found += figures.faults(stood)
    return {
        "measured_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": machine(),
        "figures": [figure.as_json() for figure in found],
        "runs": [run.as_json() for run in runs],
        "rederived": [one.as_json() for one in rederived],
        "paced": [paced.as_json() for paced in paced],
        "faults": [one.as_json() for one in stood],
    }


def compared(records: int, wanted: tuple[str, ...]) -> list[Run]:
    """The wanted peers, measured on the same records."""
    if not set(wanted) - {"startup", "rederive", "pace", "faults"}:
        return []
    with provider(records) as url, workspace(WORK) as directory:
        return series(contestants(wanted, url), records, url, directory)


def contestants(wanted: tuple[str, ...], url: str) -> list[Peer]:
    environment = WORK / "dlt-environment"
    everybody = (
        peers.floor(url),
        peers.dlt(url, environment),
        peers.dlt(url, environment, best=True),
        peers.penstock(url),
    )
    return [peer for peer in everybody if peer.name in wanted]


def million() -> tuple[Run, float | None]:
    """penstock's first ingest of a million, and its rate at the end over that at the start."""
    with provider(MILLION) as url, workspace(WORK) as directory:
        made = ingest(peers.penstock(url), "first", MILLION, directory)
        if made.error:
            return made, None
        return made, sustained(directory / "penstock" / "penstock.db", MILLION)


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
