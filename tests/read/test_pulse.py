"""Who lives on a database: workers gone silent, leases nobody gives back, clocks that differ."""

from __future__ import annotations

import pytest

from penstock.read.gauges import gauges
from penstock.read.late import is_late
from penstock.read.pulse import Vantage
from penstock.store.rows import OverdueStream, PlannedStream, StoreFacts, WorkerRow
from penstock.testing.store_worker import NOW, UNTIL_US, Worker, connection

MINUTE = 60 * 1_000_000


def seen(now: int = NOW, *, ahead_s: float = 0.0, dead: str = "nobody") -> Vantage:
    return Vantage(now, ahead_s, lambda owner: owner == dead)


def beats(store, owner: str, at: int = NOW) -> None:
    row = WorkerRow(owner, "serve", "0.1.0", slots=8, busy=2, started_at=NOW, beat_at=at)
    store.workers.beat(row, forget_before=0)


def test_a_house_where_all_is_well_has_no_findings(store, read):
    beats(store, "host 1")
    Worker(store)
    health = read.health(seen())
    assert health.findings == ()
    assert [worker.state for worker in health.pulse.workers] == ["at work"]
    assert health.as_json()["stuck_leases"] == []


def test_a_worker_is_silent_after_a_minute_and_dead_when_its_process_is(store, read):
    beats(store, "host 1")
    beats(store, "host 2", NOW + MINUTE)
    silent, dead = read.health(seen(NOW + MINUTE + 1, dead="host 2")).findings
    assert "serve host 1 is silent, last heard of at 2026-03-02T10:00:00Z" in silent
    assert "serve host 2 is dead" in dead


def test_a_lease_is_stuck_when_it_ran_out_or_its_owner_is_dead(store, read):
    Worker(store, owner="host 1")
    Worker(store, workspace="other", owner="host 1")
    (dead,) = read.health(seen(dead="host 1")).findings
    assert "lease of acme invoices is stuck: its owner host 1 is dead" in dead
    (run_out,) = read.health(seen(UNTIL_US)).findings
    assert "host 1 let it run out at 2026-03-02T11:00:00Z" in run_out


def test_clocks_that_differ_are_told(store, read):
    (behind,) = read.health(seen(ahead_s=12.0)).findings
    assert "12.0 s behind the database's" in behind
    (ahead,) = read.health(seen(ahead_s=-3.0)).findings
    assert "3.0 s ahead of" in ahead
    assert read.health(seen(ahead_s=0.5)).findings == ()


def test_a_run_from_the_future_tells_of_a_clock_that_was_set_back(store, read):
    Worker(store)
    assert "a clock was set back" in read.health(seen(NOW - 2 * MINUTE)).findings[0]


def test_a_late_stream_is_told_and_that_nobody_serves(store, read):
    store.connections.save(connection(), {}, now=NOW)
    stream = PlannedStream("default", "acme", "invoices", "*/5 * * * *")
    store.agenda.plan([(stream, NOW)])
    assert read.health(seen(NOW + 15 * MINUTE)).findings == ()
    late, nobody = read.health(seen(NOW + 15 * MINUTE + 1)).findings
    assert "stream acme invoices is late: it was due at 2026-03-02T10:00:00Z" in late
    assert "penstock serve" in nobody


@pytest.mark.parametrize(
    ("schedule", "minutes", "late"),
    [
        ("*/5 * * * *", 15, False),
        ("*/5 * * * *", 16, True),
        ("0 * * * *", 60, False),
        ("0 * * * *", 61, True),
        (None, 16, True),
    ],
)
def test_a_stream_is_late_after_a_pause_of_its_schedule_and_15_minutes(schedule, minutes, late):
    stream = OverdueStream("default", "acme", "invoices", schedule, NOW)
    assert is_late(stream, NOW + minutes * MINUTE) is late


def test_a_disk_that_fills_up_is_told():
    from penstock.read.health import _disk

    def left(free: int | None, taken: int) -> list[str]:
        return _disk(StoreFacts("", "sqlite", "", None, True, taken, (), {}, free))

    assert left(None, 10) == left(2_000_000_000, 10) == []
    assert "900 MB left" in left(900_000_000, 10)[0]
    assert "2,000 MB left" in left(2_000_000_000, 3_000_000_000)[0]


def test_the_gauges_of_a_store(store, keeper):
    keeper.letter(b"1")
    Worker(store, connection="beta")
    beats(store, "host 1")
    beats(store, "host 2", NOW - 2 * MINUTE)
    found = {(gauge.name, *gauge.labels.values()): gauge.value for gauge in gauges(store, NOW)}
    assert found["penstock_store_up",] == 1
    assert found["penstock_streams", "default", "new"] == 1
    assert found["penstock_open_letters", "default", "missing_field"] == 1
    assert found["penstock_workers", "serve"] == 1
    assert (found["penstock_worker_slots", "serve"], found["penstock_worker_busy", "serve"]) == (
        8,
        2,
    )
    assert found["penstock_streams_late",] == 0


def test_where_the_database_does_not_answer_the_gauges_say_so(store, monkeypatch):
    from penstock.errors import StoreUnavailableError

    class Down:
        def conditions(self):
            raise StoreUnavailableError("down")

    monkeypatch.setattr(store, "streams", Down())
    (up,) = gauges(store, NOW)
    assert (up.name, up.value) == ("penstock_store_up", 0)
