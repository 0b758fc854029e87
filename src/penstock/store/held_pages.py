"""Held pages: what came so far of an update that counts only as a whole."""

from __future__ import annotations

from sqlalchemy import select

from penstock.store.engines import Engines
from penstock.store.rows import HeldPage
from penstock.store.tables import held_pages


class SqlHeldPages:
    """Role `HeldPages` over the table. The unit of work writes and releases them."""

    def __init__(self, engines: Engines) -> None:
        self._engines = engines

    def first(
        self, workspace: str, connection: str, stream: str, partition: str = ""
    ) -> HeldPage | None:
        """The page that is held longest, None where none is."""
        row = held_pages.c
        wanted = (
            select(row.unit_no, row.body)
            .where(row.workspace == workspace, row.connection == connection)
            .where(row.stream == stream, row.partition == partition)
            .order_by(row.unit_no)
            .limit(1)
        )
        with self._engines.reader.connect() as reading:
            found = reading.execute(wanted).one_or_none()
        return HeldPage(*found) if found else None
