"""The store contract: what goes out again, versions in order and views for other programs."""

from __future__ import annotations

import time
import tracemalloc
from dataclasses import replace

from penstock.model.column import Column, ColumnType, SqlView
from penstock.model.unit import DocumentState
from penstock.testing.store_case import StoreCase, in_threads
from penstock.testing.store_worker import NOW, SECOND, Worker

BY_ID = SqlView("by_id", "invoice", (Column("invoice_id", ColumnType.TEXT, ("invoice_id",)),))
BY_LINE = replace(BY_ID, name="by_line", entries="line_items")


class ViewsContract(StoreCase):
    """What readers outside are given."""

    # ── versions in the order of the feed ──

    def places(self, **asked: object) -> list[tuple[int, str, int, str]]:
        found = self.store.feed.versions("default", "invoice", **asked)  # type: ignore[arg-type]
        return [(each.seq, each.source_id, each.version, each.state) for each in found]

    def await_place(self, seq: int) -> None:
        """Until nobody else's open transaction, of any database of the server, holds it up."""
        deadline = time.monotonic() + 60
        while self.store.feed.head() < seq:
            assert time.monotonic() < deadline

    def test_versions_come_in_order_current_ones_or_every_one(self) -> None:
        worker, other = Worker(self.store), Worker(self.store, connection="other")
        worker.commit(worker.invoice("b"), worker.invoice("a"))
        worker.commit(worker.invoice("x")._replace(document_type="bill"), worker.grave("g"))
        other.commit(other.invoice("c"))
        worker.commit(worker.next_version("b", b"{}"))
        ended = worker.next_version("a", b"{}")._replace(state=DocumentState.DELETED)
        worker.commit(ended)
        Worker(self.store, workspace="other").commit(worker.invoice("z"))
        self.await_place(6)
        assert self.places() == [(4, "c", 1, "live"), (5, "b", 2, "live")]
        assert self.places(ended=True) == [*self.places(), (6, "a", 2, "deleted")]
        every = self.places(every=True, ended=True)
        assert every == [
            *[(1, "b", 1, "live"), (2, "a", 1, "live"), (4, "c", 1, "live")],
            *[(5, "b", 2, "live"), (6, "a", 2, "deleted")],
        ]
        assert self.places(every=True, ended=True, after=4) == every[3:]
        assert self.places(connection="other") == [(4, "c", 1, "live")]
        assert self.places(after=6, ended=True) == []

    def test_a_version_is_whole(self) -> None:
        worker = Worker(self.store)
        made = worker.invoice("1")
        worker.commit(made)
        self.await_place(1)
        (found,) = self.store.feed.versions("default", "invoice")
        assert found._asdict() == {
            "seq": 1,
            "document_id": made.document_id,
            "connection": "acme",
            "source_id": "1",
            "idempotency_key": "acme:invoice:1",
            "state": "live",
            "version": 1,
            "recorded_at": NOW,
            "source_version": "7",
            "source_updated_at": NOW - SECOND,
            "content": made.content,
        }

    def test_versions_are_one_snapshot_in_flat_memory(self) -> None:
        worker = Worker(self.store)
        fat = [worker.invoice(str(n))._replace(content=b"x" * 20_000) for n in range(1_000)]
        worker.commit(*fat[:500])
        worker.commit(*fat[500:])
        self.await_place(1_000)
        tracemalloc.start()
        try:
            read = 0
            for version in self.store.feed.versions("default", "invoice"):
                if read == 0:
                    worker.commit(worker.invoice("late"))  # writing goes on meanwhile
                read += len(version.content)
                assert version.source_id != "late"
            peak_bytes = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
        assert read == 1_000 * 20_000
        assert peak_bytes < read / 2

    # ── views ──

    def test_views_are_made_once_and_again_when_they_change(self) -> None:
        keep = self.store.views.keep
        try:
            assert keep([BY_ID, BY_LINE]) == ["by_id", "by_line"]
            assert keep([BY_ID, BY_LINE]) == []
            assert self.open_again().views.keep([BY_LINE, BY_ID]) == []
            assert keep([replace(BY_ID, document_type="bill"), BY_LINE]) == ["by_id"]
            assert keep([BY_LINE]) == ["by_id"]
        finally:
            assert keep([]) == ["by_line"]

    def test_two_who_make_views_at_once_make_them_once(self) -> None:
        stores = [self.store, self.open_again()]
        touched: list[str] = []
        in_threads(*(lambda s=s: touched.extend(s.views.keep([BY_ID])) for s in stores))
        assert touched == ["by_id"]
        assert self.store.views.keep([]) == ["by_id"]
