"""Backfills at the terminal: what they ask for, how they end, what is told, and what is refused."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from penstock.cli import progress
from penstock.model.backfill import BackfillState, PartitionState
from penstock.model.outcome import COUNTER_NAMES, Counters
from penstock.read.backfills import BackfillView
from penstock.simulator import Company, serve

from .conftest import Shell, connect

SPRING = "--from 2025-04-01 --to 2025-08-01"
ALL = f"backfill sim invoices {SPRING} --by month"


@pytest.fixture(scope="module")
def connected_once(tmp_path_factory, provider):
    folder = tmp_path_factory.mktemp("connected")
    assert connect(Shell(folder / "penstock.db"), provider).code == 0
    return folder


@pytest.fixture
def connected(shell, connected_once):
    """A shell on a copy of a database with `sim` connected."""
    for file in connected_once.iterdir():
        shutil.copy(file, shell.database.parent)
    return shell


def test_the_past_is_pulled_and_every_record_accounted_for(connected):
    ended = connected(f"{ALL} --parallel 3 --json")
    assert ended.code == 1, "some of the company's invoices are refused"
    view = ended.json
    assert (view["state"], view["by"], view["parallel"]) == ("done", "month", 3)
    assert view["partitions"]["total"] == view["partitions"]["done"] == 4
    assert (view["from"], view["to"]) == ("2025-04-01T00:00:00Z", "2025-08-01T00:00:00Z")
    assert Counters(**{name: view[name] for name in COUNTER_NAMES}).balanced
    assert view["created"] > 0
    assert "penstock dead-letters list --connection sim" in ended.err
    assert "backfill 1: 0 of 4 partitions" in ended.err
    (report,) = connected.json("run sim invoices")
    assert report["unchanged"] == view["created"]
    assert connected.json("backfills") == [view]


def test_a_clean_past_ends_with_0_and_a_table(shell):
    with serve(Company(seed=1, records=60, faulty=0)) as provider:
        connect(shell, provider)
        ended = shell(f"backfill sim customers {SPRING}")
    assert ended.code == 0
    assert "4 pages" in ended.out


def test_what_is_only_written_down_is_pulled_by_whoever_comes(connected):
    written = connected(f"{ALL} --detach --json")
    assert (written.code, written.json["partitions"]["waiting"]) == (0, 4)
    shown = connected.json("backfills show 1")
    assert [one["partition"] for one in shown["ledger"]][:2] == ["2025-04-01", "2025-05-01"]
    assert connected.json("backfills show 1 --state done")["ledger"] == []
    assert connected("backfills run 1").code == 1
    assert "4 of 4 partitions" in connected("backfills show 1").out
    assert len(connected.json("backfills show 1 --state done")["ledger"]) == 4
    again = connected("backfills run 1")
    assert (again.code, "nothing of it is left" in again.err) == (2, True)


def test_a_partition_that_is_refused_ends_with_3_and_says_where_to_look(shell, provider):
    shell("init acme")
    source = Path("acme.py").read_text()
    field = 'field="updated_at"'
    assert field in source
    source = source.replace(field, f'until="updated_before", {field}')
    Path("acme.py").write_text(source.replace('path="/customers"', 'path="/nowhere"'))
    shell(
        f"connect acme.py --name acme --set base_url={provider.url} "
        f"--secret api_key={provider.token}"
    )
    failed = shell(f"backfill acme customers {SPRING} --json")
    assert failed.code == 3
    assert (failed.json["state"], failed.json["partitions"]["failed"]) == ("failed", 4)
    assert "4 of 4 partitions are not done" in failed.err
    told = shell("backfills show 1")
    assert "2025-07-01: " in told.err
    assert "404" in told.err
    Path("acme.py").write_text(source)
    assert shell("backfills run 1").code == 2
    assert shell("backfills resume 1").code == 0
    assert shell.json("backfills run 1")["state"] == "done"


def test_it_is_paused_resumed_and_canceled(connected):
    connected(f"{ALL} --detach")
    assert connected("backfills pause 1").code == 0
    assert connected.json("backfills")[0]["state"] == "paused"
    (finding,) = connected.json("doctor")["findings"]
    assert finding.startswith("backfill 1 of sim invoices is paused: by hand")
    assert "penstock backfills resume 1" in connected("backfills run 1").err
    assert connected("backfills pause 1").code == 2
    assert connected("backfills resume 1").code == 0
    canceled = connected("backfills cancel 1")
    assert (canceled.code, "0 of 4 partitions" in canceled.err) == (0, True)
    assert connected("backfills cancel 1").code == 2
    assert connected("backfills resume 1").code == 2
    assert connected("backfills --watch").code == 0


REFUSED = {
    "backfill nobody invoices --from 2025-01-01": "nobody",
    "backfill sim nothing --from 2025-01-01": "it has: customers",
    "backfill sim invoices --from soon": "'soon' is no date",
    "backfill sim invoices": "--from",
    "backfill sim invoices --from 2025-02-01 --to 2025-01-01": "is not before",
    "backfill sim invoices --from 2025-01-01 --by year": "year",
    "backfill sim invoices --from 2025-01-01 --parallel 0": "must be 1 to 64",
    "backfill sim invoices --from 2025-01-01 --partition eu": "must be KEY=VALUE",
    "backfill sim invoices --from 2025-01-01 --partition region=eu": (
        "nothing in the collection of invoices depends on it"
    ),
    "backfills show 7": "there is no backfill 7",
    "backfills run 7": "there is no backfill 7",
    "backfills --connection nobody": "nobody",
}


def test_what_cannot_be_is_told_in_a_sentence(connected):
    for line, told in REFUSED.items():
        refused = connected(line)
        assert (refused.code, told in refused.err) == (2, True), line
    assert connected.json("backfills") == []


def test_a_stream_without_a_way_into_its_past_says_what_it_needs(shell, provider):
    shell("init acme")
    shell(
        f"connect acme.py --name acme --set base_url={provider.url} "
        f"--secret api_key={provider.token}"
    )
    refused = shell("backfill acme customers --from 2025-01-01")
    assert refused.code == 2
    assert '@acme.backfill("customers")' in refused.err
    assert "Since(param=…, until=…)" in refused.err


def test_a_connection_that_rests_or_observes_has_no_backfills(connected):
    connected("connections pause sim")
    assert "connections resume sim" in connected(ALL).err
    connected("connections resume sim")
    connected("connections set sim --observe")
    refused = connected(ALL)
    assert (refused.code, "--live" in refused.err) == (2, True)


def test_what_a_backfill_keeps_does_not_show_among_the_streams(connected):
    before = connected.json("streams")
    connected(f"backfill sim bank_accounts {SPRING} --detach")
    connected("backfills run 1")
    assert [view["partition"] for view in connected.json("streams")] == [""] * len(before)


def test_on_a_terminal_there_is_a_live_bar(connected):
    code, seen = connected.on_a_terminal(ALL)
    assert code == 1
    assert "backfill 1" in seen
    assert "━" in seen
    assert "4 of 4 partitions" in seen


def test_ctrl_c_loses_nothing_and_says_who_goes_on(connected):
    words = ["--database", f"sqlite:///{connected.database}", *ALL.split(), "--by", "day"]
    child = subprocess.Popen(
        [sys.executable, "-m", "penstock.cli.main", *words],
        stderr=subprocess.PIPE,
        text=True,
        # What a shell starts in the background ignores Ctrl-C, and so would its children.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # noqa: PLW1509
    )
    assert child.stderr is not None
    child.stderr.readline()
    assert "0 of 122 partitions" in child.stderr.readline()
    os.kill(child.pid, signal.SIGINT)
    _, told = child.communicate(timeout=60)
    assert child.returncode == 130
    assert "penstock backfills run 1" in told
    (view,) = connected.json("backfills")
    assert view["state"] == "running"
    assert view["partitions"]["waiting"] == 122 - view["partitions"]["done"]


# ── how far it has come, in words ──


def view(**changes):
    partitions = dict.fromkeys(map(str, PartitionState), 0) | changes.pop("partitions", {})
    usual = {
        "backfill_no": 4,
        "connection": "acme",
        "stream": "invoices",
        "from_at": None,
        "to_at": None,
        "by": "day",
        "parallel": 2,
        "state": str(BackfillState.RUNNING),
        "reason": None,
        "counters": Counters(),
        "seconds_left": None,
        "next_try_at": None,
        "cutoff_at": None,
        "created_at": None,
        "finished_at": None,
    }
    return BackfillView(partitions=partitions, **usual | changes)


def test_a_line_tells_partitions_records_and_the_time_that_is_left():
    going = view(
        partitions={"done": 3, "running": 2, "waiting": 7, "parked": 1},
        counters=Counters(pages=5, fetched=40, submitted=40, created=40),
        seconds_left=7_500.0,
    )
    assert progress.reached(going) == (
        "3 of 13 partitions, 2 running, 1 parked, 5 pages, 40 records, 40 created, 2 h 5 min left"
    )
    waits = view(partitions={"waiting": 1}, next_try_at="2026-03-02T10:00:00.25Z")
    assert progress.reached(waits) == "0 of 1 partition, waits until 2026-03-02T10:00:00Z"


@pytest.mark.parametrize(
    ("seconds", "told"),
    [(0, "0 s"), (59.6, "1 min"), (90, "1 min 30 s"), (3_600, "1 h"), (90_061, "1 d 1 h")],
)
def test_a_span_is_told_by_its_two_largest_units(seconds, told):
    assert progress.lasting(seconds) == told


def test_without_a_terminal_a_line_is_said_at_once_and_then_now_and_then():
    said: list[str] = []
    ticks = iter([0.0, 1.0, 5.0, 9.0])
    lines = progress.BackfillLines(said.append, lambda: next(ticks))
    for _ in range(4):
        lines.show(view())
    assert said == ["backfill 4: 0 of 0 partitions"] * 2
