"""The shared pace: one row for each state, changed by one pure decision at a time."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

from sqlalchemy import ColumnElement, Connection, and_, select, update

from penstock.model.pace import UNTOUCHED, PaceKey, PaceState
from penstock.store import json_text
from penstock.store.engines import Engines
from penstock.store.tables import pace

T = TypeVar("T")


class SqlPace:
    """Role `Pace` over the table. The row's lock, on SQLite the writer's, makes decisions queue."""

    def __init__(self, engines: Engines) -> None:
        self._engines = engines

    def look(
        self, keys: Sequence[PaceKey], *, now: Callable[[], int]
    ) -> tuple[Sequence[PaceState], int]:
        """The states, and the instant of looking. Takes no lock."""
        with self._engines.reader.connect() as reading:
            states = [_found(reading, key) or UNTOUCHED for key in keys]
            return states, now()

    def change(
        self,
        keys: Sequence[PaceKey],
        decide: Callable[[Sequence[PaceState], int], tuple[T, Sequence[PaceState]]],
        *,
        now: Callable[[], int],
    ) -> T:
        """Decide on the states and keep those that changed, in one transaction."""
        with self._engines.writer.begin() as writing:
            # In one order for everybody, so that two who want the same rows do not lock each other.
            locked = {key: self._locked(writing, key) for key in sorted(keys)}
            before = [locked[key] for key in keys]
            answer, after = decide(before, now())
            for key, old, new in zip(keys, before, after, strict=True):
                if new != old:
                    kept = json_text.dump(new.as_json())
                    writing.execute(update(pace).where(_is(key)).values(state=kept))
            return answer

    def _locked(self, writing: Connection, key: PaceKey) -> PaceState:
        state = _found(writing, key, lock=True)
        if state is not None:
            return state
        row = dict(zip(PaceKey._fields, key, strict=True)) | {"state": "{}"}
        writing.execute(self._engines.upsert(pace).values(row).on_conflict_do_nothing())
        return _found(writing, key, lock=True) or UNTOUCHED


def _found(connection: Connection, key: PaceKey, *, lock: bool = False) -> PaceState | None:
    wanted = select(pace.c.state).where(_is(key))
    state = connection.scalar(wanted.with_for_update() if lock else wanted)
    return None if state is None else PaceState.from_json(json_text.load(state))


def _is(key: PaceKey) -> ColumnElement[bool]:
    row = pace.c
    return and_(*(row[name] == value for name, value in zip(key._fields, key, strict=True)))
