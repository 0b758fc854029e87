"""The shelf connectors are written as anybody's would be."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from penstock import connectors

MODULES = sorted(Path(connectors.__path__[0]).rglob("*.py"))


def inner_parts(source: str) -> set[str]:
    """The modules of penstock that a source imports from, but for its public face and the shelf."""
    named: set[str] = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.ImportFrom):
            named.add(node.module or "")
        elif isinstance(node, ast.Import):
            named |= {alias.name for alias in node.names}
    shelf = connectors.__name__
    return {n for n in named if n.startswith("penstock.") and not n.startswith(shelf)}


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.stem)
def test_a_connector_needs_nothing_but_the_public_names(path: Path) -> None:
    assert inner_parts(path.read_text()) == set()


@pytest.mark.parametrize(
    "line", ["from penstock.contracts.countries import COUNTRIES", "import penstock.model.money"]
)
def test_an_inner_part_is_noticed(line: str) -> None:
    assert inner_parts(f"from penstock import money\n{line}\n") == {line.split()[1]}
