"""The pages under docs/contracts are those the contracts make."""

from __future__ import annotations

from pathlib import Path

import pytest

from penstock.contracts import reference, registry

DOCS = Path(__file__).parents[2] / "docs" / "contracts"


@pytest.mark.parametrize("name", registry.types())
def test_the_page_in_the_docs_is_current(name):
    page = registry.contract(name).reference()
    assert (DOCS / f"{name}.md").read_text() == page, (
        "run python -m penstock.contracts.reference docs/contracts"
    )


@pytest.mark.parametrize("name", registry.types())
def test_a_page_names_every_field_status_and_rule(name):
    contract = registry.contract(name)
    page = contract.reference()
    for field in contract.fields:
        assert f"| `{field.name}` |" in page
    for status, lifecycle in contract.description.lifecycles.items():
        assert f"| `{status}` | {lifecycle} |" in page
    for rule in contract.description.rules:
        assert f"| {rule.invariant} |" in page


def test_the_pages_are_written_into_a_directory(tmp_path):
    reference.write(tmp_path / "contracts")
    assert {path.stem for path in (tmp_path / "contracts").glob("*.md")} == set(registry.types())
