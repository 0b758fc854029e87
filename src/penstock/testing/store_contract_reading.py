"""The store contract, third part: dead letters, the reader, the feed."""

from __future__ import annotations

import tracemalloc
from dataclasses import replace

from penstock.errors import WriteConflictError
from penstock.model.unit import (
    Checkpoint,
    ClosedLetter,
    LetterState,
    NewLetter,
)
from penstock.store.rows import StoredDocument
from penstock.testing.store_case import StoreCase, in_threads, placed, refusal
from penstock.testing.store_worker import (
    EVERY_BYTE,
    NOW,
    SECOND,
    TEXTS,
    UNTIL_US,
    Worker,
    page,
)


class ReadingContract(StoreCase):
    """What comes out again."""

    # ── dead letters ──

    def test_a_letter_is_kept_whole(self) -> None:
        worker = Worker(self.store)
        letter = replace(worker.letter("1"), raw=EVERY_BYTE, payload=None, message=TEXTS[-3])
        unknown = replace(
            letter, letter_id=b"u" * 16, document_id=None, idempotency_key=None, source_id=None
        )
        below = replace(letter, letter_id=b"b" * 16, gone=True, parent_id=EVERY_BYTE[-16:])
        worker.commit(unit=replace(worker.unit(), letters=(letter, unknown, below)))
        for given in (letter, unknown, below):
            kept = self.store.letters.get(given.letter_id)
            assert kept is not None
            for name in NewLetter.__dataclass_fields__:
                if name != "page_index":  # no page was archived
                    assert getattr(kept, name) == getattr(given, name), name
            assert (kept.state, kept.attempts, kept.closed_at) == (LetterState.OPEN, 1, None)
            assert (kept.workspace, kept.connection, kept.stream) == ("default", "acme", "invoices")
            assert (kept.first_seen_at, kept.last_seen_at) == (NOW, NOW)
            assert (kept.run_no, kept.page_no, kept.page_index) == (worker.run_no, None, None)
        assert self.store.letters.get(b"0" * 16) is None

    def test_a_letter_belongs_to_the_stream_it_names_not_to_the_one_that_ran(self) -> None:
        worker = Worker(self.store, stream="events")
        letter = replace(worker.letter("1"), stream="invoices")
        worker.commit(unit=replace(worker.unit(), letters=(letter,)))
        alone = replace(worker.letter("2"), stream="invoices")
        self.store.letters.write(replace(worker.unit(), letters=(alone,)))
        listed = self.store.letters.list("default", stream="invoices")
        assert {kept.letter_id for kept in listed} == {letter.letter_id, alone.letter_id}
        assert {kept.run_no for kept in listed} == {worker.run_no}
        assert self.store.letters.list("default", stream="events") == []

    def test_the_same_record_again_is_one_more_attempt(self) -> None:
        worker = Worker(self.store)
        letter = worker.letter("1")
        worker.commit(unit=replace(worker.unit(), letters=(letter,)))
        self.store.letters.close([letter.letter_id], LetterState.DISCARDED, now=NOW + 1)
        again = replace(
            letter,
            reason="invalid_date",
            retryable=True,
            raw=b"new",
            as_of=NOW + 2,
            gone=True,
            parent_id=b"p" * 16,
        )
        worker.commit(unit=replace(worker.unit(), letters=(again,)))
        kept = self.store.letters.get(letter.letter_id)
        assert kept is not None
        assert (kept.attempts, kept.state, kept.reason) == (2, "open", "invalid_date")
        assert (kept.raw, kept.retryable, kept.as_of) == (b"new", True, NOW + 2)
        assert (kept.gone, kept.parent_id) == (True, b"p" * 16)
        assert (kept.first_seen_at, kept.last_seen_at) == (NOW, NOW + 1)
        assert (kept.closed_at, kept.closed_by) == (None, None)

    def test_an_accepted_document_supersedes_its_letters(self) -> None:
        worker = Worker(self.store)
        letters = tuple(worker.letter(number) for number in ("1", "2", "3"))
        worker.commit(worker.invoice("2"))
        worker.commit(unit=replace(worker.unit(), letters=letters))
        unchanged = worker.invoice("2").document_id
        made = worker.invoice("1")
        worker.commit(unit=replace(worker.unit(made), accepted=(unchanged,)))
        closed = [self.store.letters.get(letter.letter_id) for letter in letters]
        heads = self.store.documents.heads([made.document_id, unchanged])
        assert [each and each.state for each in closed] == ["superseded", "superseded", "open"]
        assert [each and each.closed_by for each in closed] == [
            heads[made.document_id].version_no,
            heads[unchanged].version_no,
            None,
        ]
        assert closed[0] is not None
        assert closed[0].closed_at == NOW + 2

    def test_a_record_rejected_and_accepted_on_one_page_is_settled(self) -> None:
        worker = Worker(self.store)
        unit = replace(worker.unit(worker.invoice("1")), letters=(worker.letter("1"),))
        worker.commit(unit=unit)
        assert self.store.letters.list("default") == []

    def test_a_replay_closes_its_letter_in_its_own_unit(self) -> None:
        worker = Worker(self.store)
        letter = replace(worker.letter("1"), document_id=None)
        worker.commit(unit=replace(worker.unit(), letters=(letter,)))
        worker.commit(worker.invoice("2"))
        closed = (ClosedLetter(letter.letter_id, LetterState.REPLAYED),)
        refused = replace(worker.unit(worker.invoice("2")), closed=closed)
        refusal(WriteConflictError, lambda: self.store.documents.commit(refused))
        assert len(self.store.letters.list("default")) == 1
        worker.commit(unit=replace(worker.unit(worker.invoice("1")), closed=closed))
        kept = self.store.letters.get(letter.letter_id)
        (version,) = self.store.reader.history(worker.invoice("1").document_id)
        assert kept is not None
        assert (kept.state, kept.closed_by, kept.closed_at) == (
            LetterState.REPLAYED,
            version.version_no,
            NOW + 2,
        )

    def test_a_discarded_letter_made_nothing(self) -> None:
        worker = Worker(self.store)
        worker.commit(worker.invoice("1"))
        worker.commit(unit=replace(worker.unit(), letters=(worker.letter("1"),)))
        letter = worker.letter("1").letter_id
        discarded = (ClosedLetter(letter, LetterState.DISCARDED),)
        worker.commit(unit=replace(worker.unit(), closed=discarded))
        kept = self.store.letters.get(letter)
        assert kept is not None
        assert (kept.state, kept.closed_by) == (LetterState.DISCARDED, None)

    def test_letters_are_listed_filtered_and_counted(self) -> None:
        worker, other = Worker(self.store), Worker(self.store, stream="events")
        elsewhere = Worker(self.store, workspace="other")
        letters = [worker.letter(str(n), "bad" if n % 2 else "worse") for n in range(6)]
        worker.commit(unit=replace(worker.unit(), letters=tuple(letters)))
        other.commit(unit=replace(other.unit(), letters=(other.letter("9", "bad"),)))
        elsewhere.commit(unit=replace(elsewhere.unit(), letters=(elsewhere.letter("9"),)))

        listed = self.store.letters.list("default", stream="invoices")
        ids = sorted(letter.letter_id for letter in letters)
        assert [letter.letter_id for letter in listed] == ids
        behind = self.store.letters.list("default", stream="invoices", after=ids[1], limit=3)
        assert [letter.letter_id for letter in behind] == ids[2:5]
        assert len(self.store.letters.list("default", reason="bad")) == 4
        assert self.store.letters.list("default", connection="nobody") == []
        assert self.store.letters.counts("default") == {"bad": 4, "worse": 3}
        assert self.store.letters.counts("default", connection="nobody") == {}

        discarded = self.store.letters.close(ids[:2], LetterState.DISCARDED, now=NOW)
        assert discarded == 2
        assert self.store.letters.close(ids[:3], LetterState.DISCARDED, now=NOW) == 1
        assert len(self.store.letters.list("default", stream="invoices")) == 3
        assert len(self.store.letters.list("default", stream="invoices", state=None)) == 6
        assert len(self.store.letters.list("default", state=LetterState.DISCARDED)) == 3
        assert self.store.letters.close([], LetterState.DISCARDED, now=NOW) == 0

    def test_letters_alone_need_no_lease_and_bring_nothing_else(self) -> None:
        worker = Worker(self.store)
        Worker(self.store, owner="worker 2", now=UNTIL_US)
        unit = replace(
            worker.unit(worker.invoice("1")),
            letters=(worker.letter("2"),),
            pages=(page(),),
            checkpoint=Checkpoint("moved"),
        )
        before = self.all_there_is(worker)
        self.store.letters.write(unit)
        kept = self.store.letters.get(worker.letter("2").letter_id)
        assert kept is not None
        assert (kept.page_no, kept.page_index) == (None, None)
        after = self.all_there_is(worker)
        assert (before[0], *before[2:]) == (after[0], *after[2:])

    # ── reading ──

    def test_a_document_is_read_with_its_facets(self) -> None:
        worker = Worker(self.store)
        made = worker.invoice("1")
        worker.commit(made)
        found = self.store.reader.document(made.document_id)
        assert found is not None
        assert self.store.reader.find("default", "invoice", "1") == [found]
        assert self.store.reader.find("default", "invoice", "1", "acme") == [found]
        assert self.store.reader.find("default", "invoice", "1", "other") == []
        assert found == StoredDocument(
            document_id=made.document_id,
            workspace="default",
            connection="acme",
            document_type="invoice",
            idempotency_key="acme:invoice:1",
            source_id="1",
            state="live",
            version=1,
            version_no=found.version_no,
            status="open",
            on_date="2026-03-02",
            party="customer 1",
            number="INV-1",
            source_version="7",
            source_updated_at=NOW - SECOND,
        )

    def test_lists_are_walked_page_by_page_in_order(self) -> None:
        for name in ("b", "a", "c"):
            worker = Worker(self.store, connection=name)
            numbers = [f"{n:02}" for n in range(7)]
            bills = [worker.invoice(f"b{n}")._replace(document_type="bill") for n in numbers]
            worker.commit(*[worker.invoice(n) for n in reversed(numbers)], *bills)
        walked: list[tuple[str, str]] = []
        after = ("", "")
        while found := self.store.reader.documents("default", "invoice", after=after, limit=4):
            assert len(found) <= 4
            walked += [(document.connection, document.source_id) for document in found]
            after = walked[-1]
        assert walked == [(name, f"{n:02}") for name in "abc" for n in range(7)]
        only_b = self.store.reader.documents("default", "invoice", connection="b", limit=3)
        assert [d.source_id for d in only_b] == ["00", "01", "02"]

    def test_documents_of_one_source_id_stay_on_one_page(self) -> None:
        worker = Worker(self.store)
        worker.commit(*(worker.invoice(str(n))._replace(source_id="same") for n in range(5)))
        worker.commit(worker.invoice("z"))
        first = self.store.reader.documents("default", "invoice", limit=2)
        rest = self.store.reader.documents("default", "invoice", limit=2, after=("acme", "same"))
        assert [d.source_id for d in first] == ["same"] * 5
        assert [d.source_id for d in rest] == ["z"]
        assert len(self.store.reader.find("default", "invoice", "same")) == 5

    def test_counts_by_type(self) -> None:
        worker, other = Worker(self.store), Worker(self.store, connection="other")
        worker.commit(worker.invoice("1"), worker.invoice("b")._replace(document_type="bill"))
        worker.commit(worker.next_version("1", b"{}"))
        other.commit(other.invoice("1"))
        counts = self.store.reader.counts
        assert counts("default") == {
            "bill": {"documents": 1, "deleted": 0, "versions": 1},
            "invoice": {"documents": 2, "deleted": 0, "versions": 3},
        }
        assert counts("default", connection="other")["invoice"]["versions"] == 1

    def test_contents_come_in_order_with_their_current_bytes(self) -> None:
        for name in ("b", "a"):
            worker = Worker(self.store, connection=name)
            worker.commit(*(worker.invoice(str(n)) for n in (2, 1, 3)))
            worker.commit(worker.next_version("1", b"current"))
        read = [
            (document.connection, document.source_id, content)
            for document, content in self.store.reader.contents("default", "invoice")
        ]
        assert [each[:2] for each in read] == [(c, n) for c in "ab" for n in "123"]
        assert [content for *_, content in read if content == b"current"] == [b"current"] * 2
        only = self.store.reader.contents("default", "invoice", connection="b")
        assert {document.connection for document, _ in only} == {"b"}

    def test_contents_are_one_snapshot_in_flat_memory(self) -> None:
        worker = Worker(self.store)
        for start in range(0, 1_000, 250):
            worker.commit(
                *(
                    worker.invoice(f"{n:04}")._replace(content=b"x" * 40_000)
                    for n in range(start, start + 250)
                )
            )
        tracemalloc.start()
        try:
            read = 0
            for document, content in self.store.reader.contents("default", "invoice"):
                if read == 0:
                    worker.commit(worker.invoice("9999"))  # writing goes on meanwhile
                read += len(content)
                assert document.source_id != "9999"
            peak_bytes = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
        assert read == 1_000 * 40_000
        assert peak_bytes < read / 3

    # ── the feed ──

    def test_the_feed_is_dense_and_names_versions_in_order(self) -> None:
        assert (self.store.feed.head(), self.store.feed.read(0)) == (0, [])
        worker = Worker(self.store)
        made = [worker.invoice(str(n)) for n in range(5)]
        worker.commit(*made[:3])
        worker.commit(worker.grave("g"))
        refused = worker.unit(worker.invoice("8"), made[0])
        refusal(WriteConflictError, lambda: self.store.documents.commit(refused))
        worker.commit(*made[3:])
        feed = placed(self.store, 5)
        heads = self.store.documents.heads([version.document_id for version in made])
        assert [item.seq for item in feed] == [1, 2, 3, 4, 5]
        assert {item.kind for item in feed} == {"version"}
        assert [item.ref for item in feed] == [heads[v.document_id].version_no for v in made]
        assert self.store.feed.read(2, limit=2) == feed[2:4]
        assert self.store.feed.head() == 5

    def test_a_follower_never_sees_a_gap_while_two_write(self) -> None:
        stores = [self.store, self.open_again()]
        workers = [Worker(store, stream=f"s{n}") for n, store in enumerate(stores)]
        seen: list[int] = []

        def write(worker: Worker) -> None:
            for n in range(25):
                made = (worker.invoice(f"{worker.stream} {n} {k}") for k in range(4))
                worker.commit(*made)

        def follow() -> None:
            while len(seen) < 200:
                seen.extend(item.seq for item in stores[0].feed.read(seen[-1] if seen else 0, 7))

        in_threads(follow, *(lambda worker=worker: write(worker) for worker in workers))
        assert seen == list(range(1, 201))
