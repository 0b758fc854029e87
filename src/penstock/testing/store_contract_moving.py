"""The store contract: held pages, woken streams, and deletes proven by absence."""

from __future__ import annotations

from dataclasses import replace

from penstock.errors import LeaseLostError, WriteConflictError
from penstock.model.connection import StreamState
from penstock.model.unit import Checkpoint, DocumentState, Seal, Wake
from penstock.store.rows import Absence, HeldPage, Sweep
from penstock.testing.store_case import StoreCase, refusal
from penstock.testing.store_worker import EVERY_BYTE, NOW, SECOND, Worker, connection


class MovingContract(StoreCase):
    """What a unit keeps for later pages, for other streams and for the next enumeration."""

    # ── held pages ──

    def test_held_pages_come_back_in_order_until_they_are_released(self) -> None:
        worker = Worker(self.store)
        for body in (EVERY_BYTE, b"second", b"third"):
            worker.commit(unit=replace(worker.unit(), held=body))
        first = self.held()
        assert first is not None
        assert (first.unit_no, first.body) == (1, EVERY_BYTE)
        worker.commit(unit=replace(worker.unit(), released=first.unit_no))
        second = self.held()
        assert second is not None
        assert (second.unit_no, second.body) == (2, b"second")
        worker.commit(unit=replace(worker.unit(), released=worker.unit_no))
        assert self.held() is None

    def test_a_unit_releases_before_it_holds(self) -> None:
        worker = Worker(self.store)
        worker.commit(unit=replace(worker.unit(), held=b"old"))
        worker.commit(unit=replace(worker.unit(), held=b"new", released=worker.unit_no))
        kept = self.held()
        assert kept is not None
        assert kept.body == b"new"

    def test_held_pages_are_those_of_one_stream(self) -> None:
        ours, theirs = Worker(self.store), Worker(self.store, stream="payments")
        ours.commit(unit=replace(ours.unit(), held=b"ours"))
        theirs.commit(unit=replace(theirs.unit(), held=b"theirs"))
        theirs.commit(unit=replace(theirs.unit(), released=100))
        assert self.held() is not None
        assert self.held("payments") is None
        assert self.store.held_pages.first("other", "acme", "invoices") is None

    def test_a_refused_unit_holds_and_releases_nothing(self) -> None:
        worker = Worker(self.store)
        worker.commit(unit=replace(worker.unit(worker.invoice("1")), held=b"kept"))
        refused = replace(worker.unit(worker.invoice("1")), held=b"lost", released=1)
        refusal(WriteConflictError, lambda: self.store.documents.commit(refused))
        zombie = replace(worker.unit(), held=b"lost", released=1)
        self.store.streams.claim(replace(worker.lease, owner="b"), now=NOW, held_by="worker 1")
        refusal(LeaseLostError, lambda: self.store.documents.commit(zombie))
        kept = self.held()
        assert kept is not None
        assert kept.body == b"kept"

    # ── woken streams ──

    def test_a_unit_makes_other_streams_due(self) -> None:
        worker = Worker(self.store)
        unit = replace(worker.unit(), wakes=(Wake("payments"), Wake("refunds", full=True)))
        worker.commit(unit=unit)
        payments, refunds = self.stream("payments"), self.stream("refunds")
        assert (payments.next_run_at, payments.full_wanted_at) == (unit.recorded_at, None)
        assert (refunds.next_run_at, refunds.full_wanted_at) == (unit.recorded_at,) * 2
        assert (payments.state, payments.lease_owner, payments.unit_no) == ("new", "", 0)

    def test_waking_leaves_the_rest_of_a_stream_alone(self) -> None:
        other = Worker(self.store, stream="payments")
        point = Checkpoint({"after": 1}, {"high": 2}, NOW)
        other.commit(unit=replace(other.unit(), checkpoint=point))
        worker = Worker(self.store)
        worker.commit(unit=replace(worker.unit(), wakes=(Wake("payments", full=True),)))
        woken = worker.unit()
        worker.commit(unit=replace(woken, wakes=(Wake("payments"),)))
        after = self.stream("payments")
        assert (after.cursor, after.enumeration, after.watermark) == (
            {"after": 1},
            {"high": 2},
            NOW,
        )
        assert (after.unit_no, after.lease_owner) == (1, "worker 1")
        assert after.next_run_at == woken.recorded_at
        assert after.full_wanted_at == woken.recorded_at - 1

    # ── enumerations of everything ──

    def test_the_start_of_the_last_full_enumeration_stays(self) -> None:
        worker = Worker(self.store)
        for full_at in (NOW, None):
            checkpoint = Checkpoint(full_at=full_at)
            worker.commit(unit=replace(worker.unit(), checkpoint=checkpoint))
            assert self.stream("invoices").full_at == NOW

    def test_notes_are_those_of_the_last_time(self) -> None:
        Worker(self.store)
        assert self.stream("invoices").notes == ()
        for notes in (("first", "zweites ü"), ()):
            self.store.streams.note("default", "acme", "invoices", notes)
            assert self.stream("invoices").notes == notes

    # ── deletes proven by absence ──

    def test_a_stream_without_sightings_has_no_sweep(self) -> None:
        worker = Worker(self.store)
        worker.commit(worker.invoice("1"))
        assert self.store.sweeps.get("default", "acme", "invoices") is None
        assert self.store.sweeps.waiting("default") == []

    def test_the_last_two_seals_are_remembered(self) -> None:
        worker = Worker(self.store)
        for turn in range(3):
            self.enumerate(worker, "1", at=NOW + turn)
        sweep = self.sweep()
        assert (sweep.began, sweep.before) == (3, 2)
        assert (sweep.began_at, sweep.before_at) == (NOW + 2, NOW + 1)
        assert (sweep.swept, sweep.waiting, sweep.members) == (None, None, None)

    def test_gone_is_what_two_enumerations_lack(self) -> None:
        worker = Worker(self.store)
        made = self.made(worker, 5)
        self.enumerate(worker, *"01234", at=NOW + SECOND)
        self.enumerate(worker, *"012", at=NOW + 2 * SECOND)
        assert self.gone() == []
        self.enumerate(worker, *"013", at=NOW + 3 * SECOND)
        assert self.gone() == [made["4"]]
        assert self.store.sweeps.absence(self.sweep()) == Absence(gone=1, members=5)

    def test_gone_documents_come_in_order_and_in_parts(self) -> None:
        worker = Worker(self.store)
        made = self.made(worker, 9)
        self.enumerate(worker, *made, at=NOW + SECOND)
        for turn in (2, 3):
            self.enumerate(worker, "0", at=NOW + turn * SECOND)
        expected = sorted(identity for number, identity in made.items() if number != "0")
        assert self.gone() == expected
        sweep, found, after = self.sweep(), list[bytes](), b""
        while part := self.store.sweeps.gone(sweep, after=after, limit=3):
            assert len(part) <= 3
            found += [document.document_id for document in part]
            after = found[-1]
        assert found == expected
        (document,) = self.store.sweeps.gone(sweep, limit=1)
        assert document.document_type == "invoice"
        assert made[document.idempotency_key.removeprefix("acme:invoice:")] == document.document_id

    def test_a_document_that_others_brought_news_of_is_not_gone(self) -> None:
        worker = Worker(self.store)
        self.made(worker, 3)
        self.enumerate(worker, *"012", at=NOW + SECOND)
        late = worker.next_version("2", b'{"changed":1}')._replace(as_of=NOW + 2 * SECOND)
        worker.commit(late)
        for turn in (2, 3):
            self.enumerate(worker, "0", at=NOW + turn * SECOND)
        assert self.gone() == [worker.invoice("1").document_id]

    def test_deleted_documents_are_no_members(self) -> None:
        worker = Worker(self.store)
        self.made(worker, 3)
        self.enumerate(worker, *"012", at=NOW + SECOND)
        worker.commit(worker.next_version("2", b"{}")._replace(state=DocumentState.DELETED))
        for turn in (2, 3):
            self.enumerate(worker, "0", at=NOW + turn * SECOND)
        assert self.store.sweeps.absence(self.sweep()) == Absence(gone=1, members=2)

    def test_what_a_sweep_came_to_is_kept(self) -> None:
        worker = Worker(self.store)
        for turn in (1, 2):
            self.enumerate(worker, "1", at=NOW + turn)
        self.store.sweeps.settle(self.sweep(), Absence(gone=6, members=100))
        sweep = self.sweep()
        assert (sweep.swept, sweep.waiting, sweep.members) == (sweep.began, 6, 100)
        assert self.store.sweeps.waiting("default") == [sweep]
        assert self.store.sweeps.waiting("default", "acme") == [sweep]
        assert self.store.sweeps.waiting("default", "other") == []
        assert self.store.sweeps.waiting("other") == []
        self.store.sweeps.settle(sweep, None)
        assert self.store.sweeps.waiting("default") == []

    def test_a_refused_unit_sees_and_seals_nothing(self) -> None:
        worker = Worker(self.store)
        made = worker.invoice("1")
        worker.commit(made)
        unit = replace(worker.unit(made), sighted=(made.document_id,), seal=Seal(1, NOW))
        refusal(WriteConflictError, lambda: self.store.documents.commit(unit))
        assert self.store.sweeps.get("default", "acme", "invoices") is None

    def test_a_page_may_show_a_document_twice(self) -> None:
        worker = Worker(self.store)
        self.made(worker, 2)
        self.enumerate(worker, *"0110", at=NOW)
        assert self.store.sweeps.absence(self.sweep()) == Absence(gone=0, members=2)

    # ── removal ──

    def test_a_removed_connection_keeps_none_of_it(self) -> None:
        self.store.connections.save(connection(), {}, now=NOW)
        worker = Worker(self.store)
        self.made(worker, 2)
        self.enumerate(worker, *"01", at=NOW)
        worker.commit(unit=replace(worker.unit(), held=b"page"))
        self.store.connections.remove("default", "acme")
        assert self.held() is None
        assert self.store.sweeps.get("default", "acme", "invoices") is None
        again = Worker(self.store, owner="worker 2")
        self.enumerate(again, "1", at=NOW)
        assert self.store.sweeps.absence(self.sweep()) == Absence(gone=0, members=1)

    def held(self, stream: str = "invoices") -> HeldPage | None:
        return self.store.held_pages.first("default", "acme", stream)

    def stream(self, name: str) -> StreamState:
        state = self.store.streams.get("default", "acme", name)
        assert state is not None
        return state

    def sweep(self) -> Sweep:
        sweep = self.store.sweeps.get("default", "acme", "invoices")
        assert sweep is not None
        return sweep

    def gone(self) -> list[bytes]:
        return [document.document_id for document in self.store.sweeps.gone(self.sweep())]

    def made(self, worker: Worker, number: int) -> dict[str, bytes]:
        """Invoices 0 to number - 1 in one unit; number to document id."""
        made = {str(n): worker.invoice(str(n)) for n in range(number)}
        worker.commit(*made.values())
        return {name: version.document_id for name, version in made.items()}

    def enumerate(self, worker: Worker, *numbers: str, at: int) -> None:
        """A complete enumeration of one page that shows these invoices."""
        shown = tuple(worker.invoice(number).document_id for number in numbers)
        seal = Seal(worker.unit_no + 1, at)
        worker.commit(unit=replace(worker.unit(), sighted=shown, seal=seal))
