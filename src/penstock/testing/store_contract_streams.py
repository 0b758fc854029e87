"""The store contract, second part: leases, resume points, runs and connections."""

from __future__ import annotations

from dataclasses import replace

from penstock.errors import LeaseLostError, StreamBusyError
from penstock.model.connection import ConnectionMode, ConnectionState, StreamState
from penstock.model.outcome import Counters
from penstock.model.run import NewRun, RunKind, RunState
from penstock.model.standing import ALL_WELL, Condition, Standing
from penstock.model.unit import (
    Checkpoint,
    Lease,
)
from penstock.testing.store_case import StoreCase, in_threads, refusal
from penstock.testing.store_worker import (
    EVERY_BYTE,
    NOW,
    UNTIL,
    UNTIL_US,
    Worker,
    connection,
)


class StreamsContract(StoreCase):
    """What surrounds the units."""

    # ── leases ──

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

        in_threads(*(lambda n=n: claim(n) for n in range(8)))
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

    # ── resume points and states ──

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

    def test_since_moves_with_the_condition_alone(self) -> None:
        told = (
            (Standing(Condition.UPSTREAM_FAILING, "status 500", 5), NOW, NOW),
            (Standing(Condition.UPSTREAM_FAILING, "status 503", 5), NOW + 1, NOW),
            (Standing(Condition.OK, None, 5), NOW + 2, NOW + 2),
        )
        for standing, now, since in told:
            self._set_standing(standing, now=now)
            row = self._stream()
            assert (row.state, row.reason) == (standing.condition, standing.reason)
            assert (row.since, row.next_run_at) == (since, 5)

    def test_a_standing_keeps_lease_and_resume_point(self) -> None:
        worker = Worker(self.store)
        worker.commit(unit=replace(worker.unit(), checkpoint=Checkpoint("here")))
        self._set_standing(ALL_WELL, now=NOW)
        worker.commit(worker.invoice("1"))
        state = self._stream()
        assert (state.cursor, state.lease_owner, state.unit_no) == ("here", "worker 1", 2)
        assert (state.state, state.next_run_at) == ("ok", None)

    def test_the_end_of_a_run_tells_where_its_stream_stands(self) -> None:
        worker = Worker(self.store)
        parked = Standing(Condition.PARKED, "not ready", NOW + 60)
        self._finish(worker.run_no, state=RunState.PARKED, standing=parked)
        state = self._stream()
        assert (state.state, state.reason, state.next_run_at) == ("parked", "not ready", NOW + 60)
        self._finish(worker.run_no, standing=ALL_WELL, was_due_at=NOW + 60)
        assert (self._stream().state, self._stream().next_run_at) == ("ok", None)

    def test_a_stream_woken_while_it_ran_stays_due(self) -> None:
        worker = Worker(self.store)
        for was_due_at in (None, NOW):
            self._set_standing(Standing(Condition.OK, None, NOW + 1), now=NOW)
            self._finish(worker.run_no, standing=ALL_WELL, was_due_at=was_due_at)
            assert self._stream().next_run_at == NOW + 1

    def test_without_a_standing_the_stream_is_left_alone(self) -> None:
        worker = Worker(self.store)
        self._finish(worker.run_no)
        assert self._stream().state == Condition.NEW

    def _set_standing(self, standing: Standing, *, now: int) -> None:
        self.store.streams.set_standing("default", "acme", "invoices", standing, now=now)

    def _stream(self) -> StreamState:
        state = self.store.streams.get("default", "acme", "invoices")
        assert state is not None
        return state

    def test_streams_are_listed_by_connection_and_name(self) -> None:
        for connection_name, stream in (("b", "x"), ("a", "y"), ("a", "x")):
            Worker(self.store, connection=connection_name, stream=stream)
        Worker(self.store, workspace="other")
        listed = self.store.streams.list("default")
        assert [(s.connection, s.stream) for s in listed] == [("a", "x"), ("a", "y"), ("b", "x")]
        assert [s.stream for s in self.store.streams.list("default", "b")] == ["x"]

    # ── runs ──

    def test_a_run_from_start_to_end(self) -> None:
        new = NewRun("default", "acme", "invoices", RunKind.FULL, "acme", "0.1.0", "host 1", NOW)
        run_no = self.store.runs.start(new)
        running = self.store.runs.get(run_no)
        assert running is not None
        assert (running.state, running.finished_at, running.kind) == ("running", None, "full")
        assert running.counters == Counters()
        self._finish(run_no, state=RunState.FAILED, reason="parked", message="wait")
        ended = self.store.runs.get(run_no)
        assert ended is not None
        assert (ended.state, ended.reason, ended.message) == (RunState.FAILED, "parked", "wait")
        assert (ended.finished_at, ended.work_us) == (NOW + 9, 1_234)
        assert (ended.connector, ended.connector_version) == ("acme", "0.1.0")
        assert ended.owner == "host 1"

    def test_counters_of_a_run_are_the_sum_of_its_units(self) -> None:
        worker = Worker(self.store)
        names = tuple(Counters().as_json())
        every = Counters(*range(1, len(names) + 1))
        for _ in range(3):
            worker.commit(unit=replace(worker.unit(), counters=every))
        self._finish(worker.run_no)
        run = self.store.runs.get(worker.run_no)
        assert run is not None
        assert run.counters == every + every + every

    def test_an_observing_run_brings_its_counters_at_the_end(self) -> None:
        worker = Worker(self.store)
        self._finish(worker.run_no, counters=Counters(pages=2, submitted=5, created=5))
        run = self.store.runs.get(worker.run_no)
        assert run is not None
        assert run.counters == Counters(pages=2, submitted=5, created=5)

    def test_runs_are_listed_latest_first(self) -> None:
        numbers = [Worker(self.store, stream=str(n)).run_no for n in range(3)]
        other = Worker(self.store, connection="other").run_no
        Worker(self.store, workspace="elsewhere")
        runs = self.store.runs
        assert [run.run_no for run in runs.list("default")] == [other, *reversed(numbers)]
        assert [run.run_no for run in runs.list("default", connection="acme", limit=2)] == [
            numbers[2],
            numbers[1],
        ]
        assert runs.get(other + 100) is None

    def test_runs_whose_process_died_are_marked(self) -> None:
        dead, ended = Worker(self.store), Worker(self.store, now=UNTIL_US)
        self._finish(ended.run_no)
        other = Worker(self.store, stream="other")
        mine = Worker(self.store, now=UNTIL_US)
        interrupt = self.store.runs.interrupt
        marked = interrupt("default", "acme", "invoices", now=NOW + 7, except_run=mine.run_no)
        states = [self.store.runs.get(w.run_no) for w in (dead, ended, other, mine)]
        assert marked == 1
        assert [run and run.state for run in states] == [
            *("interrupted", "done", "running", "running")
        ]
        assert states[0] is not None
        assert states[0].finished_at == NOW + 7

    def _finish(
        self,
        run_no: int,
        *,
        state: RunState = RunState.DONE,
        reason: str | None = None,
        message: str | None = None,
        counters: Counters | None = None,
        standing: Standing | None = None,
        was_due_at: int | None = None,
    ) -> None:
        self.store.runs.finish(
            run_no,
            state=state,
            reason=reason,
            message=message,
            finished_at=NOW + 9,
            work_us=1_234,
            counters=counters,
            standing=standing,
            was_due_at=was_due_at,
        )

    # ── connections and secrets ──

    def test_a_connection_comes_back_as_it_was_saved(self) -> None:
        bare = replace(connection("bare"), account=None, allow_loopback=False)
        for saved in (connection("acme"), bare):
            self.store.connections.save(saved, {"api_key": EVERY_BYTE}, now=NOW)
            assert self.store.connections.get("default", saved.name) == saved
            assert self.store.connections.sealed("default", saved.name) == {"api_key": EVERY_BYTE}
        assert [c.name for c in self.store.connections.list("default")] == ["acme", "bare"]
        assert self.store.connections.get("default", "nobody") is None
        assert self.store.connections.sealed("default", "nobody") == {}

    def test_saving_again_replaces_what_is_given(self) -> None:
        self.store.connections.save(connection(), {"key": b"1", "token": b"1"}, now=NOW)
        changed = replace(connection(), settings={}, mode=ConnectionMode.OBSERVE)
        self.store.connections.save(changed, {"token": b"2"}, now=NOW + 1)
        assert self.store.connections.list("default") == [changed]
        assert self.store.connections.sealed("default", "acme") == {"key": b"1", "token": b"2"}

    def test_mode_and_state_change_by_themselves(self) -> None:
        self.store.connections.save(connection(), {}, now=NOW)
        change = self.store.connections.set
        assert change("default", "acme", mode=ConnectionMode.OBSERVE)
        assert change("default", "acme", state=ConnectionState.PAUSED)
        assert not change("default", "nobody", state=ConnectionState.PAUSED)
        changed = replace(connection(), mode=ConnectionMode.OBSERVE, state=ConnectionState.PAUSED)
        assert self.store.connections.get("default", "acme") == changed

    def test_a_removed_connection_leaves_its_documents(self) -> None:
        self.store.connections.save(connection(), {"key": b"1"}, now=NOW)
        self.store.connections.save(connection("other"), {"key": b"2"}, now=NOW)
        worker, other = Worker(self.store), Worker(self.store, connection="other")
        made = worker.unit(worker.invoice("1"))
        worker.commit(unit=replace(made, letters=(worker.letter("2"),)))
        assert self.store.connections.remove("default", "acme")
        assert not self.store.connections.remove("default", "acme")
        assert self.store.connections.sealed("default", "acme") == {}
        assert [s.connection for s in self.store.streams.list("default")] == ["other"]
        assert self.store.connections.sealed("default", "other") == {"key": b"2"}
        assert len(self.store.reader.documents("default", "invoice")) == 1
        assert len(self.store.letters.list("default")) == 1
        assert self.store.runs.get(worker.run_no) is not None
        other.commit(other.invoice("1"))
        refusal(LeaseLostError, lambda: worker.commit(worker.invoice("3")))
