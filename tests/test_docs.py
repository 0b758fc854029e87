"""The docs name what there is: public names, document types, errors; and their examples work."""

from __future__ import annotations

import ast
import importlib
import re
from pathlib import Path

import pytest

import penstock
from penstock import errors
from penstock.contracts import registry
from penstock.sdk import verify

ROOT = Path(__file__).parent.parent
DOCS = ROOT / "docs"
PAGES = [ROOT / name for name in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md")]
PAGES += sorted(DOCS.rglob("*.md"))
README = (ROOT / "README.md").read_text()
GUIDE = README + (DOCS / "authors.md").read_text()

LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
BLOCK = re.compile(r"^```python\n(.*?)^```", re.MULTILINE | re.DOTALL)
HEADING = re.compile(r"^#+ +(.*)$", re.MULTILINE)


def page_id(page: Path) -> str:
    return str(page.relative_to(ROOT))


def anchors(page: Path) -> set[str]:
    """The names that headings have in a link."""
    headings = HEADING.findall(page.read_text())
    return {re.sub(r"[^\w\- ]", "", h.lower()).strip().replace(" ", "-") for h in headings}


def broken_links(page: Path) -> list[str]:
    text = re.sub(r"^```.*?^```", "", page.read_text(), flags=re.MULTILINE | re.DOTALL)
    return [link for link in LINK.findall(text) if "://" not in link and not leads(page, link)]


def leads(page: Path, link: str) -> bool:
    path, _, anchor = link.partition("#")
    target = page.parent / path if path else page
    return target.exists() and (not anchor or anchor in anchors(target))


@pytest.mark.parametrize("name", penstock.__all__)
def test_the_guide_names_every_public_name(name: str) -> None:
    assert re.search(rf"\b{name}\b", GUIDE)


@pytest.mark.parametrize("name", penstock.__all__)
def test_every_public_name_loads(name: str) -> None:
    assert getattr(penstock, name) is not None
    assert name in dir(penstock)


def test_no_other_name_loads() -> None:
    with pytest.raises(AttributeError, match="no attribute 'Connecter'"):
        penstock.Connecter  # noqa: B018


def test_names_for_type_checkers_are_those_that_load() -> None:
    tree = ast.parse(Path(penstock.__file__).read_text())
    (guarded,) = [node for node in tree.body if isinstance(node, ast.If)]
    imported = {
        alias.name: node.module
        for node in guarded.body
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }
    assert set(imported) == set(penstock.__all__)
    for name, module in imported.items():
        home = importlib.import_module(str(module))
        found = getattr(home, name, None) or importlib.import_module(f"{module}.{name}")
        assert found is getattr(penstock, name)


@pytest.mark.parametrize("name", [n for n in penstock.__all__ if n.endswith("Error")])
def test_public_errors_are_those_of_the_tree(name: str) -> None:
    assert getattr(errors, name) is getattr(penstock, name)


@pytest.mark.parametrize("document_type", registry.types())
def test_every_document_type_has_its_page(document_type: str) -> None:
    page = DOCS / "contracts" / f"{document_type}.md"
    assert document_type in page.read_text()
    assert re.search(rf"\b{document_type}\b", GUIDE)


def test_there_is_no_page_of_a_type_that_is_not_served() -> None:
    assert {page.stem for page in (DOCS / "contracts").glob("*.md")} == set(registry.types())


ERRORS = [
    error
    for error in vars(errors).values()
    if isinstance(error, type) and issubclass(error, errors.PenstockError)
]


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: error.__name__)
def test_every_error_stands_in_the_tree_with_a_sentence(error: type[Exception]) -> None:
    assert error.__name__ in (errors.__doc__ or "")
    assert error.__doc__


def test_codes_of_errors_are_snake_case_and_said_once() -> None:
    codes = [vars(error)["code"] for error in ERRORS if isinstance(vars(error).get("code"), str)]
    assert len(codes) == len(set(codes))
    assert all(re.fullmatch("[a-z][a-z_]*", code) for code in codes)


@pytest.mark.parametrize("page", PAGES, ids=page_id)
def test_every_link_leads_somewhere(page: Path) -> None:
    assert broken_links(page) == []


def test_a_link_that_leads_nowhere_is_seen(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("# Here\n[a](nowhere.md) [b](#here) [c](#there) [d](https://acme.test)\n")
    assert broken_links(page) == ["nowhere.md", "#there"]


def test_the_connector_of_the_readme_passes_its_check(tmp_path: Path) -> None:
    (example,) = [block for block in BLOCK.findall(README) if "Connector(" in block]
    file = tmp_path / "acme.py"
    file.write_text(example)
    assert verify.check(str(file)) == []


def test_the_pieces_of_the_guide_make_a_connector_that_passes_its_check(tmp_path: Path) -> None:
    """Manifest, discovery, collection and route as the guide prints them, put together."""
    blocks = BLOCK.findall((DOCS / "authors.md").read_text())
    pieces = [block for block in blocks if "acme" in block and "def account" not in block]
    text = f"from penstock import {', '.join(penstock.__all__)}\n\n" + "\n\n".join(pieces)
    text = text.replace("settings={...},", "settings=SETTINGS,")
    text = text.replace(
        'streams=[Stream("customers", mode="poll", schedule="*/15 * * * *")],',
        'streams=[Stream("customers", mode="poll", schedule="*/15 * * * *"),\n'
        '             Stream("transactions", mode="poll")],',
    )
    text = text.replace(
        '"invoice": ["write", "delete"]', '"invoice": ["write", "delete"],\n'
        '"bank_transaction": ["write"]'
    )  # fmt: skip
    settings = (
        'SETTINGS = {"type": "object", "properties": {"base_url": {"type": "string"}, '
        '"api_key": {"type": "string", "x-secret": True}}}\n'
    )
    file = tmp_path / "acme.py"
    file.write_text(settings + text)
    assert verify.check(str(file)) == []
