"""The docs name what there is: public names, document types, errors; and their examples work."""

from __future__ import annotations

import ast
import importlib
import re
import shlex
from dataclasses import dataclass
from pathlib import Path

import pytest

import penstock
from penstock import errors
from penstock.cli.main import execute
from penstock.contracts import registry
from penstock.model.standing import Condition
from penstock.sdk import verify
from penstock.simulator import Company, serve

ROOT = Path(__file__).parent.parent
DOCS = ROOT / "docs"
PAGES = [ROOT / name for name in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md")]
PAGES += sorted(DOCS.rglob("*.md"))
README = (ROOT / "README.md").read_text()
GUIDE = README + (DOCS / "authors.md").read_text()

LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
COMMAND = re.compile(r"^\$ penstock (.*)$", re.MULTILINE)
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


def test_the_commands_of_the_readme_run_one_after_the_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Against a provider on loopback, in the place of the one that is not there."""
    (example,) = [block for block in BLOCK.findall(README) if "Connector(" in block]
    lines = [shlex.split(line, comments=True) for line in COMMAND.findall(README)]
    commands = [words for words in lines if words != ["demo"]]
    assert len(commands) > 10
    monkeypatch.chdir(tmp_path)
    with serve(Company(seed=1, records=60)) as provider:
        monkeypatch.setenv("ACME_KEY", provider.token)
        Path("acme.py").write_text(example.replace("https://api.acme.test", provider.url))
        for command in commands:
            words = [word.replace("https://api.acme.test", provider.url) for word in command]
            ended = execute(words + ["--allow-loopback"] * (words[0] == "probe"))
            assert ended in (0, 1), f"penstock {shlex.join(words)}: {capsys.readouterr().err}"


def test_the_pieces_of_the_guide_make_a_connector_that_passes_its_check(tmp_path: Path) -> None:
    """Manifest, discovery, collection and route as the guide prints them, put together."""
    blocks = BLOCK.findall((DOCS / "authors.md").read_text())
    pieces = [block for block in blocks if "acme" in block and "def account" not in block]
    text = f"from penstock import {', '.join(penstock.__all__)}\n\n" + "\n\n".join(pieces)
    text = text.replace("settings={...},", "settings=SETTINGS,")
    text = text.replace(
        'streams=[Stream("customers", mode="poll", schedule="*/15 * * * *")],',
        'streams=[Stream("customers", mode="poll", schedule="*/15 * * * *"),\n'
        '             Stream("transactions", mode="poll"), Stream("notes", mode="poll")],',
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


def test_the_map_of_the_house_names_what_is_there() -> None:
    flow, house = (DOCS / "flow.md").read_text(), ROOT / "src" / "penstock"
    rows = re.findall(r"^\| `(\w+/)` \|.*\| (.*) \|$", flow, re.MULTILINE)
    named = [folder + file for folder, files in rows for file in re.findall(r"`([\w.]+)`", files)]
    named += re.findall(r"`(\w+/\w+\.py)`", flow)
    modules = re.findall(r"`(\w+)\.(?!py`)(\w+)`", flow)
    named += [f"{folder}/{module}.py" for folder, module in modules]
    assert len(named) > 30
    assert [name for name in named if not (house / name).exists()] == []
    folders = {path.parent.name + "/" for path in house.glob("*/__init__.py")}
    assert {folder for folder, _ in rows} == folders


def test_decisions_are_numbered_one_after_the_other_and_have_one_form() -> None:
    notes = sorted((DOCS / "decisions").glob("*.md"))
    assert [note.name[:5] for note in notes] == [f"{n:04d}-" for n in range(1, len(notes) + 1)]
    for note in notes:
        text = note.read_text()
        parts = ["# ", "\n\n**Status** ", " · **Context** ", "\n\n**Decision** "]
        places = [text.find(part) for part in parts]
        assert (places[0], -1 in places) == (0, False), note.name
        assert places == sorted(places), note.name


FAULT_ID = re.compile(r"\b(?:SA|DS)\d{1,2}\b")
FAULTS_PAGE = (DOCS / "faults.md").read_text()
HANDLED, NOT_HANDLED = FAULTS_PAGE.split("## Not handled yet")


@dataclass(frozen=True)
class FaultRow:
    number: str
    seen: str
    test: str

    def named(self, *kinds: str) -> list[str]:
        """What stands in backticks behind one of the words, lists of them included."""
        lists = re.findall(rf"(?:{'|'.join(kinds)}) ((?:`\w+`(?:, | or )?)+)", self.seen)
        return [name for one in lists for name in re.findall(r"`(\w+)`", one)]


ROWS = [
    FaultRow(cells[0], cells[3], cells[4].strip("`"))
    for line in HANDLED.splitlines()
    if FAULT_ID.match((cells := [c.strip() for c in line.strip("|").split(" | ")])[0].strip())
]


def docstrings_of_tests() -> dict[str, str]:
    """Node id of every test and class of tests to its docstring, that of its class included."""
    found: dict[str, str] = {}

    def walk(tree: ast.Module | ast.ClassDef, place: str, around: str) -> None:
        for node in tree.body:
            if isinstance(node, ast.FunctionDef | ast.ClassDef):
                name, text = f"{place}::{node.name}", ast.get_docstring(node) or ""
                found[name] = f"{around} {text}"
                if isinstance(node, ast.ClassDef):
                    walk(node, name, found[name])

    for file in sorted((ROOT / "tests").rglob("test_*.py")):
        walk(ast.parse(file.read_text()), file.relative_to(ROOT).as_posix(), "")
    return found


def codes_in_the_source() -> set[str]:
    """Every text in the source that may be a reason code."""
    trees = (ast.parse(file.read_text()) for file in (ROOT / "src").rglob("*.py"))
    nodes = (node for tree in trees for node in ast.walk(tree))
    return {n.value for n in nodes if isinstance(n, ast.Constant) and isinstance(n.value, str)}


def test_every_fault_has_its_row_in_order() -> None:
    numbers = [row.number for row in ROWS]
    assert numbers == [f"SA{n}" for n in range(1, 33)] + [f"DS{n}" for n in (*range(1, 15), 16)]
    assert set(FAULT_ID.findall(NOT_HANDLED)) - set(numbers) == {"DS15"}


def test_every_fault_is_made_to_happen_by_the_test_that_its_row_names() -> None:
    texts = docstrings_of_tests()
    numbers = {row.number: set(FAULT_ID.findall(texts.get(row.test, ""))) for row in ROWS}
    assert [number for number, carried in numbers.items() if number not in carried] == []


def test_every_fault_that_a_test_names_has_a_row() -> None:
    named = set(FAULT_ID.findall(" ".join(docstrings_of_tests().values())))
    assert named - set(FAULT_ID.findall(FAULTS_PAGE)) == set()


def test_every_state_reason_and_exit_of_a_fault_is_one_there_is() -> None:
    states = {name for row in ROWS for name in row.named("stream")}
    reasons = {name for row in ROWS for name in row.named("reason", "letter")}
    exits = {code for row in ROWS for code in re.findall(r"exit (\d+)", row.seen)}
    assert states - set(Condition) == set()
    assert reasons - codes_in_the_source() == set()
    assert exits <= {"0", "1", "3"}
    said = {name for row in ROWS for name in re.findall(r"`(\w+)`", row.seen)}
    assert said == states | reasons, "a name without a word before it"
    assert all(row.seen.startswith("as ") or "exit" in row.seen for row in ROWS)


TEN = [
    "state_and_data_in_two_systems",
    "boundary_equality",
    "cursor_precision_vs_window",
    "client_filter_fools_pager",
    "offset_drift",
    "refresh_race_and_lost_rotation",
    "per_process_limiter",
    "resumed_run_with_delete_sweep",
    "endless_retry_reported_as_ok",
    "redeploy_resets_or_doubles_poller",
]


def test_the_ten_faults_are_tests_by_their_names_with_a_control_each() -> None:
    section = HANDLED.split("## Ten faults by name")[1]
    pairs = re.findall(r"`(tests/[^`]+)` \| `(tests/[^`]+)` \|$", section, re.MULTILINE)
    assert [test.rpartition("::test_")[2] for test, _ in pairs] == TEN
    there = docstrings_of_tests()
    assert [node for pair in pairs for node in pair if node not in there] == []
    controls = [control for _, control in pairs]
    assert all("::test_control_" in control for control in controls)
    assert [
        c for c in controls if "Must fail" not in there[c] and "must fail" not in there[c]
    ] == []
