"""The feed on PostgreSQL: one sequencer gives every committed item its place, exactly once.

Numbers alone are not enough here: a slow transaction may commit behind a faster one that took a
later number, and a follower that has passed it would never see it. So a writer leaves its items in
`feed_inbox` with the id of its transaction, and the sequencer places, in order of those ids, only
items below the horizon: those of transactions before which no other is still open. Nobody else sees
transaction ids. Items from another life of the database (restored, copied) bear ids that no
transaction here can have; they are placed first.
"""

from __future__ import annotations

from collections.abc import Iterator

from sqlalchemy import text

from penstock.store.engines import Engines
from penstock.store.feed import SqlFeed
from penstock.store.rows import FeedItem, FeedVersion

# One sequencer at a time, whoever it is; the key is "feed" in ASCII.
_ALONE = text("SELECT pg_advisory_xact_lock(x'66656564'::int)")

_ANY = text("SELECT 1 FROM feed_inbox LIMIT 1")

_PLACE = text("""
WITH horizon AS (
    SELECT pg_snapshot_xmin(s)::text::bigint AS open, pg_snapshot_xmax(s)::text::bigint AS unborn
    FROM pg_current_snapshot() AS s
), ready AS (
    DELETE FROM feed_inbox USING horizon WHERE txid < open OR txid >= unborn
    RETURNING inbox_no, txid, kind, refs, txid >= unborn AS of_another_life
)
INSERT INTO feed (seq, kind, ref)
SELECT (SELECT coalesce(max(seq), 0) FROM feed)
        + row_number() OVER (ORDER BY of_another_life DESC, txid, inbox_no, place),
    kind, ref
FROM ready CROSS JOIN LATERAL unnest(refs) WITH ORDINALITY AS item (ref, place)
""")


class PostgresFeed:
    """Role `Feed`. Whoever reads lets the sequencer run first."""

    def __init__(self, engines: Engines) -> None:
        self._engines = engines
        self._placed = SqlFeed(engines)

    def read(self, after: int, limit: int = 1000) -> list[FeedItem]:
        """At most `limit` items behind `after`, in order."""
        self.place()
        return self._placed.read(after, limit)

    def head(self) -> int:
        """The greatest seq, 0 when empty."""
        self.place()
        return self._placed.head()

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
        self.place()
        yield from self._placed.versions(
            workspace, document_type, connection=connection, after=after, every=every, ended=ended
        )

    def place(self) -> None:
        """Give every item below the horizon its place."""
        with self._engines.writer.begin() as writing:
            if writing.execute(_ANY).first() is None:
                return
            writing.execute(_ALONE)
            writing.execute(_PLACE)
