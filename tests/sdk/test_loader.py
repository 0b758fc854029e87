"""Targets: an installed key, module:attribute, a file or a package, and what is said otherwise."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from penstock.errors import ConnectorError
from penstock.sdk import loader

MODULE = """
from penstock import Connector, Stream

acme = Connector(key="acme", name="Acme", provider="acme", version="0.1.0",
                 streams=[Stream("customers", mode="poll"), Stream("history", mode="backfill"),
                          Stream("events", mode="webhook")])
"""
ROUTE = """
from penstock_connector_{package}.connector import acme


@acme.{kind}("{stream}")
def route(request):
    return None
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder to work in; what is imported from it is forgotten afterwards."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    for name in set(sys.modules):
        if name.startswith(("penstock_connector_", "acme_")):
            monkeypatch.delitem(sys.modules, name)
    return tmp_path


def write(file: Path, text: str) -> Path:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)
    return file


def package(folder: Path, name: str) -> Path:
    """A package with a route in each of its folders."""
    write(folder / name / "connector.py", MODULE)
    for kind, place, stream in (
        ("sync", "sync", "customers"),
        ("backfill", "backfill", "history"),
        ("webhook", "webhooks", "events"),
    ):
        text = ROUTE.format(package=name, kind=kind, stream=stream)
        write(folder / name / place / f"{stream}.py", text)
    return folder / name


def refusal(target: str) -> ConnectorError:
    with pytest.raises(ConnectorError) as caught:
        loader.load(target)
    return caught.value


@pytest.mark.parametrize("key", ["xero", "simulated"])
def test_a_key_of_the_shelf(key: str) -> None:
    loaded = loader.load(key)
    assert (loaded.connector.key, loaded.target) == (key, key)
    assert [file.name for file in loaded.files] == [f"{key}.py"]
    assert key in loader.shelf()


def test_a_key_that_is_not_there_names_those_that_are() -> None:
    message = refusal("nobody").message
    assert "no connector 'nobody'" in message
    assert "simulated" in message
    assert "module:attribute" in message


def test_a_file(folder: Path) -> None:
    file = write(folder / "acme.py", MODULE)
    loaded = loader.load("acme.py")
    assert loaded.connector.key == "acme"
    assert loaded.files == (file,)
    assert len(loaded.code) == 32


def test_a_module_and_its_attribute(folder: Path) -> None:
    write(folder / "acme_billing.py", MODULE + "\nother = 5\n")
    assert loader.load("acme_billing:acme").connector.key == "acme"
    assert "no Connector named 'other'" in refusal("acme_billing:other").message
    assert "no Connector named 'nothing'" in refusal("acme_billing:nothing").message


def test_a_module_that_is_not_there() -> None:
    assert refusal("acme_nowhere:acme").message == (
        "no module 'acme_nowhere' to load a connector from"
    )


def test_a_module_whose_own_import_is_missing(folder: Path) -> None:
    file = write(folder / "acme_needy.py", "import json\nimport acme_missing_part\n")
    error = refusal("acme_needy:acme")
    assert "ModuleNotFoundError" in error.message
    assert (error.file, error.line) == (str(file), 2)


def test_a_package_imports_its_routes(folder: Path) -> None:
    home = package(folder, "acme_pack")
    loaded = loader.load(str(home))
    assert set(loaded.connector.sync_routes) == {"customers"}
    assert set(loaded.connector.backfill_routes) == {"history"}
    assert set(loaded.connector.webhook_routes) == {"events"}
    assert len(loaded.files) == 4


def test_the_connector_file_of_a_package_stands_for_it(folder: Path) -> None:
    home = package(folder, "acme_pack")
    loaded = loader.load(str(home / "connector.py"))
    assert set(loaded.connector.sync_routes) == {"customers"}


def test_a_package_may_have_an_init(folder: Path) -> None:
    home = package(folder, "acme_pack")
    write(home / "__init__.py", '"""Acme."""\n')
    assert set(loader.load(str(home)).connector.sync_routes) == {"customers"}


def test_a_package_needs_its_connector_file(folder: Path) -> None:
    (folder / "hollow").mkdir()
    assert "needs a connector.py" in refusal(str(folder / "hollow")).message


def test_no_such_file() -> None:
    assert "no file missing.py" in refusal("missing.py").message


def test_a_file_without_a_connector(folder: Path) -> None:
    write(folder / "acme.py", "x = 1\n")
    message = refusal("acme.py").message
    assert "holds 0 Connector objects" in message
    assert "make one with Connector(…)" in message


def test_a_file_with_several_connectors(folder: Path) -> None:
    write(folder / "acme_two.py", MODULE + MODULE.replace("acme = ", "other = "))
    message = refusal("acme_two.py").message
    assert "holds 2 Connector objects (acme, other)" in message
    assert "name one as module:attribute" in message
    assert loader.load("acme_two:other").connector.key == "acme"


def test_the_same_connector_under_two_names_is_one(folder: Path) -> None:
    write(folder / "acme.py", MODULE + "\nalso = acme\n")
    assert loader.load("acme.py").connector.key == "acme"


def test_a_declaration_that_is_refused_tells_its_line(folder: Path) -> None:
    file = write(folder / "acme.py", MODULE.replace('"customers"', '"Customers!"'))
    error = refusal("acme.py")
    assert "lower snake case" in error.message
    assert error.file == str(file)
    assert "Customers!" in file.read_text().splitlines()[error.line - 1]


def test_the_digest_is_that_of_the_code(folder: Path) -> None:
    file = write(folder / "acme.py", MODULE)
    first = loader.load("acme.py").code
    assert loader.load("acme.py").code == first
    file.write_text(MODULE + "\n# a remark\n")
    assert loader.load("acme.py").code != first
    file.write_text(MODULE)
    assert loader.load("acme.py").code == first


def test_the_digest_covers_every_file_of_a_package(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = package(folder, "acme_pack")
    first = loader.load(str(home)).code
    write(home / "mapping.py", "LIMIT = 5\n")
    assert loader.load(str(home)).code != first
