"""The store contract: what is due and for whom, attempts, and who works."""

from __future__ import annotations

from dataclasses import replace

from penstock.model.connection import ConnectionState, StreamState
from penstock.model.run import RunState
from penstock.model.standing import Condition, Standing
from penstock.model.unit import Lease
from penstock.store.rows import PlannedStream, WorkerRow
from penstock.testing.store_case import StoreCase, in_threads
from penstock.testing.store_worker import NOW, UNTIL, UNTIL_US, Worker, connection

HOURLY = "0 * * * *"
LATER = NOW + 3_600_000_000


class AgendaContract(StoreCase):
    """Streams of `acme`, which is connected and active."""

    # ── what is due ──

    def test_due_is_what_has_come_the_longest_due_first(self) -> None:
        self._connected()
        self._plan(invoices=NOW, payments=NOW - 5, customers=NOW + 1)
        agenda = self.store.agenda
        assert [row.stream for row in agenda.due(NOW, 10)] == ["payments", "invoices"]
        assert [row.stream for row in agenda.due(NOW, 1)] == ["payments"]
        assert agenda.due(NOW, 1)[0].due_at == NOW - 5
        assert agenda.next_at(NOW) == NOW + 1
        assert agenda.next_at(NOW + 1) is None
        assert agenda.counts(NOW) == (3, 2)

    def test_nothing_is_due_of_a_connection_that_does_not_run(self) -> None:
        self._connected()
        self._plan(invoices=NOW)
        for state in (ConnectionState.PAUSED, ConnectionState.NEEDS_REAUTH):
            self.store.connections.set("default", "acme", state=state)
            assert self.store.agenda.due(NOW, 10) == []
        self.store.connections.set("default", "acme", state=ConnectionState.ACTIVE)
        assert len(self.store.agenda.due(NOW, 10)) == 1

    def test_what_is_held_is_not_due_until_its_lease_is_over(self) -> None:
        self._connected()
        self._plan(invoices=NOW)
        worker = Worker(self.store)
        agenda = self.store.agenda
        assert agenda.due(NOW, 10) == []
        assert [row.lease_owner for row in agenda.held(NOW, 10)] == ["worker 1"]
        assert [row.stream for row in agenda.due(UNTIL_US, 10)] == ["invoices"]
        assert agenda.held(UNTIL_US, 10) == []
        self.store.streams.release(worker.lease)
        assert [row.lease_owner for row in agenda.due(NOW, 10)] == [""]

    def test_partitions_are_no_streams(self) -> None:
        self._connected()
        self._plan(invoices=None)
        part = Lease("default", "acme", "invoices", "worker", 0, UNTIL, "2024")
        self.store.streams.claim(part, now=NOW)
        due = Standing(Condition.PARKED, "", NOW)
        self.store.streams.set_standing(
            "default", "acme", "invoices", due, now=NOW, partition="2024"
        )
        assert self.store.agenda.due(UNTIL_US, 10) == []
        assert [row.stream for row in self.store.agenda.planned()] == ["invoices"]

    # ── schedules ──

    def test_a_plan_makes_rows_and_changes_them(self) -> None:
        self._plan(invoices=NOW)
        assert self.store.agenda.planned() == [PlannedStream("default", "acme", "invoices", HOURLY)]
        self._plan(schedule="30 * * * *", invoices=LATER)
        assert (self._agenda_row().schedule, self._agenda_row().next_run_at) == ("30 * * * *", NOW)
        self._plan(schedule=None, invoices=None)
        assert (self._agenda_row().schedule, self._agenda_row().next_run_at) == (None, None)

    def test_a_plan_moves_neither_what_waits_for_its_time_nor_what_is_paused(self) -> None:
        for condition in (Condition.PARKED, Condition.RATE_LIMITED):
            self._agenda_stands(Standing(condition, "wait", LATER))
            self._plan(invoices=NOW)
            assert self._agenda_row().next_run_at == LATER
        self.store.agenda.pause("default", "acme", "invoices", now=NOW)
        self._plan(schedule="30 * * * *", invoices=NOW)
        assert (self._agenda_row().schedule, self._agenda_row().next_run_at) == ("30 * * * *", None)

    # ── pause, resume, run now ──

    def test_a_paused_stream_has_no_time_until_it_is_resumed(self) -> None:
        self._connected()
        self._plan(invoices=NOW)
        agenda = self.store.agenda
        assert agenda.pause("default", "acme", "invoices", now=NOW + 1)
        assert not agenda.pause("default", "acme", "invoices", now=NOW + 2)
        assert (self._agenda_row().paused_at, self._agenda_row().next_run_at) == (NOW + 1, None)
        assert not agenda.wake("default", "acme", "invoices", now=NOW + 3)
        assert agenda.due(LATER, 10) == []
        assert agenda.resume("default", "acme", "invoices", now=NOW + 4)
        assert not agenda.resume("default", "acme", "invoices", now=NOW + 5)
        assert (self._agenda_row().paused_at, self._agenda_row().next_run_at) == (None, NOW + 4)
        assert not agenda.resume("default", "acme", "nothing", now=NOW)

    def test_a_stream_paused_while_it_runs_has_no_next_run(self) -> None:
        worker = Worker(self.store)
        self.store.agenda.pause("default", "acme", "invoices", now=NOW)
        self._agenda_end(worker.run_no, Standing(Condition.OK, None, LATER))
        assert self._agenda_row().next_run_at is None

    def test_waking_makes_due_with_a_clean_sheet(self) -> None:
        assert self.store.agenda.wake("default", "acme", "invoices", now=NOW)
        assert self._agenda_row().next_run_at == NOW
        self._agenda_stands(Standing(Condition.FAILED, "broken", LATER, failures=7))
        self.store.agenda.wake("default", "acme", "invoices", now=NOW)
        row = self._agenda_row()
        assert (row.next_run_at, row.failures, row.attempts, row.reason) == (NOW, 0, 0, "broken")

    # ── attempts ──

    def test_attempts_are_counted_until_there_were_too_many(self) -> None:
        lease = Worker(self.store).lease
        begun = [self.store.agenda.begin(lease, most_attempts=3) for _ in range(5)]
        assert begun == [1, 2, 3, None, None]
        assert self._agenda_row().attempts == 3

    def test_a_page_an_end_and_a_move_forget_the_attempts(self) -> None:
        worker = Worker(self.store)
        begin = self.store.agenda.begin
        begin(worker.lease, most_attempts=3)
        worker.commit(worker.invoice("1"))
        assert begin(worker.lease, most_attempts=3) == 1
        self._agenda_end(worker.run_no, Standing(Condition.OK))
        assert begin(worker.lease, most_attempts=3) == 1
        self.store.agenda.move(worker.lease, LATER, None)
        assert (self._agenda_row().attempts, self._agenda_row().next_run_at) == (0, LATER)
        self.store.agenda.move(worker.lease, NOW, NOW)  # something woke it meanwhile
        assert self._agenda_row().next_run_at == LATER

    def test_only_who_holds_the_lease_begins(self) -> None:
        lease = Worker(self.store).lease
        for other in (replace(lease, owner="other"), replace(lease, epoch=lease.epoch + 1)):
            assert self.store.agenda.begin(other, most_attempts=3) is None
        assert self._agenda_row().attempts == 0

    # ── who works ──

    def test_workers_are_known_while_they_say_that_they_live(self) -> None:
        workers = self.store.workers
        first = WorkerRow("host 1", "serve", "1.0", 8, 0, NOW, NOW)
        second = WorkerRow("host 2", "worker", "1.0", 4, 4, NOW + 1, NOW + 1)
        workers.beat(second, forget_before=0)
        workers.beat(first, forget_before=0)
        workers.beat(first._replace(busy=3, beat_at=NOW + 9), forget_before=NOW)
        assert workers.list() == [first._replace(busy=3, beat_at=NOW + 9), second]
        workers.beat(first._replace(beat_at=NOW + 10), forget_before=NOW + 5)
        assert [row.owner for row in workers.list()] == ["host 1"]
        workers.leave("host 1")
        assert workers.list() == []

    def test_leases_of_a_process_are_given_back_together(self) -> None:
        for stream, owner in (("a", "host/1/x"), ("b", "host/1/y"), ("c", "host/10/x")):
            self.store.streams.claim(Lease("default", "acme", stream, owner, 0, UNTIL), now=NOW)
        assert self.store.streams.release_all("host/1/") == 2
        owners = [row.lease_owner for row in self.store.streams.list("default")]
        assert owners == ["", "", "host/10/x"]

    def test_of_many_whose_turn_it_may_be_one_gets_it(self) -> None:
        stores = [self.store, self.open_again()]
        got: list[int] = []

        def take(n: int) -> None:
            if stores[n % 2].workers.take_turn("plan", now=NOW, every=10):
                got.append(n)

        in_threads(*(lambda n=n: take(n) for n in range(8)))
        assert len(got) == 1

    def test_a_turn_comes_again_after_its_time_or_when_the_clock_goes_back(self) -> None:
        turns = [
            self.store.workers.take_turn(what, now=now, every=10)
            for what, now in (
                ("plan", NOW),
                ("plan", NOW + 9),
                ("tick", NOW + 9),
                ("plan", NOW + 10),
                ("plan", NOW - 1),
            )
        ]
        assert turns == [True, False, True, True, True]

    def _connected(self) -> None:
        self.store.connections.save(connection(), {}, now=NOW)

    def _plan(self, *, schedule: str | None = HOURLY, **streams: int | None) -> None:
        self.store.agenda.plan(
            [(PlannedStream("default", "acme", key, schedule), due) for key, due in streams.items()]
        )

    def _agenda_stands(self, standing: Standing) -> None:
        self.store.streams.set_standing("default", "acme", "invoices", standing, now=NOW)

    def _agenda_end(self, run_no: int, standing: Standing) -> None:
        self.store.runs.finish(
            run_no,
            state=RunState.DONE,
            reason=None,
            message=None,
            finished_at=NOW,
            work_us=0,
            standing=standing,
        )

    def _agenda_row(self) -> StreamState:
        row = self.store.streams.get("default", "acme", "invoices")
        assert row is not None
        return row
