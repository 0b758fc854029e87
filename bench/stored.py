"""The rate of an ingest into a database that holds a hundred thousand documents, and many more.

Both are ingests of the same new invoices, by connections of their own; then all of them again,
unchanged. What is stored before is made by loader.py.
"""

from __future__ import annotations

import os
from pathlib import Path

import loader
from figures import Run
from ingests import TIMEOUT_S, check, measured, provider, say
from peers import HERE, Command, penstock_program, run_reports
from process import BenchError, run

FEW = 100_000
INGESTED = 20_000


def compared(name: str, database: str, many: int, work: Path) -> list[Run]:
    """name: what the backend is called in the runs, which come in pairs for FEW and for `many`."""
    directory = work / f"stored-{name}"
    directory.mkdir()
    with provider(INGESTED) as url:
        program = (penstock_program(), "--database", database)

        def ran(*command: str) -> None:
            run((*program, *command), directory=directory, log=_log(work), timeout_s=TIMEOUT_S)

        try:
            for connection in ("pattern", "few", "many"):
                settings = ("--set", f"base_url={url}", "--secret", "api_key=x")
                connector = str(HERE / "connector.py")
                named = ("--name", connection, "--allow-loopback")
                ran("connect", connector, *named, *settings)
            ran("run", "pattern")
        except BenchError as error:
            say(f"{name}: {error}")
            return []
        runs = []
        for connection, stored in (("few", FEW), ("many", many)):
            say(f"{name}: loading {stored} documents")
            loader.load(database, stored, say)
            ingest = (*program, "run", connection, "--json")
            for what, command in (("first", ingest), ("unchanged", (*ingest, "--full"))):
                say(f"{name}: {what} ingest of {INGESTED} records into {stored}")
                runs.append(_ingest(f"{name}, {stored} stored", what, command, directory))
    return runs


def _ingest(name: str, what: str, command: Command, directory: Path) -> Run:
    load = round(os.getloadavg()[0], 2)
    try:
        ended = run(command, directory=directory, log=_log(directory.parent), timeout_s=TIMEOUT_S)
        report = run_reports(ended.stdout)
        check(report, what, INGESTED)
    except BenchError as error:
        say(f"{name}: {error}")
        return Run(name, INGESTED, what, load, error=str(error))
    return measured(name, what, INGESTED, load, ended, report)


def _log(work: Path) -> Path:
    return work.parent / "bench.log"
