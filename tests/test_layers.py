"""The layer law holds, and a module that breaks it is really found."""

from __future__ import annotations

import configparser
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
LAW = ROOT / ".importlinter"
PACKAGE = ROOT / "src" / "penstock"


def lint(law: Path, source: Path, *contracts: str) -> subprocess.CompletedProcess[str]:
    chosen = [word for name in contracts for word in ("--contract", name)]
    return subprocess.run(
        [
            sys.executable,
            "-c",
            "from importlinter.cli import lint_imports_command as main; main()",
            "--no-logo",
            "--no-cache",
            "--config",
            str(law),
            *chosen,
        ],
        cwd=law.parent,
        env={**os.environ, "PYTHONPATH": str(source), "NO_COLOR": "1"},
        capture_output=True,
        text=True,
        check=False,
    )


def test_the_house_obeys_its_layer_law():
    result = lint(LAW, PACKAGE.parent)
    assert result.returncode == 0, result.stdout + result.stderr


@pytest.fixture(scope="module")
def copy(tmp_path_factory):
    """A copy of the house in which a test may break the law."""
    directory = tmp_path_factory.mktemp("house")
    shutil.copytree(PACKAGE, directory / "penstock", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(LAW, directory)
    return directory


BREACHES = {
    "layers": ("model/upwards.py", "from penstock.store import roles"),
    "layers-even-for-types": (
        "model/upwards.py",
        "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from penstock.store import roles",
    ),
    "layers-strangers": ("store/sideways.py", "import penstock.upstream"),
    "circles": ("model/turning.py", "import penstock.model.round_and_round"),
    "data-side": ("read/curious.py", "import penstock.sdk"),
    "read": ("read/curious.py", "import penstock.pipeline"),
    "provider-side": ("sdk/curious.py", "import penstock.store.roles"),
    "backends": ("cli/curious.py", "import penstock.store.sqlite"),
    "http": ("read/curious.py", "import httpx2"),
    "drivers": ("read/curious.py", "import sqlite3"),
    "web": ("read/curious.py", "import starlette"),
    "typer": ("read/curious.py", "import typer"),
    "dask": ("read/curious.py", "import distributed"),
}


@pytest.mark.parametrize("name", BREACHES)
def test_a_breach_is_found(name, copy):
    place, line = BREACHES[name]
    planted = [copy / "penstock" / place]
    planted[0].write_text(f'"""Planted."""\n{line}\n')
    if name == "circles":
        planted.append(copy / "penstock/model/round_and_round.py")
        planted[1].write_text('"""Planted."""\nimport penstock.model.turning\n')
    contract = "layers" if name.startswith("layers") else name
    try:
        result = lint(copy / LAW.name, copy, contract)
    finally:
        for path in planted:
            path.unlink()
    assert result.returncode == 1, result.stdout + result.stderr
    assert planted[0].stem in result.stdout


def test_a_folder_that_exists_is_not_called_optional():
    law = configparser.ConfigParser()
    law.read(LAW)
    optional = re.findall(r"\((\w+)\)", law["importlinter:contract:layers"]["layers"])
    made = [name for name in optional if list((PACKAGE / name).glob("*.py"))]
    assert made == [], "take the parentheses off and add it to the rules that name it in a comment"


def test_a_new_folder_must_be_given_its_floor(copy):
    folder = copy / "penstock" / "attic"
    folder.mkdir()
    (folder / "__init__.py").write_text('"""Planted."""\n')
    try:
        result = lint(copy / LAW.name, copy, "layers")
    finally:
        shutil.rmtree(folder)
    assert result.returncode == 1
    assert "attic" in result.stdout
