"""Notices: what somebody is told, once for each cause, until it is over."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import delete, select, update

from penstock.model.notice import Cause, Notice, StoredNotice, Subject
from penstock.store.engines import Engines
from penstock.store.tables import notices

_ROW = notices.c
_OPEN = _ROW.cleared_at.is_(None)


class SqlNotices:
    """Role `Notices` over the table."""

    def __init__(self, engines: Engines) -> None:
        self._engines = engines

    def open(self) -> list[StoredNotice]:
        """Those that are not over, of all workspaces, oldest first."""
        subject = (_ROW.workspace, _ROW.connection, _ROW.stream, _ROW.cause)
        rest = (_ROW.detail, _ROW.since, _ROW.attempts, _ROW.sent_at)
        wanted = select(_ROW.notice_no, *subject, *rest).where(_OPEN).order_by(_ROW.notice_no)
        with self._engines.reader.connect() as reading:
            return [
                StoredNotice(row[0], Subject(*row[1:4], Cause(row[4])), *row[5:])
                for row in reading.execute(wanted)
            ]

    def write(self, new: Sequence[Notice]) -> None:
        """Open notices; where one of the same subject is open already, nothing is written."""
        rows = [
            notice.subject._asdict()
            | {"detail": notice.detail, "since": notice.since, "attempts": 0}
            for notice in new
        ]
        if not rows:
            return
        with self._engines.writer.begin() as writing:
            writing.execute(
                self._engines.upsert(notices).on_conflict_do_nothing(
                    index_elements=("workspace", "connection", "stream", "cause"),
                    index_where=_OPEN,
                ),
                rows,
            )

    def attempt(self, notice: StoredNotice) -> bool:
        """Count an attempt to tell it; False where another one has been made meanwhile."""
        unchanged = (_ROW.attempts == notice.attempts) & _ROW.sent_at.is_(None) & _OPEN
        count = (
            update(notices)
            .where(_ROW.notice_no == notice.notice_no, unchanged)
            .values(attempts=notice.attempts + 1)
        )
        with self._engines.writer.begin() as writing:
            return writing.execute(count).rowcount == 1

    def told(self, notice_no: int, *, now: int) -> None:
        """Somebody has been told."""
        with self._engines.writer.begin() as writing:
            writing.execute(update(notices).where(_ROW.notice_no == notice_no).values(sent_at=now))

    def clear(self, notice_nos: Sequence[int], *, now: int) -> None:
        """Their causes are over: the next of the same subject is a new one."""
        if not notice_nos:
            return
        over = update(notices).where(_ROW.notice_no.in_(notice_nos), _OPEN)
        with self._engines.writer.begin() as writing:
            writing.execute(over.values(cleared_at=now))

    def forget(self, before: int) -> int:
        """Remove those that were over before; how many."""
        with self._engines.writer.begin() as writing:
            return writing.execute(delete(notices).where(_ROW.cleared_at < before)).rowcount
