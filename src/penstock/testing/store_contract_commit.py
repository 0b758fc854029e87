"""The store contract, first part: what one unit of work does, and what refuses it."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from itertools import pairwise

from penstock.errors import LeaseLostError, WriteConflictError
from penstock.model.outcome import Counters
from penstock.model.unit import (
    Checkpoint,
    DocumentState,
    Head,
    MovedMarks,
)
from penstock.testing.store_case import StoreCase, in_threads, placed, refusal
from penstock.testing.store_worker import (
    EVERY_BYTE,
    NOW,
    SECOND,
    TEXTS,
    UNTIL,
    UNTIL_US,
    Worker,
    page,
)


class CommitContract(StoreCase):
    """Heads, units, conflicts, versions, pages, fencing."""

    # ── heads ──

    def test_an_unknown_document_has_no_head(self) -> None:
        assert self.store.documents.heads([b"0" * 16]) == {}
        assert self.store.documents.heads([]) == {}

    def test_a_head_is_what_was_committed(self) -> None:
        worker = Worker(self.store)
        made = worker.invoice("1")
        worker.commit(made)
        (head,) = self.store.documents.heads([made.document_id]).values()
        assert type(head) is Head
        assert head == Head(
            document_id=made.document_id,
            version=1,
            version_no=head.version_no,
            state="live",
            payload_hash=made.payload_hash,
            raw_mark=made.raw_mark,
            source_id="1",
            source_version="7",
            source_updated_at=made.source_updated_at,
            as_of=NOW,
        )
        assert self.store.documents.content(head.version_no) == made.content

    def test_heads_of_any_number_of_documents(self) -> None:
        worker = Worker(self.store)
        made = [worker.invoice(f"{n:05}") for n in range(2_500)]
        worker.commit(*made)
        unknown = [worker.invoice(f"x{n}").document_id for n in range(2_500)]
        known = [version.document_id for version in made]
        heads = self.store.documents.heads(known + unknown + known)
        assert set(heads) == set(known)
        assert all(identity == head.document_id for identity, head in heads.items())

    def test_content_of_no_version_is_a_key_error(self) -> None:
        refusal(KeyError, lambda: self.store.documents.content(1))

    # ── one unit, one transaction ──

    def test_a_unit_writes_all_its_parts(self) -> None:
        worker = Worker(self.store)
        unit = replace(
            worker.unit(worker.invoice("1"), worker.invoice("2")),
            pages=(page(),),
            letters=(worker.letter("3"),),
            checkpoint=Checkpoint({"after": "2"}, {"high": NOW}, None),
            counters=Counters(pages=1, fetched=3, submitted=3, created=2, rejected=1),
        )
        self.store.documents.commit(unit)
        state = self.store.streams.get("default", "acme", "invoices")
        run = self.store.runs.get(worker.run_no)
        assert len(placed(self.store, 2)) == 2
        assert self.store.letters.counts("default") == {"missing_field": 1}
        assert state is not None
        assert (state.cursor, state.enumeration) == ({"after": "2"}, {"high": NOW})
        assert state.unit_no == 1
        assert run is not None
        assert run.counters == unit.counters

    def test_a_refused_unit_leaves_nothing(self) -> None:
        worker = Worker(self.store)
        worker.commit(worker.invoice("1"))
        refused = replace(
            worker.unit(worker.invoice("2"), worker.invoice("1")),
            pages=(page(),),
            letters=(worker.letter("3"),),
            checkpoint=Checkpoint("moved"),
        )
        before = self.all_there_is(worker)
        refusal(WriteConflictError, lambda: self.store.documents.commit(refused))
        assert self.all_there_is(worker) == before
        worker.commit(worker.invoice("2"))  # the unit number is still free
        assert len(placed(self.store, 2)) == 2

    def test_a_committed_unit_is_seen_by_other_openings(self) -> None:
        other = self.open_again()
        worker = Worker(self.store)
        assert other.reader.documents("default", "invoice") == []
        for n in range(3):
            made = worker.invoice(str(n))
            worker.commit(made)
            assert set(other.documents.heads([made.document_id])) == {made.document_id}
            assert len(other.reader.documents("default", "invoice")) == n + 1

    def test_threads_commit_side_by_side(self) -> None:
        workers = [Worker(self.store, stream=f"stream {n}") for n in range(4)]

        def work(worker: Worker) -> None:
            for n in range(10):
                worker.commit(worker.invoice(f"{worker.stream} {n}"))

        in_threads(*(lambda worker=worker: work(worker) for worker in workers))
        assert self.store.reader.counts("default")["invoice"]["documents"] == 40
        assert [item.seq for item in placed(self.store, 40)] == list(range(1, 41))

    # ── write conflicts ──

    def test_a_document_is_made_once(self) -> None:
        worker = Worker(self.store)
        worker.commit(worker.invoice("1"))
        again = worker.unit(worker.invoice("1"))
        refusal(WriteConflictError, lambda: self.store.documents.commit(again))

    def test_a_version_follows_the_head_it_was_decided_upon(self) -> None:
        worker, other = Worker(self.store), Worker(self.open_again(), stream="events")
        worker.commit(worker.invoice("1"))
        mine = worker.next_version("1", b'{"by":"poll"}')
        theirs = other.next_version("1", b'{"by":"webhook"}')
        other.commit(theirs)
        stale = worker.unit(mine)
        refusal(WriteConflictError, lambda: self.store.documents.commit(stale))
        worker.commit(worker.next_version("1", b'{"by":"poll"}'))
        history = self.store.reader.history(mine.document_id)
        assert [v.content for v in history][1:] == [b'{"by":"webhook"}', b'{"by":"poll"}']

    def test_marks_move_only_on_the_version_they_confirm(self) -> None:
        worker = Worker(self.store)
        worker.commit(worker.invoice("1"))
        old = self._moved(worker, "1")
        worker.commit(worker.next_version("1", b"{}"))
        unit = replace(worker.unit(), marks=(old,))
        refusal(WriteConflictError, lambda: self.store.documents.commit(unit))

    def _moved(self, worker: Worker, number: str) -> MovedMarks:
        document = worker.invoice(number).document_id
        head = self.store.documents.heads([document])[document]
        return MovedMarks(document, head.version_no, b"another 16 bytes", "8", NOW, NOW + 1)

    # ── versions ──

    def test_history_is_a_chain(self) -> None:
        worker = Worker(self.store)
        worker.commit(worker.invoice("1"))
        worker.commit(worker.invoice("2"))
        for n in (2, 3):
            worker.commit(worker.next_version("1", b"%d" % n))
        history = self.store.reader.history(worker.invoice("1").document_id)
        assert [version.version for version in history] == [1, 2, 3]
        assert history[0].previous is None
        assert all(after.previous == before.version_no for before, after in pairwise(history))
        assert [version.content for version in history][1:] == [b"2", b"3"]
        assert [version.recorded_at for version in history] == [NOW, NOW + 2, NOW + 3]
        assert {version.run_no for version in history} == {worker.run_no}

    def test_a_version_is_kept_as_it_was_given(self) -> None:
        worker = Worker(self.store)
        made = worker.invoice("1")
        worker.commit(made)
        (kept,) = self.store.reader.history(made.document_id)
        for name in ("version", "state", "contract_version", "payload_hash", "content", "flags"):
            assert getattr(kept, name) == getattr(made, name)
        assert (kept.source_version, kept.source_updated_at) == ("7", NOW - SECOND)
        assert kept.as_of == NOW

    def test_history_of_an_unknown_document_is_empty(self) -> None:
        assert self.store.reader.history(b"0" * 16) == []
        assert self.store.reader.document(b"0" * 16) is None

    def test_moved_marks_change_the_head_and_no_version(self) -> None:
        worker = Worker(self.store)
        made = worker.invoice("1")
        worker.commit(made)
        history = self.store.reader.history(made.document_id)
        moved = self._moved(worker, "1")
        worker.commit(unit=replace(worker.unit(), marks=(moved,)))
        (head,) = self.store.documents.heads([made.document_id]).values()
        assert head.raw_mark == moved.raw_mark
        assert (head.source_version, head.source_updated_at, head.as_of) == ("8", NOW, NOW + 1)
        assert self.store.reader.history(made.document_id) == history
        assert self.store.feed.head() == 1

    def test_text_and_bytes_come_back_as_they_went_in(self) -> None:
        worker = Worker(self.store)
        made = [
            worker.invoice(text)._replace(party=text, number=text, content=EVERY_BYTE)
            for text in TEXTS
        ]
        worker.commit(*made)
        for version in made:
            (found,) = self.store.reader.find("default", "invoice", version.source_id)
            assert found.idempotency_key == version.idempotency_key
            assert (found.source_id, found.party, found.number) == (version.source_id,) * 3
            assert self.store.documents.content(found.version_no) == EVERY_BYTE

    # ── graves and deletes ──

    def test_a_grave_is_a_head_without_a_version(self) -> None:
        worker = Worker(self.store)
        grave = worker.grave("1")
        worker.commit(grave)
        (head,) = self.store.documents.heads([grave.document_id]).values()
        assert (head.state, head.version, head.version_no) == ("grave", 0, 0)
        assert self.store.feed.head() == 0
        assert self.store.reader.history(grave.document_id) == []
        assert self.store.reader.documents("default", "invoice") == []
        assert self.store.reader.find("default", "invoice", "1") == []
        assert list(self.store.reader.contents("default", "invoice")) == []
        assert self.store.reader.counts("default") == {}

    def test_a_document_may_follow_its_grave_once(self) -> None:
        worker = Worker(self.store)
        worker.commit(worker.grave("1"), worker.grave("2"))
        worker.commit(*(worker.invoice(n)._replace(previous=0) for n in ("1", "2")))
        (version,) = self.store.reader.history(worker.invoice("1").document_id)
        assert (version.version, version.previous) == (1, None)
        late = worker.unit(worker.invoice("1")._replace(previous=0))
        refusal(WriteConflictError, lambda: self.store.documents.commit(late))

    def test_a_grave_takes_newer_marks(self) -> None:
        worker = Worker(self.store)
        worker.commit(worker.grave("1"))
        worker.commit(worker.grave("1")._replace(previous=0, as_of=NOW + 5))
        worker.commit(unit=replace(worker.unit(), marks=(self._moved(worker, "1"),)))
        (head,) = self.store.documents.heads([worker.grave("1").document_id]).values()
        assert (head.state, head.as_of, head.source_version) == ("grave", NOW + 1, "8")

    def test_a_deleted_document_stays_listed_and_leaves_the_contents(self) -> None:
        worker = Worker(self.store)
        worker.commit(worker.invoice("1"), worker.invoice("2"))
        worker.commit(worker.next_version("1", b"{}")._replace(state=DocumentState.DELETED))
        listed = self.store.reader.documents("default", "invoice")
        assert [(found.source_id, found.state) for found in listed] == [
            ("1", "deleted"),
            ("2", "live"),
        ]
        assert [d.source_id for d, _ in self.store.reader.contents("default", "invoice")] == ["2"]
        assert self.store.reader.counts("default") == {
            "invoice": {"documents": 2, "deleted": 1, "versions": 3}
        }

    # ── archived pages ──

    def test_a_page_is_kept_when_a_version_came_of_it(self) -> None:
        worker = Worker(self.store)
        made = worker.invoice("1")._replace(page_index=41)
        worker.commit(unit=replace(worker.unit(made), pages=(page(EVERY_BYTE), page(b"second"))))
        (version,) = self.store.reader.history(made.document_id)
        assert version.page_no is not None
        assert version.page_index == 41
        kept = self.store.reader.page(version.page_no)
        second = self.store.reader.page(version.page_no + 1)
        assert kept is not None
        assert second is not None
        given = page(EVERY_BYTE)
        assert (kept.url, kept.status, kept.content_type) == (given.url, 200, "application/json")
        assert (kept.received_at, kept.sha256, kept.size) == (NOW, b"h" * 32, 4_000)
        assert (kept.body, second.body, kept.run_no) == (EVERY_BYTE, b"second", worker.run_no)

    def test_a_page_is_kept_when_a_letter_came_of_it(self) -> None:
        worker = Worker(self.store)
        letter = worker.letter("1")
        worker.commit(unit=replace(worker.unit(), pages=(page(),), letters=(letter,)))
        kept = self.store.letters.get(letter.letter_id)
        assert kept is not None
        assert kept.page_no is not None
        assert kept.page_index == 3
        assert self.store.reader.page(kept.page_no) is not None

    def test_a_page_that_changed_nothing_is_not_kept(self) -> None:
        worker = Worker(self.store)
        worker.commit(worker.invoice("1"))
        worker.commit(
            unit=replace(worker.unit(), pages=(page(),), marks=(self._moved(worker, "1"),))
        )
        worker.commit(unit=replace(worker.unit(worker.grave("2")), pages=(page(),)))
        assert self.store.reader.page(1) is None

    def test_nothing_points_at_a_page_that_is_not_there(self) -> None:
        worker = Worker(self.store)
        made = worker.invoice("1")
        worker.commit(made)
        (version,) = self.store.reader.history(made.document_id)
        assert (version.page_no, version.page_index) == (None, None)

    # ── fencing ──

    def test_a_worker_that_was_overtaken_writes_nothing(self) -> None:
        zombie = Worker(self.store)
        Worker(self.store, owner="worker 2", now=UNTIL_US)
        late = replace(zombie.unit(zombie.invoice("1")), checkpoint=Checkpoint("late"))
        refusal(LeaseLostError, lambda: self.store.documents.commit(late))
        assert self.store.reader.documents("default", "invoice") == []
        state = self.store.streams.get("default", "acme", "invoices")
        assert state is not None
        assert (state.cursor, state.unit_no, state.lease_owner) == (None, 0, "worker 2")

    def test_the_same_owner_of_an_older_epoch_is_overtaken_too(self) -> None:
        old = Worker(self.store)
        Worker(self.store, now=UNTIL_US)
        refusal(LeaseLostError, lambda: old.commit(old.invoice("1")))

    def test_a_released_lease_does_not_write(self) -> None:
        worker = Worker(self.store)
        assert self.store.streams.release(worker.lease)
        refusal(LeaseLostError, lambda: worker.commit(worker.invoice("1")))

    def test_a_lease_that_ran_out_untaken_still_writes(self) -> None:
        worker = Worker(self.store)
        past = replace(worker.lease, until=UNTIL - timedelta(days=1))
        worker.commit(unit=replace(worker.unit(worker.invoice("1")), lease=past))
        assert self.store.feed.head() == 1

    def test_a_commit_prolongs_the_lease(self) -> None:
        worker = Worker(self.store)
        longer = replace(worker.lease, until=UNTIL + timedelta(microseconds=1))
        worker.commit(unit=replace(worker.unit(), lease=longer))
        state = self.store.streams.get("default", "acme", "invoices")
        assert state is not None
        assert state.lease_until == UNTIL_US + 1

    def test_a_unit_whose_answer_was_lost_is_not_written_twice(self) -> None:
        worker = Worker(self.store)
        unit = replace(worker.unit(worker.invoice("1")), letters=(worker.letter("2"),))
        self.store.documents.commit(unit)
        before = self.all_there_is(worker)
        self.open_again().documents.commit(unit)
        assert self.all_there_is(worker) == before

    def test_unit_numbers_have_no_gap(self) -> None:
        worker = Worker(self.store)
        refusal(ValueError, lambda: self.store.documents.commit(replace(worker.unit(), unit_no=2)))

    def test_unit_numbers_go_on_under_the_next_epoch(self) -> None:
        first = Worker(self.store)
        first.commit(first.invoice("1"))
        second = Worker(self.store, owner="worker 2", now=UNTIL_US)
        assert second.unit_no == 1
        second.commit(second.invoice("2"))
        assert len(placed(self.store, 2)) == 2

    def test_a_unit_may_come_without_a_lease(self) -> None:
        worker = Worker(self.store)
        unit = replace(worker.unit(worker.invoice("1")), lease=None, unit_no=0)
        self.store.documents.commit(unit)
        assert self.store.feed.head() == 1
        refusal(
            ValueError,
            lambda: self.store.documents.commit(
                replace(unit, versions=(), checkpoint=Checkpoint("x"))
            ),
        )
