"""The feed: the one dense order that followers read."""

from __future__ import annotations

from sqlalchemy import func, select

from penstock.store.engines import Engines
from penstock.store.rows import FeedItem
from penstock.store.tables import feed


class SqlFeed:
    """Role `Feed` over the tables."""

    def __init__(self, engines: Engines) -> None:
        self._engines = engines

    def read(self, after: int, limit: int = 1000) -> list[FeedItem]:
        """At most `limit` items behind `after`, in order."""
        wanted = (
            select(feed.c.seq, feed.c.kind, feed.c.ref)
            .where(feed.c.seq > after)
            .order_by(feed.c.seq)
            .limit(limit)
        )
        with self._engines.reader.connect() as connection:
            return [FeedItem(*row) for row in connection.execute(wanted)]

    def head(self) -> int:
        """The greatest seq, 0 when empty."""
        with self._engines.reader.connect() as connection:
            return connection.scalar(select(func.max(feed.c.seq))) or 0
