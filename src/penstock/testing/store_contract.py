"""The store contract: what every storage backend does, as tests.

A backend passes when this class, with `make_store` filled in, is green under pytest:

    class TestMyStore(StoreContract):
        def make_store(self):
            return MyStore.open(self.url)

Each test stands for a sentence of `penstock.store.roles`. `Worker` drives a store as the pipeline
does, and is there for a backend's own tests, too. Register the modules `store_contract*` for
assertion rewriting (pytest.register_assert_rewrite) to see compared values when one fails.
"""

from __future__ import annotations

from dataclasses import replace

from penstock.testing.store_case import placed
from penstock.testing.store_contract_agenda import AgendaContract
from penstock.testing.store_contract_archive import ArchiveContract
from penstock.testing.store_contract_backfills import BackfillsContract
from penstock.testing.store_contract_commit import CommitContract
from penstock.testing.store_contract_moving import MovingContract
from penstock.testing.store_contract_pace import PaceContract
from penstock.testing.store_contract_reading import ReadingContract
from penstock.testing.store_contract_sealed import SealedContract
from penstock.testing.store_contract_shapes import ShapesContract
from penstock.testing.store_contract_streams import StreamsContract
from penstock.testing.store_contract_tokens import TokensContract
from penstock.testing.store_contract_upkeep import UpkeepContract
from penstock.testing.store_contract_views import ViewsContract
from penstock.testing.store_worker import (
    NOW,
    Worker,
    connection,
)


class StoreContract(
    CommitContract,
    StreamsContract,
    ReadingContract,
    SealedContract,
    PaceContract,
    MovingContract,
    TokensContract,
    ShapesContract,
    BackfillsContract,
    UpkeepContract,
    ViewsContract,
    ArchiveContract,
    AgendaContract,
):
    """The behaviour of a store. A backend overrides `make_store`."""

    # ── workspaces ──

    def test_workspaces_do_not_see_each_other(self) -> None:
        for workspace in ("ours", "theirs"):
            saved = connection(workspace=workspace)
            self.store.connections.save(saved, {"key": workspace.encode()}, now=NOW)
            worker = Worker(self.store, workspace=workspace)
            unit = replace(worker.unit(worker.invoice("1")), letters=(worker.letter("2"),))
            worker.commit(unit=unit)
        reader, letters = self.store.reader, self.store.letters
        (found,) = reader.documents("ours", "invoice")
        assert found.workspace == "ours"
        assert reader.find("ours", "invoice", "1") == [found]
        assert [d for d, _ in reader.contents("ours", "invoice")] == [found]
        assert reader.counts("ours")["invoice"]["documents"] == 1
        assert [letter.workspace for letter in letters.list("ours")] == ["ours"]
        assert letters.counts("ours") == {"missing_field": 1}
        assert [run.workspace for run in self.store.runs.list("ours")] == ["ours"]
        assert self.store.connections.sealed("ours", "acme") == {"key": b"ours"}
        assert reader.documents("nobody", "invoice") == []
        assert reader.counts("nobody") == {}
        self.store.connections.remove("ours", "acme")
        assert [c.workspace for c in self.store.connections.list("theirs")] == ["theirs"]
        assert len(self.store.streams.list("theirs")) == 1

    # ── the store itself ──

    def test_facts_say_that_all_is_well(self) -> None:
        facts = self.store.facts()
        assert facts.schema_current
        assert facts.schema_revision
        assert facts.size_bytes > 0
        assert facts.driver_version
        assert facts.hazards == ()

    def test_what_was_committed_is_there_after_closing(self) -> None:
        with self.make_store() as store:
            worker = Worker(store)
            worker.commit(worker.invoice("1"))
        with self.make_store() as store:
            assert [d.source_id for d in store.reader.documents("default", "invoice")] == ["1"]
            assert len(placed(store, 1)) == 1
