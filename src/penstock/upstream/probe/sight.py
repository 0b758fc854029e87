"""A page as it is seen for the first time: where its records are, and what they are made of."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from penstock.errors import PageRefusedError
from penstock.upstream.fields import MISSING, Path
from penstock.upstream.request import Response

DEPTH = 4
"""Objects around the list of records, and around a member that names the next page."""
LISTS = ("data", "items", "results", "records", "value", "values", "entries", "nodes", "edges")
KINDS = (
    (bool, "boolean"),
    (int, "integer"),
    (Decimal, "decimal"),
    (str, "text"),
    (list, "list"),
    (dict, "object"),
)


@dataclass(frozen=True, slots=True)
class Field:
    """A field of the records. kinds: of its values, "null" included; present: how many have it."""

    name: str
    kinds: tuple[str, ...]
    present: int

    def as_json(self) -> dict[str, Any]:
        return {"name": self.name, "kinds": list(self.kinds), "present": self.present}


@dataclass(frozen=True, slots=True)
class Sight:
    """One page. path: of its records, "" for a top-level list."""

    response: Response
    document: Any
    path: str
    records: tuple[Any, ...]

    @property
    def fields(self) -> tuple[Field, ...]:
        """Those of the records themselves, in the order they come."""
        objects = [record for record in self.records if isinstance(record, dict)]
        names = dict.fromkeys(name for record in objects for name in record)
        return tuple(
            Field(
                name,
                tuple(dict.fromkeys(kind(r[name]) for r in objects if name in r)),
                sum(name in record for record in objects),
            )
            for name in names
        )

    @property
    def id(self) -> str | None:
        """Path of the field that names a record best: in all of them, and different in each."""
        found = list(dict.fromkeys(p for r in self.records for p, _ in members(r)))
        fitting = [path for path in found if _rank_as_id(path) and self._is_name(path)]
        return min(fitting, key=lambda path: (_rank_as_id(path), path.count(".")), default=None)

    def names(self) -> set[str]:
        """What tells the page's records from others: their names, else all they hold."""
        path = self.id
        return {str(Path.parse(path).get(r) if path else r) for r in self.records}

    def _is_name(self, path: str) -> bool:
        values = [Path.parse(path).get(record) for record in self.records]
        plain = all(isinstance(v, str | int) and not isinstance(v, bool) for v in values)
        return plain and len(set(map(str, values))) == len(values)


def look(response: Response, path: str | None = None) -> Sight:
    """The page of a response; path: of the records, where it is known.

    Raises PageRefusedError where the answer is no JSON or holds no list of records.
    """
    document = response.json()
    where = _list_in(document) if path is None else path
    records = Path.parse(where).get(document) if where is not None else None
    if where is not None and path is not None and records in (None, MISSING):
        records = []
    if where is None or not isinstance(records, list):
        raise PageRefusedError(
            "the answer holds no list of records: is this the address of a listing, and are the "
            "credentials right?",
            code="records_path_missing",
        )
    return Sight(response, document, where, tuple(records))


def members(value: Any, depth: int = DEPTH, path: str = "") -> Iterator[tuple[str, Any]]:
    """(path, value) of every member, objects opened, lists not."""
    if not isinstance(value, dict) or depth == 0:
        return
    for name, member in value.items():
        if not name or "?" in name:
            continue
        here = f"{path}.{name}" if path else name
        yield here, member
        yield from members(member, depth - 1, here)


def leaf(path: str) -> str:
    """The last name of a path, letters and digits only, lower case: "@odata.nextLink" and
    "next_link" end alike."""
    return plain(path.rpartition(".")[2])


def plain(name: str) -> str:
    return "".join(c for c in name.lower() if c.isalnum())


def kind(value: Any) -> str:
    return next((name for type_, name in KINDS if isinstance(value, type_)), "null")


def _list_in(document: Any) -> str | None:
    """The longest list of objects, the usual names first where all are empty."""
    if isinstance(document, list):
        return ""
    lists = [(p, v) for p, v in members(document) if isinstance(v, list) and _may_be_records(v)]
    lists = [(path, found) for path, found in lists if Path.parse(path).get(document) is found]
    best = max(lists, key=lambda item: (len(item[1]), leaf(item[0]) in LISTS), default=None)
    return best and best[0]


def _may_be_records(found: list[Any]) -> bool:
    return all(isinstance(record, dict) for record in found)


def _rank_as_id(path: str) -> int:
    """1 for the likeliest name of an id; 0 for none."""
    name = path.rpartition(".")[2]
    exact = {"id": 1, "uuid": 2, "guid": 2, "gid": 2}.get(name.lower())
    if exact:
        return exact
    if name.endswith(("_id", "ID", "Id")):
        return 3
    return {"key": 4, "number": 5, "code": 5, "reference": 6}.get(name.lower(), 0)
