"""A shell in which commands run for real, and a simulated provider for them to talk to."""

from __future__ import annotations

import contextlib
import io
import json
import os
import pty
import select
import shutil
import sys
import termios
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from penstock.cli.main import execute
from penstock.simulator import Company, serve


@dataclass(frozen=True)
class Answer:
    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """The one JSON document on stdout."""
        return json.loads(self.out)


@dataclass(frozen=True)
class Shell:
    """Runs `penstock` on one database, in this process."""

    database: Path

    def __call__(self, line: str, *more: str) -> Answer:
        raw, err = io.BytesIO(), io.StringIO()
        out = io.TextIOWrapper(raw, encoding="utf-8", newline="", write_through=True)
        words = ["--database", f"sqlite:///{self.database}", *line.split(), *more]
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            code = execute(words)
        return Answer(code, raw.getvalue().decode(), err.getvalue())

    def json(self, line: str, *more: str) -> Any:
        return self(line + " --json", *more).json

    def on_a_terminal(self, line: str, *, answer: str | None = None) -> tuple[int, str]:
        """Run the command in a process with a terminal of its own; its exit code and the screen.

        answer: typed once the terminal stops echoing, as it does for a secret.
        """
        words = ["--database", f"sqlite:///{self.database}", *line.split()]
        pid, terminal = pty.fork()
        if pid == 0:
            os.execv(sys.executable, [sys.executable, "-m", "penstock.cli.main", *words])
        deadline = time.monotonic() + 60
        if answer is not None:
            while termios.tcgetattr(terminal)[3] & termios.ECHO and time.monotonic() < deadline:
                os.sched_yield()
            os.write(terminal, answer.encode() + b"\n")
        seen = b""
        with contextlib.suppress(OSError):  # the terminal is gone when the command has ended
            while select.select([terminal], [], [], max(0, deadline - time.monotonic()))[0]:
                seen += os.read(terminal, 1024)
        os.close(terminal)
        return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), seen.decode()


@pytest.fixture(scope="session")
def company():
    """The company behind the provider; tests that let its time move on make their own."""
    return Company(seed=3, records=400)


@pytest.fixture(scope="session")
def provider(company):
    with serve(company) as served:
        yield served


@pytest.fixture
def shell(tmp_path, monkeypatch):
    """On a database that does not exist yet."""
    monkeypatch.chdir(tmp_path)
    return Shell(tmp_path / "penstock.db")


@pytest.fixture(scope="session")
def pulled_once(tmp_path_factory, provider):
    """A database with the simulated company connected as `sim` and pulled."""
    directory = tmp_path_factory.mktemp("pulled")
    shell = Shell(directory / "penstock.db")
    assert connect(shell, provider).code == 0
    assert shell("run sim").code == 1
    return directory


@pytest.fixture
def pulled(pulled_once, tmp_path, monkeypatch):
    """A shell on a copy of that database, free to be changed."""
    monkeypatch.chdir(tmp_path)
    for file in pulled_once.iterdir():
        shutil.copy(file, tmp_path)
    return Shell(tmp_path / "penstock.db")


def connect(shell: Shell, provider, *more: str) -> Answer:
    return shell(
        f"connect simulated --name sim --set base_url={provider.url} "
        f"--secret api_key={provider.token}",
        *more,
    )
