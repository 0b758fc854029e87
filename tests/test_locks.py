"""The locks are as old as the dependencies, hold nothing we avoid, and name no host."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest
from tools.lock_mark import mark

ROOT = Path(__file__).parent.parent
REQUIREMENTS = ROOT / "requirements"
LOCKS = sorted(REQUIREMENTS.glob("*.txt"))
# The HTTP client without releases, and what still drags it in or expects its objects.
AVOIDED = {
    "httpx",
    "respx",
    "pytest-httpx",
    "pytest-httpx2",
    "svix",
    "litestar",
    "httpx-auth",
    "httpx-retries",
}
PINNED = re.compile(r"^([A-Za-z0-9._-]+)(?:\[[^\]]*\])?==", re.MULTILINE)


def packages(text: str) -> set[str]:
    return {re.sub(r"[-_.]+", "-", name).lower() for name in PINNED.findall(text)}


def every_lock(function):
    return pytest.mark.parametrize("lock", LOCKS, ids=lambda path: path.stem)(function)


def test_locks_are_made_from_the_dependencies_that_pyproject_names_now():
    recorded = (REQUIREMENTS / "pyproject.sha256").read_text().strip()
    assert recorded == mark((ROOT / "pyproject.toml").read_text()), "stale locks: run `make lock`"


def test_another_dependency_makes_the_locks_stale_and_a_comment_does_not():
    before = '[project]\nrequires-python = ">=3.11"\ndependencies = ["typer>=0.29"]\n'
    assert mark(before) == mark("# a comment\n" + before)
    assert mark(before) != mark(before.replace("0.29", "0.30"))
    assert mark(before) != mark(before + '[dependency-groups]\ndev = ["ruff"]\n')


def test_the_runtime_and_development_locks_are_there():
    assert {"run", "dev"} <= {lock.stem for lock in LOCKS}


def test_every_direct_dependency_is_in_the_runtime_lock():
    declared = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["dependencies"]
    names = {re.match(r"[A-Za-z0-9-]+", line).group().lower() for line in declared}
    assert names <= packages((REQUIREMENTS / "run.txt").read_text())


@every_lock
def test_no_avoided_package_comes_in_by_any_door(lock):
    assert not packages(lock.read_text()) & AVOIDED


def test_a_lock_that_holds_an_avoided_package_is_noticed():
    assert packages("HTTPX==0.28.1 \\\n    --hash=sha256:00\n") & AVOIDED


@every_lock
def test_a_lock_names_no_host(lock):
    assert "://" not in lock.read_text()
    assert "--index-url" not in lock.read_text()


@every_lock
def test_every_pin_carries_hashes(lock):
    text = lock.read_text()
    blocks = re.split(r"^(?=[A-Za-z0-9])", text, flags=re.MULTILINE)[1:]
    assert blocks
    assert [block.splitlines()[0] for block in blocks if "--hash=sha256:" not in block] == []
