"""Fail when the tests take too few branches of a folder.

    python tools/coverage_gate.py .coverage.json 95 pipeline store

reads `coverage json` and asks for 95 % of the branches of each named folder of penstock by
itself. A folder without branches yet is named and passes.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

Files = Mapping[str, Mapping[str, Any]]


def share(files: Files, folder: str) -> float | None:
    """Percent of the folder's branches that were taken, None where it has none."""
    inside = [
        entry["summary"] for path, entry in files.items() if f"penstock/{folder}/" in _slashed(path)
    ]
    branches = sum(summary["num_branches"] for summary in inside)
    covered = sum(summary["covered_branches"] for summary in inside)
    return 100 * covered / branches if branches else None


def shortfalls(files: Files, least: float, folders: list[str]) -> list[str]:
    """Names of the folders below `least` percent."""
    shares = {folder: share(files, folder) for folder in folders}
    return [folder for folder, value in shares.items() if value is not None and value < least]


def _slashed(path: str) -> str:
    return path.replace("\\", "/")


def main(report: str, least: str, *folders: str) -> int:
    files: Files = json.loads(Path(report).read_text())["files"]
    for folder in folders:
        value = share(files, folder)
        shown = "no branches yet" if value is None else f"{value:.1f} % of branches"
        print(f"coverage {folder:<9} {shown}, at least {least} wanted")  # noqa: T201
    below = shortfalls(files, float(least), list(folders))
    if below:
        print(f"error: too few branches tested in {', '.join(below)}", file=sys.stderr)  # noqa: T201
    return 1 if below else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
