"""The feed: the one dense order that followers read."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from sqlalchemy import Select, func, select, text

from penstock.model.unit import DocumentState
from penstock.store.engines import Engines
from penstock.store.rows import FeedItem, FeedVersion
from penstock.store.tables import document_versions, documents, feed

_ROWS_HELD = 200

# For PostgreSQL. Whoever reads a long answer may stop to think, as a pager does. And the plan is
# the feed's own order with a look-up by key for each item: on a table without statistics the
# planner believes in one row, and walks all of them for each.
_STEADY = text("""
SELECT set_config(name, value, true) FROM (VALUES
    ('idle_in_transaction_session_timeout', '0'), ('join_collapse_limit', '1'),
    ('enable_seqscan', 'off'), ('enable_bitmapscan', 'off'), ('enable_sort', 'off'),
    ('enable_hashjoin', 'off'), ('enable_mergejoin', 'off')
) AS setting (name, value)
""")


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

    def versions(
        self,
        workspace: str,
        document_type: str,
        *,
        connection: str | None = None,
        after: int = 0,
        every: bool = False,
        ended: bool = False,
    ) -> Iterator[FeedVersion]:
        """Versions of a type's documents behind `after`, in order, with flat memory; one snapshot.

        Only those that are current, unless `every`; and only those of living documents, unless
        `ended`.
        """
        wanted = _versions(workspace, document_type, after)
        if connection is not None:
            wanted = wanted.where(documents.c.connection == connection)
        if not every:
            wanted = wanted.where(documents.c.version_no == document_versions.c.version_no)
        if not ended:
            wanted = wanted.where(documents.c.state == DocumentState.LIVE)
        with self._engines.reader.connect() as reading:
            if reading.dialect.name == "postgresql":
                reading.execute(_STEADY)
            with reading.execute(wanted.execution_options(yield_per=_ROWS_HELD)) as found:
                for row in found:
                    yield FeedVersion(*row)


def _versions(workspace: str, document_type: str, after: int) -> Select[Any]:
    """The comparisons of documents stand around an expression, so that no index but that of their
    ids leads to them."""
    document, version = documents.c, document_versions.c
    return (
        select(
            feed.c.seq,
            document.document_id,
            document.connection,
            document.source_id,
            document.idempotency_key,
            version.state,
            version.version,
            version.recorded_at,
            version.source_version,
            version.source_updated_at,
            version.content,
        )
        .join_from(feed, document_versions, version.version_no == feed.c.ref)
        .join(documents, document.document_id == version.document_id)
        .where(
            feed.c.seq > after,
            feed.c.kind == "version",
            func.coalesce(document.workspace, "") == workspace,
            func.coalesce(document.document_type, "") == document_type,
        )
        .order_by(feed.c.seq)
    )
