"""The store contract: archived pages, and which records current versions came from."""

from __future__ import annotations

from dataclasses import replace

from penstock.model.drift import Drift, DriftKind, Observed, Witnessed
from penstock.model.unit import ArchivedPage, DocumentState, LetterState, MovedMarks, UnitOfWork
from penstock.store.rows import Trace
from penstock.testing.store_case import StoreCase
from penstock.testing.store_worker import NOW, SECOND, Worker, page


class ArchiveContract(StoreCase):
    """Traces, units of pages, forgetting."""

    def pulled(self, worker: Worker, *numbers: str, received_at: int = NOW) -> UnitOfWork:
        """A page with those invoices, committed."""
        versions = [
            worker.invoice(number)._replace(page_index=place)
            for place, number in enumerate(numbers)
        ]
        response = replace(page(b"body of " + numbers[0].encode()), received_at=received_at)
        unit = replace(worker.unit(*versions), pages=(response,))
        worker.commit(unit=unit)
        return unit

    def traces(self, worker: Worker, after: int = 0, upto: int | None = None) -> list[Trace]:
        last = self.store.archive.last() if upto is None else upto
        place = (worker.workspace, worker.connection, worker.stream)
        return self.store.archive.traces(*place, after=after, upto=last)

    def sources(self, worker: Worker) -> list[str]:
        return [trace.head.source_id for trace in self.traces(worker)]

    # ── traces ──

    def test_an_empty_store_has_no_versions_to_trace(self) -> None:
        assert self.store.archive.last() == 0
        assert self.store.archive.traces("default", "acme", "invoices", after=0, upto=9) == []

    def test_a_trace_leads_from_a_document_to_its_record(self) -> None:
        worker = Worker(self.store)
        unit = self.pulled(worker, "1", "2")
        first, second = self.traces(worker)
        ids = [version.document_id for version in unit.versions]
        heads = self.store.documents.heads(ids)
        assert [first.head, second.head] == [heads[i] for i in ids]
        assert (first.document_type, first.page_index, second.page_index) == ("invoice", 0, 1)
        assert first.content == unit.versions[0].content
        assert first.page_no == second.page_no is not None
        assert (first.kept, first.newer, first.has_letter) == (len(b"body of 1"), False, False)
        assert self.store.archive.last() == second.head.version_no

    def test_only_current_versions_are_traced(self) -> None:
        worker = Worker(self.store)
        self.pulled(worker, "1", "2")
        before = self.store.archive.last()
        worker.commit(worker.next_version("1", b'{"invoice_id":"1","n":1}'))
        (second, first) = self.traces(worker)
        assert (second.head.source_id, first.head.source_id) == ("2", "1")
        assert (first.head.version, first.page_no, first.kept) == (2, None, 0)
        assert [t.head.source_id for t in self.traces(worker, after=before)] == ["1"]
        assert [t.head.source_id for t in self.traces(worker, upto=before)] == ["2"]

    def test_traces_are_those_of_runs_of_the_stream(self) -> None:
        workers = [
            Worker(self.store),
            Worker(self.store, stream="others"),
            Worker(self.store, connection="second"),
            Worker(self.store, workspace="theirs"),
        ]
        for number, worker in enumerate(workers):
            self.pulled(worker, str(number))
        assert [self.sources(worker) for worker in workers] == [["0"], ["1"], ["2"], ["3"]]

    def test_what_has_ended_is_traced_where_a_record_says_so(self) -> None:
        worker = Worker(self.store)
        self.pulled(worker, "1", "2")
        ends = [
            worker.next_version(number, b"{}")._replace(state=DocumentState.DELETED)
            for number in ("1", "2")
        ]
        worker.commit(ends[0])
        assert self.sources(worker) == ["2"]
        worker.commit(unit=replace(worker.unit(ends[1]), pages=(page(),)))
        assert self.sources(worker) == ["2"]
        worker.commit(worker.grave("3"))
        assert self.sources(worker) == ["2"]

    def test_a_trace_says_that_marks_have_moved_since(self) -> None:
        worker = Worker(self.store)
        self.pulled(worker, "1", "2")
        first, _ = self.traces(worker)
        head = first.head
        later = MovedMarks(head.document_id, head.version_no, head.raw_mark, "7", NOW, NOW)
        worker.commit(unit=replace(worker.unit(), marks=(later,)))
        assert [trace.newer for trace in self.traces(worker)] == [True, False]

    def test_a_trace_says_that_a_letter_is_open(self) -> None:
        worker = Worker(self.store)
        self.pulled(worker, "1", "2")
        letter = worker.letter("2")
        worker.commit(unit=replace(worker.unit(), letters=(letter,)))
        assert [trace.has_letter for trace in self.traces(worker)] == [False, True]

    # ── spans that part no page ──

    def test_a_cut_never_goes_through_a_page(self) -> None:
        worker = Worker(self.store)
        self.pulled(worker, "1", "2", "3")
        self.pulled(worker, "4", "5")
        first, *_, last = (trace.head.version_no for trace in self.traces(worker))
        assert self.store.archive.cut(first) == first + 2
        assert self.store.archive.cut(first + 2) == first + 2
        assert self.store.archive.cut(first + 3) == last == self.store.archive.last()

    # ── units ──

    def test_the_responses_of_a_unit_are_found_by_the_first(self) -> None:
        worker, other = Worker(self.store), Worker(self.store, stream="others")
        asked = replace(page(b"first"), asked='{"cursor":1}')
        responses: tuple[ArchivedPage, ...] = (asked, page(b"second"), page(b"third"))
        worker.commit(unit=replace(worker.unit(worker.invoice("1")), pages=responses))
        self.pulled(other, "2")
        self.pulled(worker, "3")
        (trace, _) = self.traces(worker)
        assert trace.page_no is not None
        unit = self.store.archive.unit(trace.page_no)
        assert [one.body for one in unit] == [b"first", b"second", b"third"]
        assert [one.parts for one in unit] == [3, 0, 0]
        assert [one.asked for one in unit] == ['{"cursor":1}', None, None]

    def test_versions_can_point_at_a_page_that_is_archived(self) -> None:
        """And then no letter is superseded by them: they tell nothing new."""
        worker = Worker(self.store)
        self.pulled(worker, "1")
        (trace,) = self.traces(worker)
        letter = worker.letter("1")
        worker.commit(unit=replace(worker.unit(), letters=(letter,)))
        made = worker.next_version("1", b'{"invoice_id":"1","n":1}')
        worker.commit(unit=replace(worker.unit(made), page_no=trace.page_no))
        (again,) = self.traces(worker)
        assert (again.page_no, again.page_index) == (trace.page_no, 0)
        assert again.has_letter

    # ── forgetting ──

    def test_pages_older_than_that_lose_their_bodies_and_nothing_else(self) -> None:
        worker = Worker(self.store)
        self.pulled(worker, "1", received_at=NOW - SECOND)
        self.pulled(worker, "2")
        old, young = self.traces(worker)
        assert old.page_no is not None
        before = self.store.archive.unit(old.page_no)[0]
        forgotten = self.store.archive.forget(before=NOW)
        assert forgotten == (1, len(b"body of 1"), None)
        assert self.store.archive.unit(old.page_no) == [replace(before, body=b"")]
        assert [trace.kept for trace in self.traces(worker)] == [0, young.kept]
        assert self.store.archive.forget(before=NOW) == (0, 0, None)

    def test_pages_are_forgotten_some_at_a_time(self) -> None:
        worker = Worker(self.store)
        for number in range(5):
            self.pulled(worker, str(number))
        archive, after, pages = self.store.archive, 0, []
        while True:
            some = archive.forget(before=NOW + 1, after=after, limit=2)
            pages.append(some.pages)
            if some.last is None:
                break
            after = some.last
        assert pages == [2, 2, 1]

    def test_a_page_that_an_open_letter_or_a_waiting_drift_points_at_stays(self) -> None:
        worker = Worker(self.store)
        drift = Drift(DriftKind.NEW_FIELD, "vat", "", "a new field")
        observed = Observed("invoices", b"{}", (Witnessed(drift, "acme:invoice:1", 0),))
        letter = worker.letter("9")
        worker.commit(unit=replace(worker.unit(), pages=(page(),), letters=(letter,)))
        worker.commit(unit=replace(worker.unit(), pages=(page(),), observed=(observed,)))
        assert self.store.archive.forget(before=NOW + 1).pages == 0
        self.store.letters.close([letter.letter_id], LetterState.DISCARDED, now=NOW)
        self.store.shapes.accept("default", "acme", now=NOW)
        assert self.store.archive.forget(before=NOW + 1).pages == 2
