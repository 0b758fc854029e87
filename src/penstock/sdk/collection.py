"""Collections and mappings: what most streams are, and the identity of their records."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from penstock.errors import ConnectorError
from penstock.sdk.declared import Place
from penstock.upstream.paging import Pager, SinglePage
from penstock.upstream.since import Since

IdPath = str | tuple[str, ...] | Callable[[Any], Any]
MappingFunction = Callable[..., Any]


@dataclass(frozen=True, slots=True)
class Endpoint:
    """How a collection is fetched. Strings may hold templates such as {settings.x}."""

    method: str
    path: str
    params: Mapping[str, Any] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    json: Any = None
    safe: bool = False
    records: str = ""
    pages: Pager = field(default_factory=SinglePage)
    since: Since | None = None


@dataclass(frozen=True, slots=True)
class RecordMapping:
    """From provider record to payload, and the record's name.

    takes_context: the function has a second parameter. endpoint: None where a route fetches.
    """

    stream: str
    document: str
    id: IdPath
    function: MappingFunction
    takes_context: bool
    place: Place
    endpoint: Endpoint | None = None


def takes_context(function: MappingFunction, place: Place) -> bool:
    """Whether a mapping wants (record, context). Raises ConnectorError for other signatures."""
    try:
        parameters = list(inspect.signature(function).parameters.values())
    except (TypeError, ValueError):
        return False
    required = [p for p in parameters if p.default is p.empty and p.kind in (0, 1)]
    positional = [p for p in parameters if p.kind in (0, 1)]
    if len(required) > 2 or not positional:
        name = getattr(function, "__name__", "mapping")
        raise ConnectorError(
            f"mapping {name} must take (record) or (record, context), "
            f"not {inspect.signature(function)}",
            file=place.file,
            line=place.line,
        )
    return len(required) == 2
