"""Types are tested: mypy passes where it should, and complains where it should."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
API = Path(__file__).with_name("api.py")


def test_the_public_names_type_check() -> None:
    """Every `type: ignore` in the file is needed, so what is misspelt there is seen."""
    command = [sys.executable, "-m", "mypy", "--config-file", str(ROOT / "pyproject.toml")]
    done = subprocess.run(
        [*command, "--warn-unused-ignores", str(API)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
