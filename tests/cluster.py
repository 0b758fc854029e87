"""A PostgreSQL server of a test's own, to be stopped and broken: nobody else stands on it.

Made by initdb in a temporary folder, on a free port, by an unprivileged user where the tests run
as root; gone afterwards. Where no server's programs are installed such tests are skipped, loudly.
The folder lies in memory where that is possible: a server that is stopped at once finds there what
it would find on a disk, and syncing costs nothing.
"""

from __future__ import annotations

import os
import pwd
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest

UNPRIVILEGED = "nobody"
IN_MEMORY = Path("/dev/shm")


def programs() -> Path | None:
    """The folder of initdb and pg_ctl; that of the newest version where Debian keeps several."""
    on_path = shutil.which("initdb")
    installed = Path("/usr/lib/postgresql").glob("*/bin/initdb")
    newest = sorted(installed, key=lambda found: int(found.parts[-3]))[-1:]
    for found in (*newest, *([Path(on_path)] if on_path else [])):
        return found.resolve().parent
    return None


class Cluster:
    """One server. url: of its only database; stays the same over restarts."""

    def __init__(self, folder: Path, bin_folder: Path) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.url = f"postgresql://postgres@127.0.0.1:{self.port}/postgres"
        self._folder = folder
        self._bin = bin_folder

    def make(self) -> None:
        options = ("--username", "postgres", "--auth", "trust", "--encoding", "UTF8")
        self._run("initdb", *options, "--locale", "C", "--no-sync")

    def start(self) -> None:
        """Up and answering, after recovery where it was stopped in the middle."""
        place = f"-p {self.port} -k {self._folder} -c listen_addresses=127.0.0.1"
        self._run("pg_ctl", "--wait", "--log", str(self._folder / "log"), "-o", place, "start")

    def stop(self, mode: str = "immediate") -> None:
        """immediate: as a power cut is to the server, nothing is written any more."""
        self._run("pg_ctl", "--wait", "--mode", mode, "stop")

    def ask(self, question: str, *values: object) -> list[tuple[object, ...]]:
        with psycopg.connect(self.url, autocommit=True) as connection:
            answer = connection.execute(question.encode(), values)
            return answer.fetchall() if answer.description else []

    def _run(self, program: str, *arguments: str) -> None:
        command = [str(self._bin / program), "--pgdata", str(self._folder / "data"), *arguments]
        with (self._folder / "said").open("ab") as said:
            subprocess.run(
                command, check=True, stdout=said, stderr=said, timeout=120, cwd="/", **_identity()
            )


@contextmanager
def cluster() -> Iterator[Cluster]:
    """A server that runs. Skips where none can be made."""
    found = programs()
    if found is None:
        pytest.skip("PostgreSQL's programs (initdb, pg_ctl) are not installed: not tested here")
    place = IN_MEMORY if os.access(IN_MEMORY, os.W_OK) else None
    folder = Path(tempfile.mkdtemp(prefix="penstock-cluster-", dir=place))
    if identity := _identity():
        os.chown(folder, identity["user"], identity["group"])
    made = Cluster(folder, found)
    try:
        made.make()
        made.start()
        yield made
    finally:
        subprocess.run(
            [found / "pg_ctl", "--pgdata", folder / "data", "--mode", "immediate", "stop"],
            check=False, capture_output=True, timeout=120, cwd="/", **identity,
        )  # fmt: skip
        shutil.rmtree(folder, ignore_errors=True)


def _identity() -> dict[str, int]:
    """Options of subprocess: the server's programs refuse to run as root."""
    if os.geteuid() != 0:
        return {}
    nobody = pwd.getpwnam(UNPRIVILEGED)
    return {"user": nobody.pw_uid, "group": nobody.pw_gid}
