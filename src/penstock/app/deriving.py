"""The other end of a re-derivation: a process that reads the database and derives spans of it.

It lives on this host or on a worker of a Dask cluster, and writes nothing.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass, field
from functools import lru_cache

import msgspec

from penstock.app.wiring import open_store
from penstock.clock import SystemClock
from penstock.errors import ConnectorError, PenstockError
from penstock.model.connection import Connection
from penstock.pipeline.derivation import Deriver, Span
from penstock.pipeline.reading import Installation
from penstock.sdk.loader import load
from penstock.work.rederiving import failed


@dataclass(frozen=True, slots=True)
class Assignment:
    """Whose documents to derive: `target` as it was loaded by whoever gives the assignment, if its
    code is still `code`. connection: as JSON."""

    database: str = field(repr=False)
    connection: bytes = field(repr=False)
    target: str
    code: bytes = field(repr=False)
    stream: str
    path: tuple[str, ...] = field(repr=False)
    keeps: bool


def derive(assignment: Assignment, span: Span) -> bytes:
    """What the span comes to, as MessagePack; what fails is told in it."""
    try:
        derived = _deriver(assignment).derive(span)
    except PenstockError as error:
        derived = failed(error)
    return msgspec.msgpack.encode(derived)


@lru_cache(maxsize=4)
def _deriver(assignment: Assignment) -> Deriver:
    """Once for each process; its store is open as long as that lives."""
    sys.path[:] = dict.fromkeys((*sys.path, *assignment.path))
    loaded = load(assignment.target)
    if loaded.code != assignment.code:
        raise ConnectorError(
            f"{assignment.target} is not the same where records are derived: install the same "
            "version on every host, and do not edit it meanwhile"
        )
    store = open_store(assignment.database)
    return Deriver(
        Installation(loaded, msgspec.json.decode(assignment.connection, type=Connection)),
        assignment.stream,
        store.archive,
        store.documents,
        SystemClock(),
        keeps=assignment.keeps,
    )
