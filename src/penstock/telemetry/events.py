"""Named events, and the kill points that fault tests aim at.

Modules log through `event(name, **fields)`: one standard-library logger per first word of the
name, the fields as `extra`. Logs, metrics and traces attach to these names. Never pass a secret
or a payload.
"""

from __future__ import annotations

import logging
import os
import signal
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from itertools import count
from typing import ParamSpec, TypeVar

Fields = Mapping[str, object]
Listener = Callable[[str, Fields], None]
P = ParamSpec("P")
R = TypeVar("R")

_KILL_AT, _, _KILL_COUNT = os.environ.get("PENSTOCK_KILL_AT", "").partition(":")
_passings = count(1)
_listeners: list[Listener] = []
_around: ContextVar[Fields] = ContextVar("penstock_event_fields")
_NOTHING: Fields = {}


def event(name: str, level: int = logging.INFO, **fields: object) -> None:
    """Log one named event, for instance event("page.committed", stream="invoices", records=200).

    Listeners hear of it whatever its level, with the fields of what it happened in (see `about`).
    """
    logger = logging.getLogger("penstock." + name.partition(".")[0])
    logged = logger.isEnabledFor(level)
    if not logged and not _listeners:
        return
    known = {**_around.get(_NOTHING), **fields}
    for listener in tuple(_listeners):
        listener(name, known)
    if logged:
        shown = " ".join(f"{key}={value}" for key, value in fields.items())
        logger.log(level, "%s %s", name, shown, extra={"event": name, "fields": known})


@contextmanager
def about(**fields: object) -> Iterator[None]:
    """Every event in here bears these fields too; its own of the same name go before."""
    before = _around.set({**_around.get(_NOTHING), **fields})
    try:
        yield
    finally:
        _around.reset(before)


def carried(work: Callable[P, R]) -> Callable[P, R]:
    """The same work, for another thread: its events bear the fields of where we are now."""
    fields = _around.get(_NOTHING)

    def carry(*args: P.args, **kwargs: P.kwargs) -> R:
        with about(**fields):
            return work(*args, **kwargs)

    return carry


@contextmanager
def heard_by(listener: Listener) -> Iterator[None]:
    """Tell a listener of every event of the process, in whose thread it happens; it must be quick.

    Listeners are told in the order they came.
    """
    _listeners.append(listener)
    try:
        yield
    finally:
        _listeners.remove(listener)


def kill_point(name: str) -> None:
    """Die here, as by kill -9, when PENSTOCK_KILL_AT=<name>:<n> names this point's n-th passing.

    One comparison when unset. The fault tests prove with it that any moment may be the last one.
    """
    if name == _KILL_AT and next(_passings) >= int(_KILL_COUNT or "1"):
        os.kill(os.getpid(), signal.SIGKILL)
