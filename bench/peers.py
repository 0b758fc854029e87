"""Who is measured, by which commands, and how each says what it did.

A peer keeps what it stored in a directory of its own, so that it can run again on it.
"""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from process import BenchError

HERE = Path(__file__).resolve().parent
LOCK = HERE.parent / "requirements" / "bench.txt"
Command = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Report:
    """What a peer said it did. records: read from the provider, or in its table at the end.

    outcomes: created, updated, unchanged, … where the peer counts them.
    """

    records: int
    work_seconds: float
    phases: dict[str, float] = field(default_factory=dict)
    outcomes: dict[str, int] | None = None


@dataclass(frozen=True, slots=True)
class Peer:
    """prepare: commands before the first ingest, not measured. again: another ingest of all."""

    name: str
    first: Command
    again: Command
    read: Callable[[str], Report]
    prepare: tuple[Command, ...] = ()


def floor(url: str) -> Peer:
    ingest = (sys.executable, str(HERE / "floor.py"), "--url", url, "--database", "floor.db")
    return Peer("floor", ingest, ingest, last_line)


def floor_postgres(url: str, database: str) -> Peer:
    script = str(HERE / "floor_postgres.py")
    ingest = (sys.executable, script, "--url", url, "--database", database)
    return Peer("floor_pg", ingest, ingest, last_line)


def dlt(url: str, environment: Path, *, best: bool = False, database: str | None = None) -> Peer:
    """environment: the directory of dlt's own one, brought to what requirements/bench.txt says.

    database: the URL of one on PostgreSQL.
    """
    python = str(environment / "bin" / "python")
    make = (uv(), "venv", "--quiet", "--allow-existing", "--no-python-downloads")
    fill = (uv(), "pip", "sync", "--quiet", "--require-hashes", "--compile-bytecode")
    ingest = (python, str(HERE / "peer_dlt.py"), "--url", url, "--directory", "dlt")
    if database:
        ingest = (*ingest, "--postgres", database)
    return Peer(
        name="dlt" + "_pg" * bool(database) + "_best" * best,
        first=(*ingest, "--best") if best else ingest,
        again=(*ingest, "--best") if best else ingest,
        read=last_line,
        prepare=(
            (*make, "--python", sys.executable, str(environment)),
            (*fill, "--python", python, str(LOCK)),
        ),
    )


def penstock(url: str, database: str | None = None) -> Peer:
    """database: the URL of one on PostgreSQL; else it is a file."""
    program = (penstock_program(), "--database", database or "sqlite:///penstock.db")
    connect = (*program, "connect", str(HERE / "connector.py"), "--name", "bench")
    settings = ("--set", f"base_url={url}", "--secret", "api_key=x", "--allow-loopback")
    ingest = (*program, "run", "bench", "--json")
    name = "penstock_pg" if database else "penstock"
    again = (*ingest, "--full")
    return Peer(name, ingest, again, run_reports, prepare=((*connect, *settings),))


def penstock_program() -> str:
    return str(Path(sys.executable).with_name("penstock"))


def last_line(stdout: str) -> Report:
    """The report of floor.py and peer_dlt.py."""
    try:
        return Report(**json.loads(stdout.strip().splitlines()[-1]))
    except (IndexError, ValueError, TypeError) as error:
        raise BenchError(f"the last line is not the expected JSON: {stdout[-200:]!r}") from error


def run_reports(stdout: str) -> Report:
    """The report of `penstock run --json`: one object for each stream."""
    try:
        (report,) = json.loads(stdout)
        outcomes = {name: report[name] for name in ("created", "updated", "unchanged")}
        return Report(report["fetched"], report["work_seconds"], outcomes=outcomes)
    except (ValueError, TypeError, KeyError) as error:
        raise BenchError(f"not the expected report of a run: {stdout[:200]!r}") from error


def locked_version(package: str) -> str:
    """The version in requirements/bench.txt. Raises BenchError when there is none."""
    for line in LOCK.read_text().splitlines():
        name, _, rest = line.partition("==")
        if name == package:
            return rest.split()[0]
    raise BenchError(f"{LOCK} does not name {package}")


def uv() -> str:
    """uv on the path, or the one that the Makefile installs for itself."""
    own = HERE.parent / ".uv" / "bin" / "uv"
    return shutil.which("uv") or str(own)
