"""Part of the store contract: what a long life asks of a store, notices, old rows and totals."""

from __future__ import annotations

from dataclasses import replace

from penstock.model.connection import ConnectionState
from penstock.model.notice import Cause, Notice, StoredNotice, Subject
from penstock.model.run import RunState
from penstock.model.standing import Condition, Standing
from penstock.model.unit import LetterState
from penstock.store.rows import OverdueStream, PlannedStream
from penstock.testing.store_case import StoreCase, in_threads
from penstock.testing.store_worker import NOW, SECOND, UNTIL_US, Worker, connection

FAILED = Subject("default", "acme", "invoices", Cause.FAILED)


class UpkeepContract(StoreCase):
    """Notices, retention, and what is asked of all workspaces at once."""

    # ── notices ──

    def test_a_notice_is_open_until_it_is_cleared(self) -> None:
        notices = self.store.notices
        late = FAILED._replace(cause=Cause.LATE)
        notices.write([Notice(FAILED, "status 500", NOW), Notice(late, "due", NOW + 1)])
        first, second = notices.open()
        assert first == StoredNotice(first.notice_no, FAILED, "status 500", NOW, 0, None)
        assert second.subject == late
        notices.clear([first.notice_no], now=NOW + 2)
        assert notices.open() == [second]

    def test_a_subject_has_one_open_notice_whoever_writes_it(self) -> None:
        notices = self.store.notices
        stores = [self.store, self.open_again()]
        in_threads(
            *(lambda s=s: s.notices.write([Notice(FAILED, "status 500", NOW)]) for s in stores)
        )
        (only,) = notices.open()
        notices.clear([only.notice_no], now=NOW + 1)
        notices.write([Notice(FAILED, "status 503", NOW + 2)])
        (again,) = notices.open()
        assert (again.detail, again.since) == ("status 503", NOW + 2)

    def test_of_two_who_would_tell_one_does(self) -> None:
        notices = self.store.notices
        notices.write([Notice(FAILED, "status 500", NOW)])
        (seen,) = notices.open()
        assert notices.attempt(seen)
        assert not notices.attempt(seen)
        (tried,) = notices.open()
        assert tried == replace(seen, attempts=1)
        notices.told(seen.notice_no, now=NOW + 5)
        (told,) = notices.open()
        assert told.sent_at == NOW + 5
        assert not notices.attempt(told)

    def test_notices_that_are_over_are_forgotten_in_time(self) -> None:
        notices = self.store.notices
        notices.write([Notice(FAILED, "status 500", NOW)])
        (first,) = notices.open()
        notices.clear([first.notice_no], now=NOW + 1)
        notices.write([Notice(FAILED, "again", NOW + 2)])
        assert notices.forget(NOW + 1) == 0
        assert notices.forget(NOW + 2) == 1
        assert [notice.detail for notice in notices.open()] == ["again"]

    # ── retention ──

    def test_old_runs_go_unless_a_version_came_of_them(self) -> None:
        quiet, busy, fresh = (Worker(self.store, stream=name) for name in ("a", "b", "c"))
        running = Worker(self.store, stream="d")
        backfill = Worker(self.store, stream="e", partition="2024")
        busy.commit(busy.invoice("1"))
        for worker, ended in ((quiet, NOW), (busy, NOW), (backfill, NOW), (fresh, NOW + 9)):
            self._end(worker, at=ended)
        runs = self.store.runs
        assert runs.forget(NOW, limit=10) == 0
        assert runs.forget(NOW + 1, limit=10) == 1
        kept = {run.run_no for run in runs.list("default")}
        assert kept == {w.run_no for w in (busy, fresh, running, backfill)}
        (document,) = self.store.reader.find("default", "invoice", "1")
        (version,) = self.store.reader.history(document.document_id)
        assert runs.get(version.run_no) is not None

    def test_runs_go_so_many_at_once(self) -> None:
        for name in "abc":
            self._end(Worker(self.store, stream=name), at=NOW)
        assert [self.store.runs.forget(NOW + 1, limit=2) for _ in range(3)] == [2, 1, 0]

    def test_closed_letters_go_and_open_ones_stay(self) -> None:
        worker = Worker(self.store)
        letters = tuple(worker.letter(name) for name in "abc")
        worker.commit(unit=replace(worker.unit(), letters=letters))
        closed = [letter.letter_id for letter in letters[:2]]
        self.store.letters.close(closed, LetterState.DISCARDED, now=NOW)
        forget = self.store.letters.forget
        assert forget(NOW, limit=10) == 0
        assert [forget(NOW + 1, limit=1) for _ in range(3)] == [1, 1, 0]
        (left,) = self.store.letters.list("default", state=None)
        assert left.letter_id == letters[2].letter_id

    def _end(self, worker: Worker, *, at: int) -> None:
        self.store.runs.finish(
            worker.run_no,
            state=RunState.DONE,
            reason=None,
            message=None,
            finished_at=at,
            work_us=0,
        )

    # ── of all workspaces ──

    def test_totals_are_told_by_workspace(self) -> None:
        for workspace in ("ours", "theirs"):
            worker = Worker(self.store, workspace=workspace)
            worker.commit(unit=replace(worker.unit(), letters=(worker.letter("1"),)))
            Worker(self.store, workspace=workspace, partition="2024")
        self._stand("ours", Standing(Condition.FAILED, "no"))
        assert self.store.letters.totals() == {
            ("ours", "missing_field"): 1,
            ("theirs", "missing_field"): 1,
        }
        assert self.store.streams.conditions() == {("ours", "failed"): 1, ("theirs", "new"): 1}
        assert self.store.shapes.waiting() == {}

    def test_streams_that_are_not_well_and_those_that_are_held(self) -> None:
        for workspace, condition in (("a", Condition.OK), ("b", Condition.PARKED)):
            self._stand(workspace, Standing(condition))
        Worker(self.store, workspace="c", partition="2024")
        assert [(row.workspace, row.state) for row in self.store.streams.unwell()] == [
            ("b", "parked")
        ]
        assert [(row.workspace, row.partition) for row in self.store.streams.held()] == [
            ("c", "2024")
        ]

    def test_overdue_are_those_due_before_that_nobody_works_on(self) -> None:
        agenda = self.store.agenda
        self.store.connections.save(connection(), {}, now=NOW)
        idle = replace(connection("idle"), state=ConnectionState.PAUSED)
        self.store.connections.save(idle, {}, now=NOW)
        plans = [("acme", "invoices"), ("acme", "held"), ("acme", "later"), ("idle", "invoices")]
        for name, stream in plans:
            due = NOW + 9 if stream == "later" else NOW
            agenda.plan([(PlannedStream("default", name, stream, "0 * * * *"), due)])
        Worker(self.store, stream="held")
        overdue = OverdueStream("default", "acme", "invoices", "0 * * * *", NOW)
        assert agenda.overdue(NOW, NOW, 10) == []
        assert agenda.overdue(NOW + 1, NOW, 10) == [overdue]
        run_out = agenda.overdue(NOW + 1, UNTIL_US + SECOND, 10)
        assert {stream.stream for stream in run_out} == {"invoices", "held"}
        agenda.pause("default", "acme", "invoices", now=NOW)
        assert agenda.overdue(NOW + 1, NOW, 10) == []

    def _stand(self, workspace: str, standing: Standing) -> None:
        self.store.streams.set_standing(workspace, "acme", "invoices", standing, now=NOW)
