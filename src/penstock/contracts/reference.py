"""The reference pages of all contracts: `python -m penstock.contracts.reference DIRECTORY`."""

from __future__ import annotations

import sys
from pathlib import Path

from penstock.contracts import registry


def write(directory: Path) -> None:
    """One page for each document type served."""
    directory.mkdir(parents=True, exist_ok=True)
    for name in registry.types():
        (directory / f"{name}.md").write_text(registry.contract(name).reference())


if __name__ == "__main__":
    write(Path(sys.argv[1]))
