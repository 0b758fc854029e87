"""Collections and mappings: what most streams are, and the identity of their records."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, get_args

from penstock.errors import ConnectorError
from penstock.sdk.declared import Place
from penstock.upstream.paging import Pager, SinglePage
from penstock.upstream.since import Since

IdPath = str | tuple[str, ...] | Callable[[Any], Any]
MappingFunction = Callable[..., Any]
Deletes = Literal["absent"]
Parents = Literal["all", "changed"]
MOST_AT_ONCE = 32


@dataclass(frozen=True, slots=True)
class Endpoint:
    """How a collection is fetched. Strings may hold templates such as {settings.x}.

    expired: the answers that say that the place to go on from is gone: statuses, or texts in the
    body of a 4xx. deletes: "absent" where a record counts as gone once two complete enumerations
    in a row lack it. parent: the stream whose stored documents this is fetched below, one after the
    other or at_once of them; parents: "all" of them in each run, or only the "changed" ones.
    """

    method: str
    path: str
    params: Mapping[str, Any] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    json: Any = None
    safe: bool = False
    records: str = ""
    pages: Pager = field(default_factory=SinglePage)
    since: Since | None = None
    rate: str | None = None
    cost: int = 1
    expired: tuple[int | str, ...] = ()
    deletes: Deletes | None = None
    parent: str | None = None
    parents: Parents = "all"
    at_once: int = 4

    @property
    def sweeps(self) -> bool:
        """Whether absence proves a delete."""
        return self.deletes == "absent"

    def is_expired(self, status: int, body: bytes) -> bool:
        """Whether a final refusal says that the place to go on from is gone."""
        if not 400 <= status < 500:
            return False
        texts = (sign.encode() for sign in self.expired if isinstance(sign, str))
        return status in self.expired or any(text in body for text in texts)


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


def check_children(
    stream: str, parent: str | None, parents: Parents, at_once: int, deletes: Deletes | None
) -> None:
    """Raises ConnectorError for a child collection that cannot be."""
    if parents not in get_args(Parents):
        raise ConnectorError(
            f"collection {stream}: parents={parents!r} must be one of "
            f"{', '.join(get_args(Parents))}"
        )
    if type(at_once) is not int or not 1 <= at_once <= MOST_AT_ONCE:
        raise ConnectorError(
            f"collection {stream}: at_once must be a whole number from 1 to {MOST_AT_ONCE}, "
            f"not {at_once!r}"
        )
    if parent == stream:
        raise ConnectorError(f"collection {stream} is its own parent; name another stream")
    if parent is not None and deletes is not None:
        raise ConnectorError(
            f"collection {stream}: deletes={deletes!r} needs one list of all records, and below a "
            "parent there are many; leave one of the two out"
        )


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
