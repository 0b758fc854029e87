"""One program, run to its end within a time limit, and measured from outside."""

from __future__ import annotations

import base64
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

MASTER_KEY = base64.b64encode(bytes(range(32))).decode()
RSS_PER_MB = 2**20 if sys.platform == "darwin" else 2**10


class BenchError(Exception):
    """A program under measurement did not do what it should; the message says which and what."""


@dataclass(frozen=True, slots=True)
class Ended:
    """seconds: from start to exit, imports included. peak_rss_mb: the highest resident memory of
    the program or of one it waited for; nothing below that of this process can be seen."""

    seconds: float
    peak_rss_mb: float
    stdout: str


def run(command: Sequence[str], *, directory: Path, log: Path, timeout_s: float) -> Ended:
    """Run a command in `directory`; its standard error goes to the log.

    It gets a process group of its own, and whatever is left of that group is ended in any case.
    Raises BenchError when it cannot be started, when time is up, and for another exit status
    than 0.
    """
    late = threading.Event()
    with tempfile.TemporaryFile() as out, log.open("ab") as err:
        err.write(f"\n$ {' '.join(command)}\n".encode())
        err.flush()
        started = time.perf_counter()
        try:
            process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=err,
                cwd=directory,
                env=_environment(),
                start_new_session=True,
            )
        except OSError as error:
            raise BenchError(f"{command[0]}: {error.strerror}") from error
        timer = threading.Timer(timeout_s, _end, (process.pid, late))
        timer.start()
        try:
            # Not reaped yet, so that its number cannot belong to somebody else below.
            os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
            seconds = time.perf_counter() - started
        finally:
            timer.cancel()
            timer.join()
            _end(process.pid)
            _, status, usage = os.wait4(process.pid, 0)
            process.returncode = os.waitstatus_to_exitcode(status)
        out.seek(0)
        stdout = out.read().decode(errors="replace")
    if late.is_set():
        raise BenchError(f"{command[0]}: ended after {timeout_s:g} s")
    if process.returncode:
        said = " | ".join(log.read_text(errors="replace").strip().splitlines()[-2:])
        raise BenchError(f"{command[0]}: exit status {process.returncode}: {said}")
    return Ended(round(seconds, 3), round(usage.ru_maxrss / RSS_PER_MB, 1), stdout)


def _environment() -> dict[str, str]:
    """Bytecode is kept as in any installation, else each start would compile all of penstock. A
    database on a server has no folder to keep a master key in, so one is given."""
    kept = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
    return {"PENSTOCK_MASTER_KEY": MASTER_KEY} | kept


def _end(group: int, late: threading.Event | None = None) -> None:
    if late is not None:
        late.set()
    with suppress(ProcessLookupError, PermissionError):  # nobody is left, or only a zombie
        os.killpg(group, signal.SIGKILL)
