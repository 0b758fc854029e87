"""Re-derivation: all stored records through another mapping, by one process and by two.

One ingest, then the connector is edited, then `penstock rederive --dry-run` looks what differs: one
field of every record. What is measured is the whole command, start and report included.
"""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from ingests import TIMEOUT_S, say
from peers import HERE, Command, penstock_program
from process import BenchError, run

MAPPED, MENDED = 'record["note"]', '"mended: " + record["note"]'
PROCESSES = (1, 2)


@dataclass(frozen=True, slots=True)
class Rederived:
    """One look by so many processes. error: why it does not count; the measures are None then.

    work_seconds: as penstock timed it, from the first record to the last.
    """

    processes: int
    records: int
    load_before: float
    seconds: float | None = None
    work_seconds: float | None = None
    peak_rss_mb: float | None = None
    error: str | None = None

    def as_json(self) -> dict[str, Any]:
        return {name: value for name, value in asdict(self).items() if value is not None}


def by_one_and_two(records: int, url: str, directory: Path) -> list[Rederived]:
    """The ingest, which is not measured, and a look by each number of processes."""
    connector = directory / "connector.py"
    source = (HERE / "connector.py").read_text()
    connector.write_text(source)
    log = directory.parent / "bench.log"
    program = (penstock_program(), "--database", "sqlite:///penstock.db")
    connect: Command = (
        *(*program, "connect", str(connector), "--name", "bench", "--set", f"base_url={url}"),
        *("--secret", "api_key=x", "--allow-loopback"),
    )
    try:
        for command in (connect, (*program, "run", "bench", "--json")):
            run(command, directory=directory, log=log, timeout_s=TIMEOUT_S)
    except BenchError as error:
        return [Rederived(n, records, _load(), error=str(error)) for n in PROCESSES]
    connector.write_text(source.replace(MAPPED, MENDED))
    look: Command = (*program, "rederive", "bench", "invoices", "--dry-run", "--json")
    return [by(n, records, (*look, "--processes", str(n)), directory, log) for n in PROCESSES]


def by(processes: int, records: int, look: Command, directory: Path, log: Path) -> Rederived:
    """One look; it counts only if it saw every record differ."""
    load = _load()
    say(f"penstock: {records} records derived again by {processes}")
    try:
        ended = run(look, directory=directory, log=log, timeout_s=TIMEOUT_S)
        report = json.loads(ended.stdout)
        found = (report["documents"]["updated"], [field["path"] for field in report["fields"]])
        if found != (records, ["/memo"]):
            raise BenchError(f"{found} differ instead of the memo of all {records}")
    except (BenchError, ValueError, KeyError) as error:
        say(f"penstock: {error}")
        return Rederived(processes, records, load, error=str(error))
    return Rederived(processes, records, load, ended.seconds, report["seconds"], ended.peak_rss_mb)


def _load() -> float:
    return round(os.getloadavg()[0], 2)
