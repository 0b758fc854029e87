"""The store contract, eighth part: backfills and the ledger of their partitions."""

from __future__ import annotations

from dataclasses import replace

from penstock.errors import LeaseLostError
from penstock.model.backfill import (
    BackfillState,
    NewBackfill,
    PartitionEnd,
    PartitionState,
    Slice,
    Step,
    number_of,
    partition_name,
)
from penstock.model.connection import ConnectionState
from penstock.model.outcome import Counters
from penstock.model.run import NewRun, RunKind, RunState
from penstock.model.unit import Checkpoint, Lease
from penstock.store.rows import StoredBackfill, StoredPartition
from penstock.testing.store_case import StoreCase, in_threads, refusal
from penstock.testing.store_worker import NOW, SECOND, UNTIL, UNTIL_US, Worker, connection

DAY = 86_400 * SECOND
FIRST = 1_767_225_600_000_000  # 2026-01-01
DONE = PartitionEnd(PartitionState.DONE)


class BackfillsContract(StoreCase):
    """What is to be pulled, by whom, and what came of it."""

    # ── the ledger ──

    def test_a_new_backfill_waits_partition_by_partition(self) -> None:
        number = self.backfill(3, keys={"region": "eu"})
        made = self.stored(number)
        assert (made.state, made.by, made.parallel) == (BackfillState.RUNNING, Step.DAY, 2)
        assert (made.from_at, made.to_at) == (FIRST, FIRST + 3 * DAY)
        assert (made.cutoff_at, made.created_at, made.finished_at) == (NOW, NOW, None)
        assert made.tally.states == {PartitionState.WAITING: 3}
        assert self.open_again().backfills.latest("default") == [made]
        first, second, third = self.partitions(number)
        assert first.part.partition == f"backfill/{number}/2026-01-01/region=eu"
        assert first.part.slice == Slice(FIRST, FIRST + DAY, {"region": "eu"})
        assert first.part.cutoff_at == NOW
        assert (second.part.slice.from_at, third.part.slice.from_at) == (
            FIRST + DAY,
            FIRST + 2 * DAY,
        )

    def test_the_latest_backfill_comes_first_and_each_workspace_has_its_own(self) -> None:
        one, two = self.backfill(1), self.backfill(1)
        other = self.backfill(1, workspace="theirs")
        ledger = self.store.backfills
        assert [b.backfill_no for b in ledger.latest("default")] == [two, one]
        assert [b.backfill_no for b in ledger.latest("default", limit=1)] == [two]
        assert ledger.latest("default", connection="other") == []
        assert ledger.get("default", other) is None
        assert ledger.get("theirs", other) is not None
        assert ledger.state("theirs", other) is BackfillState.RUNNING
        assert ledger.state("default", other) is None

    def test_a_removed_connection_takes_its_backfills_along(self) -> None:
        number = self.backfill(1)
        self.store.connections.remove("default", "acme")
        assert self.store.backfills.get("default", number) is None
        assert self.partitions(number) == []

    # ── what is due ──

    def test_no_more_partitions_are_due_than_may_be_under_way(self) -> None:
        number = self.backfill(4, parallel=2)
        assert self.due() == self.names(number, 0, 1)
        self.begin(number, 0)
        assert self.due() == self.names(number, 1)
        self.begin(number, 1)
        assert self.due() == []

    def test_a_partition_is_due_again_when_its_lease_ran_out_or_was_given_back(self) -> None:
        number = self.backfill(2, parallel=1)
        lease = self.begin(number, 0)
        assert self.due() == []
        assert self.due(now=UNTIL_US) == self.names(number, 0)
        self.store.streams.release(lease)
        assert self.due() == self.names(number, 0)

    def test_a_partition_that_waits_for_its_time_lets_others_go_before(self) -> None:
        number = self.backfill(2, parallel=1)
        later = PartitionEnd(PartitionState.WAITING, "refused", NOW + SECOND, failures=1)
        self.end(self.begin(number, 0), later)
        assert self.due() == self.names(number, 1)
        assert self.due(now=NOW + SECOND) == self.names(number, 0)
        assert self.stored(number).tally.next_try_at == NOW + SECOND

    def test_backfills_take_turns(self) -> None:
        one, two = self.backfill(3, parallel=3), self.backfill(3, parallel=3)
        assert self.due(limit=4) == [
            *(*self.names(one, 0), *self.names(two, 0)),
            *(*self.names(one, 1), *self.names(two, 1)),
        ]
        ledger = self.store.backfills
        assert [d.partition for d in ledger.due(NOW, 9, backfill_no=two)] == self.names(
            two, 0, 1, 2
        )

    def test_nothing_is_due_while_the_connection_does_not_run(self) -> None:
        self.backfill(1)
        for state in (ConnectionState.PAUSED, ConnectionState.NEEDS_REAUTH):
            self.store.connections.set("default", "acme", state=state)
            assert self.due() == []
        self.store.connections.set("default", "acme", state=ConnectionState.ACTIVE)
        assert len(self.due()) == 1

    def test_who_holds_partitions_is_known(self) -> None:
        number = self.backfill(2)
        assert self.store.backfills.held() == []
        lease = self.begin(number, 1)
        (held,) = self.store.backfills.held(number)
        assert (held.partition, held.owner, held.epoch) == (lease.partition, lease.owner, 1)

    # ── attempts ──

    def test_an_attempt_is_counted_when_it_begins_and_forgotten_when_it_ends(self) -> None:
        number = self.backfill(2)
        lease = self.begin(number, 0)
        begun = self.partitions(number)[0]
        assert (begun.state, begun.attempts) == (PartitionState.RUNNING, 1)
        assert begun.started_at == NOW
        self.end(lease, PartitionEnd(PartitionState.WAITING, "refused", failures=4))
        ended = self.partitions(number)[0]
        assert (ended.state, ended.reason) == (PartitionState.WAITING, "refused")
        assert (ended.attempts, ended.failures) == (0, 4)

    def test_a_partition_that_kills_its_process_again_and_again_is_parked(self) -> None:
        number = self.backfill(1)
        for attempt in (1, 2, 3):
            begun = self.try_to_begin(number, 0, now=NOW + attempt * 10**10)
            assert begun is not None
            assert begun.attempts == attempt
        assert self.try_to_begin(number, 0, now=NOW + 4 * 10**10) is None
        (parked,) = self.partitions(number)
        assert parked.state is PartitionState.PARKED
        assert "died 3 times" in (parked.reason or "")
        ended = self.stored(number)
        assert (ended.state, ended.finished_at) == (BackfillState.FAILED, NOW + 4 * 10**10)

    def test_an_attempt_that_gets_further_than_the_one_before_it_is_the_first(self) -> None:
        number = self.backfill(1)
        for attempt in range(5):
            now = NOW + attempt * 10**10
            begun = self.try_to_begin(number, 0, now=now)
            assert begun is not None
            assert begun.attempts == 1
            worker = self.worker(number, 0, now=now + 10**10 // 2)
            worker.commit(worker.invoice(str(attempt)))

    def test_nothing_begins_that_is_paused_not_due_or_over(self) -> None:
        number = self.backfill(2)
        self.store.backfills.pause("default", number, reason=None)
        assert self.try_to_begin(number, 0) is None
        self.store.backfills.resume("default", number)
        later = PartitionEnd(PartitionState.WAITING, next_try_at=UNTIL_US + 1)
        self.end(self.begin(number, 0), later)
        assert self.try_to_begin(number, 0) is None
        self.end(self.begin(number, 1), DONE)
        assert self.try_to_begin(number, 1) is None
        assert [row.partition for row in self.store.streams.list("default")] == self.names(
            number, 0
        )
        lost = Lease("default", "acme", "invoices", "w", 1, UNTIL, "backfill/999/2026-01-01")
        assert self.store.backfills.begin(lost, most_attempts=3, now=NOW) is None

    # ── the end ──

    def test_a_partition_that_is_done_leaves_its_counts_and_nothing_else(self) -> None:
        number = self.backfill(2)
        lease = self.begin(number, 0)
        below = replace(lease, partition=lease.partition + "#parent", owner="w")
        self.store.streams.claim(below, now=NOW)
        neighbour = self.begin(number, 1)
        self.end(lease, DONE)
        first, second = self.partitions(number)
        assert (first.state, first.finished_at) == (PartitionState.DONE, NOW)
        assert second.state is PartitionState.RUNNING
        rows = self.store.streams.list("default")
        assert [row.partition for row in rows] == [neighbour.partition]

    def test_keys_that_begin_alike_are_told_apart(self) -> None:
        slices = [Slice(FIRST, FIRST + DAY, {"region": r}) for r in ("eu", "eu2", "e%", "e_")]
        number = self.create(slices)
        for place in range(4):
            lease = self.begin(number, place)
            left = [row.partition for row in self.store.streams.list("default")]
            assert left == [lease.partition]
            self.end(lease, DONE)
        assert self.stored(number).state is BackfillState.DONE

    def test_the_counts_of_a_partition_are_those_of_all_its_runs(self) -> None:
        number = self.backfill(2)
        self.begin(number, 0)
        for attempt in (1, 2):
            worker = self.worker(number, 0, now=UNTIL_US * attempt)
            worker.commit(worker.invoice(str(attempt)))
        two = Counters(pages=2, submitted=2, created=2)
        assert self.partitions(number)[0].counters == two, "while it runs"
        assert self.stored(number).tally.counters == two
        self.end(worker.lease, PartitionEnd(PartitionState.FAILED, "refused for good"))
        assert self.partitions(number)[0].counters == two
        assert self.stored(number).tally.counters == two
        assert self.partitions(number)[1].counters == Counters()

    def test_only_who_holds_the_lease_ends_an_attempt(self) -> None:
        number = self.backfill(1)
        lease = self.begin(number, 0)
        self.claim(number, 0, owner="another", now=UNTIL_US)
        refusal(LeaseLostError, lambda: self.end(lease, DONE))
        assert self.partitions(number)[0].state is PartitionState.RUNNING

    def test_with_its_last_partition_a_backfill_is_done(self) -> None:
        number = self.backfill(2)
        self.end(self.begin(number, 0), DONE)
        assert self.stored(number).state is BackfillState.RUNNING
        self.end(self.begin(number, 1), DONE, now=NOW + SECOND)
        done = self.stored(number)
        assert (done.state, done.reason) == (BackfillState.DONE, None)
        assert done.finished_at == NOW + SECOND
        assert done.tally.worked_us == SECOND
        assert self.due() == []

    def test_of_partitions_that_end_at_once_one_is_the_last(self) -> None:
        number = self.backfill(8, parallel=8)
        leases = [self.begin(number, place) for place in range(8)]
        stores = [self.store, self.open_again()]
        in_threads(
            *(
                lambda s=stores[n % 2], lease=lease: s.backfills.end(lease, DONE, now=NOW)
                for n, lease in enumerate(leases)
            )
        )
        assert self.stored(number).state is BackfillState.DONE

    def test_one_that_is_not_done_makes_a_backfill_that_failed_and_may_be_resumed(self) -> None:
        number = self.backfill(2)
        self.end(self.begin(number, 0), PartitionEnd(PartitionState.FAILED, "404"))
        self.end(self.begin(number, 1), DONE)
        failed = self.stored(number)
        assert (failed.state, failed.reason) == (
            BackfillState.FAILED,
            "1 of 2 partitions are not done",
        )
        assert self.store.backfills.resume("default", number)
        assert self.due() == self.names(number, 0)
        again = self.partitions(number)[0]
        assert (again.state, again.failures) == (PartitionState.WAITING, 0)
        self.end(self.begin(number, 0), DONE)
        assert self.stored(number).state is BackfillState.DONE

    # ── pausing and canceling ──

    def test_a_paused_backfill_has_nothing_due_and_keeps_its_places(self) -> None:
        number = self.backfill(2)
        lease = self.begin(number, 0)
        assert self.store.backfills.pause("default", number, reason="by hand")
        paused = self.stored(number)
        assert (paused.state, paused.reason) == (BackfillState.PAUSED, "by hand")
        assert self.store.backfills.state("default", number) is BackfillState.PAUSED
        assert not self.store.backfills.pause("default", number, reason=None)
        self.end(lease, PartitionEnd(PartitionState.WAITING))
        assert self.due() == []
        assert self.store.streams.get("default", "acme", "invoices", lease.partition) is not None
        assert self.store.backfills.resume("default", number)
        assert len(self.due()) == 2
        assert self.stored(number).reason is None

    def test_a_canceled_backfill_is_over_for_whoever_pulls_it_too(self) -> None:
        number = self.backfill(3)
        self.end(self.begin(number, 0), DONE)
        self.begin(number, 1)
        worker = self.worker(number, 1, now=UNTIL_US)
        worker.commit(worker.invoice("1"))
        ledger = self.store.backfills
        assert ledger.cancel("default", number, now=NOW + SECOND)
        canceled = self.stored(number)
        assert (canceled.state, canceled.finished_at) == (BackfillState.CANCELED, NOW + SECOND)
        states = [one.state for one in self.partitions(number)]
        assert states == [PartitionState.DONE, PartitionState.CANCELED, PartitionState.CANCELED]
        assert canceled.tally.counters.created == 1
        refusal(LeaseLostError, lambda: worker.commit(worker.invoice("2")))
        refusal(LeaseLostError, lambda: self.end(worker.lease, DONE))
        assert self.store.streams.list("default") == []
        assert self.due() == []
        assert not ledger.cancel("default", number, now=NOW)
        assert not ledger.resume("default", number)
        assert not ledger.pause("default", number, reason=None)

    def test_another_workspace_changes_nothing(self) -> None:
        number = self.backfill(1)
        ledger = self.store.backfills
        assert not ledger.pause("theirs", number, reason=None)
        assert not ledger.cancel("theirs", number, now=NOW)
        assert not ledger.resume("theirs", number)
        assert self.stored(number).state is BackfillState.RUNNING

    # ── beside the live stream ──

    def test_a_partition_and_the_live_stream_have_each_their_own_place(self) -> None:
        number = self.backfill(1)
        live = Worker(self.store)
        worker = self.worker(number, 0)
        point = Checkpoint({"page": 2}, None, 5)
        worker.commit(unit=replace(worker.unit(worker.invoice("1")), checkpoint=point))
        state = self.store.streams.get("default", "acme", "invoices")
        assert state is not None
        assert (state.cursor, state.watermark, state.unit_no) == (None, None, 0)
        live.commit(live.invoice("2"))
        names = [one.partition for one in self.store.streams.list("default")]
        assert names == ["", worker.lease.partition]

    def test_a_run_of_the_stream_does_not_end_those_of_its_backfills(self) -> None:
        number = self.backfill(1)
        worker = self.worker(number, 0)
        live = Worker(self.store)
        runs = self.store.runs
        home = ("default", "acme", "invoices")
        partition = worker.lease.partition
        assert runs.interrupt(*home, now=NOW, except_run=live.run_no) == 0
        backfilled = runs.get(worker.run_no)
        assert backfilled is not None
        assert (backfilled.state, backfilled.partition) == (RunState.RUNNING, partition)
        again = runs.start(
            NewRun(*home, RunKind.BACKFILL, "acme", "0.1.0", "worker 2", NOW, partition)
        )
        assert runs.interrupt(*home, now=NOW, except_run=again, partition=partition) == 1
        still = runs.get(live.run_no)
        assert still is not None
        assert still.state is RunState.RUNNING

    # ── words of these tests ──

    def backfill(
        self,
        days: int,
        *,
        parallel: int = 2,
        keys: dict[str, str] | None = None,
        workspace: str = "default",
    ) -> int:
        slices = [
            Slice(FIRST + day * DAY, FIRST + (day + 1) * DAY, keys or {}) for day in range(days)
        ]
        return self.create(slices, parallel=parallel, workspace=workspace)

    def create(self, slices: list[Slice], *, parallel: int = 2, workspace: str = "default") -> int:
        self.store.connections.save(connection(workspace=workspace), {}, now=NOW)
        new = NewBackfill(
            workspace,
            "acme",
            "invoices",
            slices[0].from_at,
            slices[-1].to_at,
            Step.DAY,
            parallel,
            NOW,
        )
        return self.store.backfills.create(new, slices)

    def stored(self, number: int) -> StoredBackfill:
        found = self.store.backfills.get("default", number)
        assert found is not None
        return found

    def partitions(self, number: int) -> list[StoredPartition]:
        return self.store.backfills.partitions(number)

    def names(self, number: int, *places: int) -> list[str]:
        found = self.partitions(number)
        assert all(number_of(one.part.partition) == number for one in found)
        assert found[0].part.partition == partition_name(number, found[0].part.slice.label)
        return [found[place].part.partition for place in places]

    def due(self, *, now: int = NOW, limit: int = 100) -> list[str]:
        return [one.partition for one in self.store.backfills.due(now, limit)]

    def claim(self, number: int, place: int, *, owner: str = "w", now: int = NOW) -> Lease:
        asked = Lease(
            *("default", "acme", "invoices", owner, 0, UNTIL), self.names(number, place)[0]
        )
        state = self.store.streams.claim(asked, now=now)
        assert state is not None
        return replace(asked, epoch=state.epoch)

    def begin(self, number: int, place: int) -> Lease:
        lease = self.claim(number, place)
        assert self.store.backfills.begin(lease, most_attempts=3, now=NOW) is not None
        return lease

    def try_to_begin(
        self, number: int, place: int, *, now: int = UNTIL_US
    ) -> StoredPartition | None:
        """An attempt of a worker that comes when the lease of the one before it has run out."""
        lease = self.claim(number, place, now=now)
        begun = self.store.backfills.begin(lease, most_attempts=3, now=now)
        if begun is None:
            self.store.streams.release(lease)
        return begun

    def end(self, lease: Lease, end: PartitionEnd, *, now: int = NOW) -> None:
        self.store.backfills.end(lease, end, now=now)
        self.store.streams.release(lease)

    def worker(self, number: int, place: int, *, now: int = NOW) -> Worker:
        """Drives a partition as the pipeline does."""
        return Worker(self.store, partition=self.names(number, place)[0], now=now)
