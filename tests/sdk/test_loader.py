"""Targets: an installed key, module:attribute, a file or a package, and what is said otherwise."""

from __future__ import annotations

import os
import py_compile
import sys
from concurrent.futures import ThreadPoolExecutor
from importlib.machinery import SourceFileLoader
from pathlib import Path
from typing import Any

import pytest

from penstock import connectors
from penstock.errors import ConnectorError
from penstock.sdk import loader

MODULE = """
from penstock import Connector, Stream

acme = Connector(key="acme", name="Acme", provider="acme", version="0.1.0",
                 streams=[Stream("customers", mode="poll"), Stream("history", mode="backfill"),
                          Stream("events", mode="webhook")])
"""
ROUTE = """
from ..connector import acme


@acme.{kind}("{stream}")
def route(request):
    return None
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder to work in; what is imported from it is forgotten afterwards."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    for name in set(sys.modules):
        if name.startswith(("penstock_connector_", "acme_", "penstock.connectors.acme_")):
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
        text = ROUTE.format(kind=kind, stream=stream)
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


# ── a package by each of its names ──


@pytest.fixture
def installed(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A package beside the working folder, on the path, on the shelf and with entry points."""
    home = package(folder, "acme_pack")
    write(home / "__init__.py", '"""Acme."""\n')
    info = folder / "acme_pack-0.1.0.dist-info"
    write(info / "METADATA", "Metadata-Version: 2.1\nName: acme_pack\nVersion: 0.1.0\n")
    entries = ("acme_entry = acme_pack", "acme_exact = acme_pack.connector:acme")
    write(info / "entry_points.txt", "\n".join(["[penstock.connectors]", *entries]))
    monkeypatch.syspath_prepend(str(folder))
    monkeypatch.setattr(connectors, "__path__", [*connectors.__path__, str(folder)])
    (folder / "work").mkdir()
    monkeypatch.chdir(folder / "work")
    return home


NAMES = ["../acme_pack", "acme_pack", "acme_pack.connector:acme", "acme_entry", "acme_exact"]


@pytest.mark.parametrize("target", NAMES)
def test_a_package_has_its_routes_by_every_name(installed: Path, target: str) -> None:
    connector = loader.load(target).connector
    routes = (connector.sync_routes, connector.backfill_routes, connector.webhook_routes)
    assert [set(found) for found in routes] == [{"customers"}, {"history"}, {"events"}]


@pytest.mark.parametrize("target", NAMES)
def test_the_digest_covers_every_file_of_a_package(installed: Path, target: str) -> None:
    loaded = loader.load(target)
    names = {str(file.relative_to(installed)) for file in loaded.files}
    routes = {"sync/customers.py", "backfill/history.py", "webhooks/events.py"}
    assert names == {"__init__.py", "connector.py"} | routes
    for file in loaded.files:
        text = file.read_text()
        file.write_text(text + "# edited\n")
        assert loader.load(target).code != loaded.code, file
        file.write_text(text)
    assert loader.load(target).code == loaded.code
    write(installed / "mapping.py", "LIMIT = 5\n")
    assert loader.load(target).code != loaded.code


def test_a_package_may_show_its_connector(installed: Path) -> None:
    write(installed / "__init__.py", "from .connector import acme as shown\n")
    loaded = loader.load("acme_pack:shown")
    assert set(loaded.connector.sync_routes) == {"customers"}
    assert len(loaded.files) == 5


def test_a_package_may_be_its_init_alone(installed: Path) -> None:
    (installed / "connector.py").rename(installed / "__init__.py")
    loaded = loader.load("acme_entry")
    assert loaded.connector.key == "acme"
    assert installed / "sync" / "customers.py" in loaded.files


# ── the source as it stands ──


def edit_unnoticed(file: Path, old: str, new: str) -> None:
    """Compile the file, as other tools do, and then edit it within the second, at the same size."""
    py_compile.compile(str(file))
    before = file.stat()
    file.write_text(file.read_text().replace(old, new))
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert new not in str(by_python(file)), "the .pyc is not stale"


def by_python(file: Path) -> dict[str, Any]:
    """What a module holds when Python imports it."""
    names: dict[str, Any] = {}
    exec(SourceFileLoader("acme_by_python", str(file)).get_code("acme_by_python") or "", names)
    return {name: value for name, value in names.items() if name == "VERSION"}


def test_a_file_is_loaded_as_it_is_written(folder: Path) -> None:
    text = "VERSION = '0.1.0'\n" + MODULE.replace('"0.1.0"', "VERSION")
    file = write(folder / "acme.py", text)
    assert loader.load("acme.py").connector.version == "0.1.0"
    assert not (folder / "__pycache__").exists()
    edit_unnoticed(file, "0.1.0", "0.2.0")
    assert loader.load("acme.py").connector.version == "0.2.0"


@pytest.mark.parametrize("holder", ["parts.py", "parts/__init__.py", "__init__.py"])
def test_a_package_is_loaded_as_it_is_written(folder: Path, holder: str) -> None:
    home = package(folder, "acme_pack")
    where = "." if holder == "__init__.py" else ".parts"
    text = MODULE.replace('"0.1.0"', "VERSION")
    write(home / "connector.py", f"from {where} import VERSION\n{text}")
    file = write(home / holder, "VERSION = '0.1.0'\n")
    assert loader.load("acme_pack").connector.version == "0.1.0"
    assert not list(home.rglob("__pycache__"))
    edit_unnoticed(file, "0.1.0", "0.2.0")
    assert loader.load("acme_pack").connector.version == "0.2.0"


def test_two_packages_of_one_name_are_two(folder: Path) -> None:
    for place in ("old", "new"):
        home = package(folder / place, "acme_pack")
        write(home / "connector.py", MODULE.replace("Acme", f"Acme {place}"))
    assert loader.load("old/acme_pack").connector.name == "Acme old"
    assert loader.load("new/acme_pack").connector.name == "Acme new"


def test_many_threads_load_packages_of_one_name_at_once(folder: Path) -> None:
    """As the threads of a server do, whose streams are of several connections."""
    for place in ("one", "two"):
        home = package(folder / place, "acme_pack")
        write(home / "connector.py", MODULE.replace("Acme", f"Acme {place}"))
    places = ["one", "two"] * 20
    with ThreadPoolExecutor(8) as threads:
        loaded = threads.map(lambda place: loader.load(f"{place}/acme_pack"), places)
        assert [each.connector.name for each in loaded] == [f"Acme {place}" for place in places]
