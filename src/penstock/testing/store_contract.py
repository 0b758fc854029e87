"""The store contract: what every storage backend does, as tests.

A backend passes when this class, with `make_store` filled in, is green under pytest:

    class TestMyStore(StoreContract):
        def make_store(self):
            return MyStore.open(self.url)

Each test stands for a sentence of `penstock.store.roles`. `Worker` drives a store as the pipeline
does, and is there for a backend's own tests, too.
"""

from __future__ import annotations

import hashlib
import threading
import tracemalloc
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import cached_property
from itertools import pairwise
from typing import TypeVar

from penstock.errors import LeaseLostError, StreamBusyError, WriteConflictError
from penstock.model.connection import Account, Connection, ConnectionMode, ConnectionState
from penstock.model.identity import document_id, letter_id
from penstock.model.outcome import Counters
from penstock.model.run import NewRun, RunKind, RunState
from penstock.model.unit import (
    ArchivedPage,
    Checkpoint,
    ClosedLetter,
    DocumentState,
    Head,
    Lease,
    LetterState,
    MovedMarks,
    NewLetter,
    NewVersion,
    UnitOfWork,
)
from penstock.store.roles import Store, StoredDocument

NOW = 1_772_445_600_000_000
SECOND = 1_000_000
UNTIL = datetime(2026, 3, 2, 11, tzinfo=UTC)
UNTIL_US = NOW + 3600 * SECOND

TEXTS = ("plain", "Zoë", "Zoe\u0308", "発票", "a\u200bb", "'; --", '"', "%_", "👩‍👩‍👧", "ǅ", "x" * 255)
EVERY_BYTE = bytes(range(256)) * 4


Refusal = TypeVar("Refusal", bound=Exception)


class Worker:
    """One run of one stream: holds the lease, counts the units, commits."""

    def __init__(
        self,
        store: Store,
        *,
        workspace: str = "default",
        connection: str = "acme",
        stream: str = "invoices",
        owner: str = "worker 1",
        now: int = NOW,
    ) -> None:
        self.store = store
        self.workspace, self.connection, self.stream = workspace, connection, stream

        kind = RunKind.POLL
        run = NewRun(workspace, connection, stream, kind, "acme", "0.1.0", owner, now)
        self.run_no = store.runs.start(run)
        asked = Lease(workspace, connection, stream, owner, 0, UNTIL)
        state = store.streams.claim(asked, now=now)
        assert state is not None, f"{stream} is held by somebody else"
        self.lease = replace(asked, epoch=state.epoch)
        self.unit_no = state.unit_no

    def unit(self, *versions: NewVersion, accepted: tuple[bytes, ...] = ()) -> UnitOfWork:
        """The next unit, to be changed with dataclasses.replace."""
        made = len(versions)
        return UnitOfWork(
            workspace=self.workspace,
            connection=self.connection,
            stream=self.stream,
            run_no=self.run_no,
            recorded_at=NOW + self.unit_no,
            lease=self.lease,
            unit_no=self.unit_no + 1,
            versions=versions,
            accepted=accepted or tuple(version.document_id for version in versions),
            counters=Counters(pages=1, submitted=made, created=made),
        )

    def commit(self, *versions: NewVersion, unit: UnitOfWork | None = None) -> None:
        """Commit the versions, or a unit of one's own, and count it."""
        self.store.documents.commit(unit or self.unit(*versions))
        self.unit_no += 1

    def invoice(self, number: str) -> NewVersion:
        """The first version of invoice `number`, to be changed with _replace."""
        key = f"acme:invoice:{number}"
        return NewVersion(
            document_id=document_id(self.workspace, self.connection, "invoice", key),
            document_type="invoice",
            idempotency_key=key,
            source_id=number,
            version=1,
            previous=None,
            state=DocumentState.LIVE,
            contract_version="1.0",
            payload_hash=hashlib.sha256(key.encode()).digest(),
            raw_mark=b"mark of 16 bytes",
            content=b'{"invoice_id":"' + number.encode() + b'"}',
            source_version="7",
            source_updated_at=NOW - SECOND,
            as_of=NOW,
            status="open",
            on_date="2026-03-02",
            party="customer 1",
            number="INV-" + number,
            flags=b"[]",
            page_index=0,
        )

    def grave(self, number: str) -> NewVersion:
        """The memory of a delete that came before any content."""
        return self.invoice(number)._replace(state=DocumentState.GRAVE, version=0, content=b"")

    def next_version(self, number: str, content: bytes) -> NewVersion:
        """The version that follows the stored one."""
        first = self.invoice(number)
        head = self.store.documents.heads([first.document_id])[first.document_id]
        return first._replace(
            version=head.version + 1,
            previous=head.version_no,
            content=content,
            payload_hash=hashlib.sha256(content).digest(),
        )

    def letter(self, number: str, reason: str = "missing_field") -> NewLetter:
        """Invoice `number`, rejected."""
        document = self.invoice(number).document_id
        return NewLetter(
            letter_id=letter_id(self.workspace, self.connection, self.stream, document),
            document_id=document,
            document_type="invoice",
            idempotency_key=f"acme:invoice:{number}",
            source_id=number,
            contract_version="1.0",
            reason=reason,
            message="total is missing",
            retryable=False,
            errors=b'[{"code":"missing_field"}]',
            errors_truncated=True,
            raw=b'{"id":1}',
            payload=b'{"invoice_id":"1"}',
            as_of=NOW,
            page_index=3,
        )


def page(body: bytes = b"zstd") -> ArchivedPage:
    """A response as the pipeline archives it."""
    url = "https://api.acme.test/invoices?limit=200"
    return ArchivedPage(url, 200, "application/json", NOW, b"h" * 32, 4_000, body)


def connection(name: str = "acme", *, workspace: str = "default") -> Connection:
    """A connection with everything filled in."""
    return Connection(
        workspace=workspace,
        name=name,
        target="penstock_acme:acme",
        connector="acme",
        settings={"base_url": "https://api.acme.test", "deep": [1, None, {"ä": "\x00 \ud800"}]},
        account=Account("42", "Zoë GmbH", "EUR", "Europe/Berlin", {"realm": "9"}),
        mode=ConnectionMode.LIVE,
        state=ConnectionState.ACTIVE,
        allow_loopback=True,
        created_at=NOW,
    )


def refusal(kind: type[Refusal], call: Callable[[], object]) -> Refusal:
    """The error that the call raises; an AssertionError where it raises none."""
    try:
        call()
    except kind as error:
        return error
    raise AssertionError(f"no {kind.__name__} was raised")


class StoreContract:
    """The behaviour of a store. A backend overrides `make_store`."""

    def make_store(self) -> Store:
        """Open the database of this test: empty at first, the same at every call."""
        raise NotImplementedError

    @cached_property
    def store(self) -> Store:
        return self.open_again()

    @cached_property
    def _opened(self) -> list[Store]:
        return []

    def open_again(self) -> Store:
        """One more opening of the same database, as another process would have it."""
        self._opened.append(self.make_store())
        return self._opened[-1]

    def teardown_method(self) -> None:
        for store in self._opened:
            store.close()

    # ── heads ────────────────────────────────────────────────────────────────────────────────

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

    # ── one unit, one transaction ────────────────────────────────────────────────────────────

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
        assert self.store.feed.head() == 2
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
        before = self._all_there_is(worker)
        refusal(WriteConflictError, lambda: self.store.documents.commit(refused))
        assert self._all_there_is(worker) == before
        worker.commit(worker.invoice("2"))  # the unit number is still free
        assert self.store.feed.head() == 2

    def _all_there_is(self, worker: Worker) -> tuple[object, ...]:
        store = self.store
        return (
            store.reader.documents("default", "invoice"),
            store.letters.list("default", state=None),
            store.streams.list("default"),
            store.runs.get(worker.run_no),
            store.feed.read(0),
            store.reader.page(1),
        )

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

        _in_threads(*(lambda worker=worker: work(worker) for worker in workers))
        assert self.store.reader.counts("default")["invoice"]["documents"] == 40
        assert [item.seq for item in self.store.feed.read(0)] == list(range(1, 41))

    # ── write conflicts ──────────────────────────────────────────────────────────────────────

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

    # ── versions ─────────────────────────────────────────────────────────────────────────────

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

    # ── graves and deletes ───────────────────────────────────────────────────────────────────

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

    # ── archived pages ───────────────────────────────────────────────────────────────────────

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

    # ── fencing ──────────────────────────────────────────────────────────────────────────────

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
        before = self._all_there_is(worker)
        self.open_again().documents.commit(unit)
        assert self._all_there_is(worker) == before

    def test_unit_numbers_have_no_gap(self) -> None:
        worker = Worker(self.store)
        refusal(
            ValueError, lambda: self.store.documents.commit(replace(worker.unit(), unit_no=2))
        )

    def test_unit_numbers_go_on_under_the_next_epoch(self) -> None:
        first = Worker(self.store)
        first.commit(first.invoice("1"))
        second = Worker(self.store, owner="worker 2", now=UNTIL_US)
        assert second.unit_no == 1
        second.commit(second.invoice("2"))
        assert self.store.feed.head() == 2

    def test_a_unit_may_come_without_a_lease(self) -> None:
        worker = Worker(self.store)
        unit = replace(worker.unit(worker.invoice("1")), lease=None, unit_no=0)
        self.store.documents.commit(unit)
        assert self.store.feed.head() == 1
        refusal(
            ValueError,
            lambda: self.store.documents.commit(replace(unit, checkpoint=Checkpoint("x"))),
        )

    # ── leases ───────────────────────────────────────────────────────────────────────────────

    def test_a_stream_nobody_has_used_has_no_row(self) -> None:
        assert self.store.streams.get("default", "acme", "invoices") is None

    def test_the_first_claim_makes_the_row(self) -> None:
        claimed = self.store.streams.claim(self._lease("a"), now=NOW)
        assert claimed is not None
        assert claimed == self.store.streams.get("default", "acme", "invoices")
        assert (claimed.lease_owner, claimed.lease_until, claimed.epoch) == ("a", UNTIL_US, 1)
        assert (claimed.cursor, claimed.watermark, claimed.unit_no) == (None, None, 0)

    def test_a_held_lease_is_not_given_away(self) -> None:
        self.store.streams.claim(self._lease("a"), now=NOW)
        assert self.store.streams.claim(self._lease("b"), now=UNTIL_US - 1) is None
        assert self.store.streams.claim(self._lease("b"), now=NOW, held_by="c") is None
        state = self.store.streams.get("default", "acme", "invoices")
        assert state is not None
        assert (state.lease_owner, state.epoch) == ("a", 1)

    def test_a_lease_is_given_on_when_it_ran_out_or_its_owner_is_dead(self) -> None:
        self.store.streams.claim(self._lease("a"), now=NOW)
        after_a = self.store.streams.claim(self._lease("b"), now=UNTIL_US)
        after_b = self.store.streams.claim(self._lease("c"), now=NOW, held_by="b")
        assert after_a is not None
        assert after_b is not None
        assert (after_a.epoch, after_b.epoch, after_b.lease_owner) == (2, 3, "c")

    def test_only_the_holder_gives_a_lease_back(self) -> None:
        claimed = self.store.streams.claim(self._lease("a"), now=NOW)
        assert claimed is not None
        mine = replace(self._lease("a"), epoch=claimed.epoch)
        assert not self.store.streams.release(replace(mine, owner="b"))
        assert not self.store.streams.release(replace(mine, epoch=mine.epoch + 1))
        assert self.store.streams.release(mine)
        assert not self.store.streams.release(mine)
        again = self.store.streams.claim(self._lease("b"), now=NOW)
        assert again is not None
        assert again.epoch == 2

    def test_of_many_claimants_one_gets_the_lease(self) -> None:
        stores = [self.store, self.open_again()]
        got: list[str] = []

        def claim(n: int) -> None:
            lease = self._lease(f"worker {n}")
            if stores[n % 2].streams.claim(lease, now=NOW):
                got.append(lease.owner)

        _in_threads(*(lambda n=n: claim(n) for n in range(8)))
        state = self.store.streams.get("default", "acme", "invoices")
        assert state is not None
        assert got == [state.lease_owner]
        assert state.epoch == 1

    def test_partitions_are_leased_by_themselves(self) -> None:
        for partition in ("", "2024", "2025"):
            lease = replace(self._lease("a"), partition=partition)
            assert self.store.streams.claim(lease, now=NOW) is not None
        listed = self.store.streams.list("default", "acme")
        assert [state.partition for state in listed] == ["", "2024", "2025"]
        assert self.store.streams.get("default", "acme", "invoices", "2024") == listed[1]

    def _lease(self, owner: str) -> Lease:
        return Lease("default", "acme", "invoices", owner, 0, UNTIL)

    # ── resume points and states ─────────────────────────────────────────────────────────────

    def test_a_checkpoint_is_any_json(self) -> None:
        worker = Worker(self.store)
        for cursor in ("text", 7, [1, {"a": None}], {"ä": "\x00 \ud800 ☃"}, "", 0, False, 10**30):
            point = Checkpoint(cursor, {"started_at": NOW, "full": True}, NOW)
            worker.commit(unit=replace(worker.unit(), checkpoint=point))
            state = self.store.streams.get("default", "acme", "invoices")
            assert state is not None
            assert (state.cursor, state.enumeration, state.watermark) == (
                cursor,
                {"started_at": NOW, "full": True},
                NOW,
            )
        worker.commit(unit=replace(worker.unit(), checkpoint=Checkpoint()))
        cleared = self.store.streams.get("default", "acme", "invoices")
        assert cleared is not None
        assert (cleared.cursor, cleared.enumeration, cleared.watermark) == (None, None, None)

    def test_a_unit_without_a_checkpoint_leaves_it(self) -> None:
        worker = Worker(self.store)
        worker.commit(unit=replace(worker.unit(), checkpoint=Checkpoint("here", None, NOW)))
        worker.commit(worker.invoice("1"))
        state = self.store.streams.get("default", "acme", "invoices")
        assert state is not None
        assert (state.cursor, state.watermark) == ("here", NOW)

    def test_a_checkpoint_is_set_by_hand_between_runs_only(self) -> None:
        point = Checkpoint("by hand", None, NOW)
        set_point = self.store.streams.set_checkpoint
        set_point("default", "acme", "invoices", point, now=NOW)
        worker = Worker(self.store)
        busy = refusal(
            StreamBusyError,
            lambda: set_point("default", "acme", "invoices", Checkpoint(), now=NOW),
        )
        assert (busy.owner, busy.until) == ("worker 1", UNTIL)
        state = self.store.streams.get("default", "acme", "invoices")
        assert state is not None
        assert (state.cursor, state.watermark) == ("by hand", NOW)
        assert state.epoch == worker.lease.epoch

    def test_a_checkpoint_set_by_hand_outlives_a_worker_whose_lease_ran_out(self) -> None:
        zombie = Worker(self.store)
        self.store.streams.set_checkpoint(
            "default", "acme", "invoices", Checkpoint("by hand"), now=UNTIL_US
        )
        late = replace(zombie.unit(), checkpoint=Checkpoint("late"))
        refusal(LeaseLostError, lambda: self.store.documents.commit(late))

    def test_since_moves_with_the_state_alone(self) -> None:
        told = (
            ("failing", "upstream_error", NOW, NOW),
            ("failing", "parked", NOW + 1, NOW),
            ("ok", None, NOW + 2, NOW + 2),
        )
        for state, reason, now, since in told:
            self.store.streams.set_state(
                "default", "acme", "invoices", state=state, reason=reason, now=now, next_run_at=5
            )
            row = self.store.streams.get("default", "acme", "invoices")
            assert row is not None
            assert (row.state, row.reason, row.since) == (state, reason, since)
            assert row.next_run_at == 5

    def test_a_state_keeps_lease_and_resume_point(self) -> None:
        worker = Worker(self.store)
        worker.commit(unit=replace(worker.unit(), checkpoint=Checkpoint("here")))
        self.store.streams.set_state(
            "default", "acme", "invoices", state="ok", reason=None, now=NOW
        )
        worker.commit(worker.invoice("1"))
        state = self.store.streams.get("default", "acme", "invoices")
        assert state is not None
        assert (state.cursor, state.lease_owner, state.unit_no) == ("here", "worker 1", 2)
        assert (state.state, state.next_run_at) == ("ok", None)

    def test_streams_are_listed_by_connection_and_name(self) -> None:
        for connection_name, stream in (("b", "x"), ("a", "y"), ("a", "x")):
            Worker(self.store, connection=connection_name, stream=stream)
        Worker(self.store, workspace="other")
        listed = self.store.streams.list("default")
        assert [(s.connection, s.stream) for s in listed] == [("a", "x"), ("a", "y"), ("b", "x")]
        assert [s.stream for s in self.store.streams.list("default", "b")] == ["x"]
