"""From TARGET to a Connector: an installed key, module:attribute, or a file path.

A connector is one module, or a package whose `connector.py` holds the Connector; then its
`sync/<stream>.py`, `backfill/<stream>.py` and `webhooks/<name>.py` are imported too. What is
loaded by its path is compiled from the source as it stands, each time anew.
"""

from __future__ import annotations

import hashlib
import importlib
import importlib.util
import sys
import threading
import traceback
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib.machinery import ModuleSpec, PathFinder, SourceFileLoader
from importlib.metadata import entry_points
from pathlib import Path
from types import CodeType, ModuleType

from penstock.errors import ConnectorError
from penstock.sdk.connector import Connector

ENTRY_POINTS = "penstock.connectors"
SHELF = "penstock.connectors"
ROUTE_FOLDERS = ("sync", "backfill", "webhooks")

_BY_PATH = "penstock_connector_"
"""Begins the name of every module that is loaded by its path."""


@dataclass(frozen=True, slots=True)
class Loaded:
    """A connector with its origin.

    files: its source files; all of a package, whether imported yet or not. code: 32 bytes over
    their contents, so that an edited mapping is never mistaken for the one that made a stored
    version.
    """

    connector: Connector
    target: str
    files: tuple[Path, ...]
    code: bytes


_LOADING = threading.RLock()
"""Held while a connector is loaded: what is loaded by its path takes the place of modules that
another thread may be loading."""


def load(target: str) -> Loaded:
    """Import the connector behind a target.

    Raises ConnectorError with file, line and what to do: nothing found, import fails, no or
    several Connector objects in the module.
    """
    with _LOADING:
        return _load(target)


def _load(target: str) -> Loaded:
    attribute = None
    path = Path(target)
    if path.suffix == ".py" or path.is_dir():
        module = _from_path(path)
    elif ":" in target:
        name, _, attribute = target.partition(":")
        module = _imported(name)
    else:
        module, attribute = _installed(target)
    home = _home(module)
    connector = _connector_in(module if attribute else home, attribute, target)
    _import_routes(home)
    files = tuple(sorted(_files(home)))
    return Loaded(connector, target, files, _digest(files))


def shelf() -> tuple[str, ...]:
    """Keys of the connectors that come with penstock or are installed beside it."""
    package = importlib.import_module(SHELF)
    own = (
        entry.stem
        for folder in package.__path__
        for entry in Path(folder).iterdir()
        if not entry.name.startswith("_") and (entry.suffix == ".py" or entry.is_dir())
    )
    return tuple(sorted({*own, *(entry.name for entry in entry_points(group=ENTRY_POINTS))}))


def _installed(key: str) -> tuple[ModuleType, str | None]:
    for entry in entry_points(group=ENTRY_POINTS):
        if entry.name == key:
            name, _, attribute = entry.value.partition(":")
            return _imported(name), attribute or None
    if key.isidentifier() and importlib.util.find_spec(f"{SHELF}.{key}"):
        return _imported(f"{SHELF}.{key}"), None
    raise ConnectorError(
        f"no connector {key!r}: give an installed key ({', '.join(shelf())}), module:attribute, "
        "or a path such as ./acme.py"
    )


def _imported(name: str) -> ModuleType:
    if "" not in sys.path and str(Path.cwd()) not in sys.path:
        sys.path.insert(0, str(Path.cwd()))
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name and (name == error.name or name.startswith(error.name + ".")):
            raise ConnectorError(f"no module {name!r} to load a connector from") from error
        raise _import_failed(name, error) from error
    except Exception as error:
        raise _import_failed(name, error) from error


def _home(module: ModuleType) -> ModuleType:
    """Where the Connector is: the `connector.py` of a package that has one, else the module."""
    name = f"{module.__name__}.connector"
    if _is_package(module) and importlib.util.find_spec(name):
        return _imported(name)
    return module


def _is_package(module: ModuleType) -> bool:
    return hasattr(module, "__path__")


def _from_path(path: Path) -> ModuleType:
    if not path.exists():
        raise ConnectorError(f"no file {path}; give the path of a connector module or package")
    package = path if path.is_dir() else path.parent if _is_package_file(path) else None
    if package is not None and not (package / "connector.py").exists():
        raise ConnectorError(f"{package}: a connector package needs a connector.py")
    source = (package or path).resolve()
    name = f"{_BY_PATH}{source.stem}"
    _forget(name)
    try:
        return _module(name, source) if package is None else _package(name, source)
    except Exception as error:
        raise _import_failed(str(source), error) from error


def _is_package_file(path: Path) -> bool:
    return path.name == "connector.py" and any(
        (path.parent / name).is_dir() for name in ROUTE_FOLDERS
    )


def _forget(name: str) -> None:
    """Make way for the module as it is now, and for another one of the same name."""
    for known in [k for k in sys.modules if k == name or k.startswith(f"{name}.")]:
        del sys.modules[known]
    importlib.invalidate_caches()
    if _AsWritten not in sys.meta_path:
        sys.meta_path.insert(0, _AsWritten)


def _package(name: str, folder: Path) -> ModuleType:
    """A package by its folder, whether or not it has an __init__.py."""
    init = folder / "__init__.py"
    if init.exists():
        _module(name, init, [str(folder)])
    else:
        sys.modules[name] = ModuleType(name)
        sys.modules[name].__path__ = [str(folder)]
    return importlib.import_module(f"{name}.connector")


def _module(name: str, path: Path, search: list[str] | None = None) -> ModuleType:
    loader = _AsWritten(name, str(path))
    spec = ModuleSpec(name, loader, origin=str(path))
    spec.has_location = True
    spec.submodule_search_locations = search
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    loader.exec_module(module)
    return module


class _AsWritten(SourceFileLoader):
    """Finds and compiles what is loaded by its path. A .pyc is no help there: whether it is stale
    is told by the source's size and second, and an edit can keep both."""

    def get_code(self, fullname: str) -> CodeType:
        path = self.get_filename(fullname)
        code: CodeType = self.source_to_code(self.get_data(path), path)
        return code

    @classmethod
    def find_spec(
        cls, name: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Serves sys.meta_path with the modules of such packages."""
        spec = PathFinder.find_spec(name, path, target) if name.startswith(_BY_PATH) else None
        if spec is not None and isinstance(spec.loader, SourceFileLoader):
            spec.loader = cls(name, spec.loader.path)
        return spec


def _import_routes(module: ModuleType) -> None:
    """Import the route files beside a package's connector.py."""
    if not module.__name__.endswith(".connector") or module.__file__ is None:
        return
    package = module.__name__.rpartition(".")[0]
    folder = Path(module.__file__).parent
    for kind in ROUTE_FOLDERS:
        for file in sorted((folder / kind).glob("*.py")):
            if not file.name.startswith("_"):
                _imported(f"{package}.{kind}.{file.stem}")


def _connector_in(module: ModuleType, attribute: str | None, target: str) -> Connector:
    if attribute:
        found = getattr(module, attribute, None)
        if isinstance(found, Connector):
            return found
        raise ConnectorError(f"{target}: {module.__name__} has no Connector named {attribute!r}")
    found_all = {id(v): (n, v) for n, v in vars(module).items() if isinstance(v, Connector)}
    if len(found_all) == 1:
        return next(iter(found_all.values()))[1]
    names = ", ".join(name for name, _ in found_all.values())
    raise ConnectorError(
        f"{target}: {module.__file__} holds {len(found_all)} Connector objects"
        + (f" ({names}); name one as module:attribute" if names else "; make one with Connector(…)")
    )


def _files(module: ModuleType) -> Iterator[Path]:
    if module.__file__ is None:
        return
    own = Path(module.__file__)
    if _is_package(module) or module.__name__.endswith(".connector"):
        yield from own.parent.rglob("*.py")
    else:
        yield own


def _digest(files: tuple[Path, ...]) -> bytes:
    digest = hashlib.sha256()
    for file in files:
        content = file.read_bytes()
        digest.update(len(content).to_bytes(8, "big") + content)
    return digest.digest()


def _import_failed(what: str, error: BaseException) -> ConnectorError:
    """Our sentence with the author's own line, not ours."""
    if isinstance(error, ConnectorError) and error.line:
        return error
    file, line = _author_line(what, error)
    if isinstance(error, ConnectorError):
        return ConnectorError(error.message, file=file, line=line)
    told = f"importing {what} failed: {type(error).__name__}: {error}"
    return ConnectorError(told, file=file, line=line)


def _author_line(what: str, error: BaseException) -> tuple[str, int]:
    if isinstance(error, SyntaxError):
        return error.filename or what, error.lineno or 1
    ours = str(Path(__file__).parent.parent)
    shelf_folder = str(Path(__file__).parent.parent / "connectors")
    for frame in reversed(traceback.extract_tb(error.__traceback__)):
        foreign = not frame.filename.startswith((ours, "<"))  # "<": no file, generated code
        if foreign or frame.filename.startswith(shelf_folder):
            return frame.filename, frame.lineno or 1
    return what, 1
