"""The shape of the house: sizes, names, a sentence on every module, nothing of this machine."""

from __future__ import annotations

import ast
import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "src" / "penstock"
MODULES = sorted(PACKAGE.rglob("*.py"))
FUNCTION_LINES = 80
MODULE_LINES = 700
SHAPELESS = {"utils", "util", "helpers", "helper", "manager", "managers", "common", "misc"}
# Built from pieces, so that this file does not name what it forbids.
PLACES = re.compile(
    r"/(?:home|Users|root|work|workspace)/[a-z]"
    r"|(?:files\.)?pythonhosted\.(?:org)"
    r"|(?:test\.)?pypi\.(?:org|python\.org)"
    r"|registry\.npmjs\.(?:org)"
    r"|(?:artifactory|jfrog|nexus)\."
    r"|(?:--|\b)(?:extra-)?index-url[ =]http"
)


def module_id(path: Path) -> str:
    return str(path.relative_to(PACKAGE))


def every_module(function):
    return pytest.mark.parametrize("path", MODULES, ids=module_id)(function)


def long_functions(source: str) -> list[str]:
    return [
        node.name
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and node.end_lineno - node.lineno + 1 > FUNCTION_LINES
    ]


def tracked() -> list[Path]:
    """Files git knows or would add; those removed from the disk but not yet from git are left."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"],
        cwd=ROOT,
        check=True,
        capture_output=True,
    ).stdout.decode()
    return [ROOT / name for name in listed.split("\0") if name and (ROOT / name).is_file()]


@every_module
def test_no_function_is_longer_than_a_screen_and_a_half(path):
    assert long_functions(path.read_text()) == []


def test_a_long_function_is_noticed():
    body = "    x = 1\n"
    assert long_functions("def fits():\n" + body * (FUNCTION_LINES - 1)) == []
    assert long_functions("def grew():\n" + body * FUNCTION_LINES) == ["grew"]


@every_module
def test_no_module_is_too_long_to_know(path):
    assert len(path.read_text().splitlines()) <= MODULE_LINES


@every_module
def test_every_module_begins_with_a_sentence(path):
    sentence = ast.get_docstring(ast.parse(path.read_text()))
    assert sentence, "say in a sentence what the module is for"
    assert re.search(r"[.:…]", sentence)


@every_module
def test_no_module_is_named_after_nothing(path):
    assert not SHAPELESS & set(path.relative_to(PACKAGE).with_suffix("").parts)


def test_every_folder_is_a_package_that_says_what_lives_there():
    folders = {path.parent for path in MODULES}
    assert [str(f) for f in sorted(folders) if not (f / "__init__.py").exists()] == []


def test_files_in_git_name_no_place_on_a_machine_and_no_registry():
    found = [
        f"{path.relative_to(ROOT)}: {match.group()}"
        for path in tracked()
        if (match := PLACES.search(path.read_text(errors="replace")))
    ]
    assert found == []


@pytest.mark.parametrize(
    "line",
    [
        "see " + "/home/" + "ann/penstock",
        "cd " + "/work/" + "checkout",
        "https://pypi." + "org/simple",
        "--index-url=" + "http://mirror",
    ],
)
def test_a_place_is_noticed(line):
    assert PLACES.search(line)
