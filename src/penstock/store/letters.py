"""Dead letters: looking through them and closing them. Writing them is part of the commit."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import fields
from typing import Any

from sqlalchemy import Row, delete, func, select, update

from penstock.model.unit import LetterState, UnitOfWork
from penstock.store.engines import Engines
from penstock.store.rows import StoredLetter
from penstock.store.tables import dead_letters

_COLUMNS = [dead_letters.c[field.name] for field in fields(StoredLetter)]
_IDS_AT_ONCE = 1000


class SqlLetters:
    """Role `Letters` over the tables. write: the backend's own way to write a unit's letters."""

    def __init__(self, engines: Engines, write: Callable[[UnitOfWork], None]) -> None:
        self._engines = engines
        self._write = write

    def get(self, letter_id: bytes) -> StoredLetter | None:
        """The letter, or None."""
        wanted = select(*_COLUMNS).where(dead_letters.c.letter_id == letter_id)
        with self._engines.reader.connect() as reading:
            row = reading.execute(wanted).one_or_none()
        return _letter(row) if row else None

    def list(
        self,
        workspace: str,
        *,
        connection: str | None = None,
        stream: str | None = None,
        reason: str | None = None,
        state: LetterState | None = LetterState.OPEN,
        after: bytes = b"",
        limit: int = 100,
    ) -> list[StoredLetter]:
        """In order of letter_id, beginning behind `after`; state None means all."""
        row = dead_letters.c
        wanted = select(*_COLUMNS).where(row.workspace == workspace, row.letter_id > after)
        asked = {"connection": connection, "stream": stream, "reason": reason, "state": state}
        for name, value in asked.items():
            if value is not None:
                wanted = wanted.where(row[name] == value)
        wanted = wanted.order_by(row.letter_id).limit(limit)
        with self._engines.reader.connect() as reading:
            return [_letter(found) for found in reading.execute(wanted)]

    def counts(self, workspace: str, *, connection: str | None = None) -> dict[str, int]:
        """Open letters by reason."""
        row = dead_letters.c
        wanted = select(row.reason, func.count().label("letters")).where(
            row.workspace == workspace, row.state == LetterState.OPEN
        )
        if connection is not None:
            wanted = wanted.where(row.connection == connection)
        with self._engines.reader.connect() as reading:
            found = reading.execute(wanted.group_by(row.reason).order_by(row.reason)).all()
            return {each.reason: each.letters for each in found}

    def totals(self) -> dict[tuple[str, str], int]:
        """(workspace, reason) to the number of open letters."""
        row = dead_letters.c
        wanted = select(row.workspace, row.reason, func.count())
        wanted = wanted.where(row.state == LetterState.OPEN).group_by(row.workspace, row.reason)
        with self._engines.reader.connect() as reading:
            found = reading.execute(wanted)
            return {(workspace, reason): number for workspace, reason, number in found}

    def forget(self, before: int, *, limit: int) -> int:
        """Remove letters that were closed before, at most so many; how many."""
        row = dead_letters.c
        old = select(row.letter_id).where(row.state != LetterState.OPEN, row.closed_at < before)
        with self._engines.writer.begin() as writing:
            gone = delete(dead_letters).where(row.letter_id.in_(old.limit(limit)))
            return writing.execute(gone).rowcount

    def close(self, letter_ids: Sequence[bytes], state: LetterState, *, now: int) -> int:
        """Close open letters; how many were open. One transaction."""
        row = dead_letters.c
        closed = 0
        with self._engines.writer.begin() as writing:
            for start in range(0, len(letter_ids), _IDS_AT_ONCE):
                named = row.letter_id.in_(letter_ids[start : start + _IDS_AT_ONCE])
                close = update(dead_letters).where(row.state == LetterState.OPEN, named)
                closed += writing.execute(close.values(state=state, closed_at=now)).rowcount
        return closed

    def write(self, unit: UnitOfWork) -> None:
        """Write the letters of a unit in a transaction of its own, without a lease."""
        self._write(unit)


def _letter(row: Row[Any]) -> StoredLetter:
    return StoredLetter(**dict(row._mapping) | {"state": LetterState(row.state)})
