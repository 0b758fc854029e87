"""Print a fingerprint of everything in pyproject.toml that the locks are made from.

`make lock` keeps it in requirements/pyproject.sha256; a test compares, so a lock that is older
than the dependencies it should hold is found without a network.
"""

from __future__ import annotations

import hashlib
import json
import tomllib
from pathlib import Path

PYPROJECT = Path(__file__).parent.parent / "pyproject.toml"


def mark(pyproject: str) -> str:
    """64 hex digits over the dependency tables of that TOML text; comments do not count."""
    content = tomllib.loads(pyproject)
    project = content["project"]
    tables = {
        "requires-python": project["requires-python"],
        "dependencies": project.get("dependencies", []),
        "optional-dependencies": project.get("optional-dependencies", {}),
        "dependency-groups": content.get("dependency-groups", {}),
    }
    return hashlib.sha256(json.dumps(tables, sort_keys=True).encode()).hexdigest()


if __name__ == "__main__":
    print(mark(PYPROJECT.read_text()))  # noqa: T201
