"""Shapes of records and their drift: looking through them and accepting. A unit writes them."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

from sqlalchemy import Select, exists, func, select, update

from penstock.model.standing import Condition
from penstock.store.engines import Engines
from penstock.store.rows import StoredDrift
from penstock.store.tables import drifts, shapes, stream_state

_COLUMNS = [drifts.c[field.name] for field in fields(StoredDrift)]


class SqlShapes:
    """Role `Shapes` over the tables."""

    def __init__(self, engines: Engines) -> None:
        self._engines = engines

    def get(self, workspace: str, connection: str, stream: str) -> bytes | None:
        """The shape as the last unit wrote it, None before the first."""
        row = shapes.c
        wanted = select(row.shape).where(
            row.workspace == workspace, row.connection == connection, row.stream == stream
        )
        with self._engines.reader.connect() as reading:
            return reading.scalar(wanted)

    def drifts(
        self,
        workspace: str,
        *,
        connection: str | None = None,
        stream: str | None = None,
        accepted: bool | None = False,
        after: int = 0,
        limit: int = 100,
    ) -> list[StoredDrift]:
        """In order of drift_no, beginning behind `after`; accepted None means all."""
        row = drifts.c
        wanted = _of(select(*_COLUMNS), workspace, connection, stream).where(row.drift_no > after)
        if accepted is not None:
            wanted = wanted.where(row.accepted_at.is_not(None) == accepted)
        with self._engines.reader.connect() as reading:
            found = reading.execute(wanted.order_by(row.drift_no).limit(limit))
            return [StoredDrift(*each) for each in found]

    def counts(self, workspace: str, *, connection: str | None = None) -> dict[str, int]:
        """Waiting drifts by kind."""
        row = drifts.c
        wanted = _of(select(row.kind, func.count().label("drifts")), workspace, connection, None)
        wanted = wanted.where(row.accepted_at.is_(None)).group_by(row.kind).order_by(row.kind)
        with self._engines.reader.connect() as reading:
            return {found.kind: found.drifts for found in reading.execute(wanted)}

    def waiting(self) -> dict[tuple[str, str, str], tuple[int, int]]:
        """(workspace, connection, stream) to how many drifts wait, and since when the first."""
        row = drifts.c
        where = (row.workspace, row.connection, row.stream)
        wanted = select(*where, func.count(), func.min(row.first_seen_at))
        wanted = wanted.where(row.accepted_at.is_(None)).group_by(*where)
        with self._engines.reader.connect() as reading:
            return {tuple(found[:3]): tuple(found[3:]) for found in reading.execute(wanted)}

    def accept(
        self,
        workspace: str,
        connection: str,
        stream: str | None = None,
        *,
        drift_no: int | None = None,
        now: int,
    ) -> int:
        """Accept waiting drifts, and let the streams go on that waited for that: see the role."""
        row = drifts.c
        accept = update(drifts).where(
            row.workspace == workspace, row.connection == connection, row.accepted_at.is_(None)
        )
        for column, value in ((row.stream, stream), (row.drift_no, drift_no)):
            if value is not None:
                accept = accept.where(column == value)
        paused = stream_state.c
        waits = exists().where(
            row.workspace == paused.workspace,
            row.connection == paused.connection,
            row.stream == paused.stream,
            row.accepted_at.is_(None),
        )
        go_on = update(stream_state).where(
            paused.workspace == workspace,
            paused.connection == connection,
            paused.state == Condition.PAUSED_BY_DRIFT,
            ~waits,
        )
        well = {"state": Condition.OK, "reason": None, "since": now}
        with self._engines.writer.begin() as writing:
            accepted = writing.execute(accept.values(accepted_at=now)).rowcount
            writing.execute(go_on.values(well))
        return accepted


def _of(
    wanted: Select[Any], workspace: str, connection: str | None, stream: str | None
) -> Select[Any]:
    wanted = wanted.where(drifts.c.workspace == workspace)
    for column, value in ((drifts.c.connection, connection), (drifts.c.stream, stream)):
        if value is not None:
            wanted = wanted.where(column == value)
    return wanted
