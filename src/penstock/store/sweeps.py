"""Sweeps: which documents two complete enumerations in a row did not show."""

from __future__ import annotations

from typing import Any

from sqlalchemy import ColumnElement, Row, Select, and_, case, func, select, update

from penstock.model.unit import DocumentState
from penstock.store.engines import Engines
from penstock.store.rows import Absence, GoneDocument, Sweep
from penstock.store.tables import documents, sightings, sweeps


class SqlSweeps:
    """Role `Sweeps` over the tables. The unit of work writes sightings and seals."""

    def __init__(self, engines: Engines) -> None:
        self._engines = engines

    def get(
        self, workspace: str, connection: str, stream: str, partition: str = ""
    ) -> Sweep | None:
        """The stream's sweep, None before its first sighting."""
        wanted = select(sweeps).where(_is(workspace, connection, stream, partition))
        with self._engines.reader.connect() as reading:
            row = reading.execute(wanted).one_or_none()
        return _sweep(row) if row else None

    def waiting(self, workspace: str, connection: str | None = None) -> list[Sweep]:
        """Those with deletes to be confirmed, in order of connection and stream."""
        row = sweeps.c
        wanted = select(sweeps).where(row.workspace == workspace, row.waiting.is_not(None))
        if connection is not None:
            wanted = wanted.where(row.connection == connection)
        with self._engines.reader.connect() as reading:
            found = reading.execute(wanted.order_by(row.connection, row.stream, row.partition))
            return [_sweep(row) for row in found]

    def absence(self, sweep: Sweep) -> Absence:
        """How many of the live documents it has seen are gone."""
        gone = func.coalesce(func.sum(case((_is_gone(sweep), 1), else_=0)), 0)
        wanted: Select[Any] = select(gone, func.count())
        with self._engines.reader.connect() as reading:
            return Absence(*reading.execute(_of(wanted, sweep)).one())

    def gone(self, sweep: Sweep, *, after: bytes = b"", limit: int = 500) -> list[GoneDocument]:
        """The gone ones, in order of document_id, beginning behind `after`."""
        row = documents.c
        wanted = (
            _of(select(row.document_id, row.document_type, row.idempotency_key), sweep)
            .where(_is_gone(sweep), sightings.c.document_id > after)
            .order_by(sightings.c.document_id)
            .limit(limit)
        )
        with self._engines.reader.connect() as reading:
            return [GoneDocument(*found) for found in reading.execute(wanted)]

    def settle(self, sweep: Sweep, waiting: Absence | None) -> None:
        """The consequences of its last enumeration are drawn, or wait to be confirmed."""
        drawn = {
            "swept": sweep.began,
            "waiting": waiting.gone if waiting else None,
            "members": waiting.members if waiting else None,
        }
        settled = update(sweeps).where(sweeps.c.sweep_no == sweep.sweep_no).values(drawn)
        with self._engines.writer.begin() as writing:
            writing.execute(settled)


def _of(wanted: Select[Any], sweep: Sweep) -> Select[Any]:
    """Of the live documents that the stream has ever seen."""
    return (
        wanted.select_from(sightings)
        .join(documents, documents.c.document_id == sightings.c.document_id)
        .where(
            sightings.c.sweep_no == sweep.sweep_no,
            documents.c.state == DocumentState.LIVE,
        )
    )


def _is_gone(sweep: Sweep) -> ColumnElement[bool]:
    """Not seen since the one before the last complete enumeration began, and by nobody else."""
    return and_(sightings.c.seen < (sweep.before or 0), documents.c.as_of < (sweep.before_at or 0))


def _is(workspace: str, connection: str, stream: str, partition: str) -> ColumnElement[bool]:
    row = sweeps.c
    return and_(
        row.workspace == workspace,
        row.connection == connection,
        row.stream == stream,
        row.partition == partition,
    )


def _sweep(row: Row[Any]) -> Sweep:
    return Sweep(**row._mapping)
