"""What was found, spelled as an author writes it: ready to paste above a mapping. Pure."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import MISSING as NO_DEFAULT
from dataclasses import dataclass, field, fields
from typing import Any

from penstock.upstream.paging import Pager, SinglePage
from penstock.upstream.since import Since


@dataclass(frozen=True, slots=True)
class Collection:
    """The facts of `@acme.collection(…)`. connector: the name of its variable."""

    stream: str
    path: str
    document: str
    id: Any
    records: str = ""
    connector: str = "acme"
    method: str = "GET"
    params: Mapping[str, Any] | None = None
    headers: Mapping[str, str] | None = None
    json: Any = None
    pages: Pager = field(default_factory=SinglePage)
    since: Since | None = None

    def spelled(self) -> str:
        """The decorator, one argument a line."""
        given: list[tuple[str, Any]] = [("path", self.path)]
        optional: tuple[tuple[str, Any, Any], ...] = (
            ("method", self.method, "GET"),
            ("params", dict(self.params or {}), {}),
            ("headers", dict(self.headers or {}), {}),
            ("json", self.json, None),
            ("records", self.records, ""),
        )
        given += [(name, value) for name, value, default in optional if value != default]
        given += [("id", self.id)]
        if self.pages != SinglePage():
            given.append(("pages", self.pages))
        if self.since is not None:
            given.append(("since", self.since))
        given.append(("document", self.document))
        lines = "".join(f"    {name}={spelled(value)},\n" for name, value in given)
        return f"@{self.connector}.collection(\n    {spelled(self.stream)},\n{lines})"


def spelled(value: Any) -> str:
    """Python source of a plain value, or of a frozen part of a declaration with what is not
    its default; a leading `path` stands without its name."""
    match value:
        case str():
            return json.dumps(value, ensure_ascii=False)
        case dict():
            return "{" + ", ".join(f"{spelled(k)}: {spelled(v)}" for k, v in value.items()) + "}"
        case list() | tuple():
            inner = ", ".join(map(spelled, value))
            return f"[{inner}]" if isinstance(value, list) else f"({inner},)"
        case _ if hasattr(value, "__dataclass_fields__"):
            return _spelled_part(value)
        case _:
            return getattr(value, "__name__", repr(value))


def _spelled_part(part: Any) -> str:
    given = []
    for place, member in enumerate(fields(part)):
        value = getattr(part, member.name)
        if member.default is NO_DEFAULT or value != member.default:
            bare = place == 0 and member.name == "path"
            given.append(spelled(value) if bare else f"{member.name}={spelled(value)}")
    return f"{type(part).__name__}({', '.join(given)})"
