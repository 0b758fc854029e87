"""Running streams: exit codes, what is told, resume points."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from penstock.clock import SystemClock
from penstock.model import times
from penstock.model.outcome import COUNTER_NAMES, Counters
from penstock.model.unit import Lease
from penstock.pipeline.pull import LEASE
from penstock.simulator import Company, serve
from penstock.store.sqlite import SqliteStore
from penstock.work.owner import Owner

from .conftest import connect


def test_every_stream_is_pulled_and_every_record_accounted_for(shell, provider, company):
    connect(shell, provider)
    ran = shell("run sim --json")
    assert ran.code == 1
    reports = ran.json
    assert len(reports) == 5
    for report in reports:
        assert report["state"] == "done"
        assert Counters(**{name: report[name] for name in COUNTER_NAMES}).balanced
    assert sum(report["fetched"] for report in reports) == company.truth().fetched
    assert "customers: " in ran.err


def test_rejected_records_end_with_1_and_say_where_they_went(pulled):
    ran = pulled("run sim --full")
    assert ran.code == 1
    assert "penstock dead-letters list --connection sim" in ran.err
    assert "unchanged" in ran.out


def test_a_clean_source_ends_with_0(shell):
    with serve(Company(seed=1, records=60, faulty=0)) as provider:
        connect(shell, provider)
        assert shell("run sim").code == 0
        (report,) = shell.json("run sim customers --full")
        assert (report["created"], report["rejected"]) == (0, 0)
        assert report["unchanged"] > 0


def test_a_failed_run_ends_with_3_and_says_why(shell, provider):
    shell("init acme")
    source = Path("acme.py").read_text()
    Path("acme.py").write_text(source.replace('path="/customers"', 'path="/nowhere"'))
    shell(
        f"connect acme.py --name acme --set base_url={provider.url} "
        f"--secret api_key={provider.token}"
    )
    failed = shell("run acme --json")
    assert failed.code == 3
    (report,) = failed.json
    assert report["state"] == "failed"
    assert "404" in report["message"]
    assert "404" in failed.err
    assert "not_found since 20" in shell("streams").out
    assert any("404" in finding for finding in shell.json("doctor")["findings"])


@contextmanager
def busy(database: Path, stream: str) -> Iterator[Owner]:
    """The stream of `sim` is held by a living worker."""
    now = SystemClock().now()
    owner = Owner.of_this_process()
    lease = Lease("default", "sim", stream, str(owner), 0, now + LEASE)
    with SqliteStore.open(f"sqlite:///{database}") as store:
        held = store.streams.claim(lease, now=times.microseconds(now))
        assert held is not None
        yield owner
        assert store.streams.release(replace(lease, epoch=held.epoch))


def test_a_busy_stream_ends_with_3_and_the_others_are_told(shell, provider):
    connect(shell, provider)
    with busy(shell.database, "invoices") as owner:
        ran = shell("run sim --wait 0 --json")
        table = shell("run sim --wait 0")
    assert (ran.code, table.code) == (3, 3)
    by_stream = {report["stream"]: report for report in ran.json}
    told = by_stream.pop("invoices")
    assert (told["run"], told["state"], told["reason"]) == (None, "failed", "stream_busy")
    assert f"process {owner.pid} on {owner.host}" in told["message"]
    assert f"error: invoices: {told['message']}" in ran.err
    assert len(by_stream) == 4
    assert {report["state"] for report in by_stream.values()} == {"done"}
    assert sum(report["created"] for report in by_stream.values()) > 0
    assert sorted(run["stream"] for run in shell.json("runs --limit 4")) == sorted(by_stream)
    assert all(stream in table.out for stream in ["invoices", *by_stream])


@pytest.mark.parametrize(
    ("line", "told"), [("run nobody", "nobody"), ("run sim nothing", "nothing")]
)
def test_an_unknown_connection_or_stream_is_a_usage_error(pulled, line, told):
    refused = pulled(line)
    assert refused.code == 2
    assert told in refused.err


def test_since_reads_from_a_date_on(pulled, company):
    day = company.truth().now.date().isoformat()
    (some,) = pulled.json(f"run sim invoices --since {day}")
    (all_of_them,) = pulled.json("run sim invoices --full")
    assert some["fetched"] < all_of_them["fetched"]


def test_observation_tells_what_would_have_happened_and_stores_nothing(shell, provider):
    connect(shell, provider, "--observe")
    ran = shell("run sim --json")
    assert ran.code == 1
    assert sum(report["would_created"] for report in ran.json) > 0
    assert "nothing was stored" in ran.err
    assert shell.json("documents list customer")["items"] == []
    assert shell.json("dead-letters list")["items"] == []


def test_on_a_terminal_the_bars_are_live_and_the_table_fits(pulled):
    code, seen = pulled.on_a_terminal("run sim --full")
    assert code == 1
    assert "\x1b[" in seen
    assert "━" in seen
    below = seen[seen.rindex("stream  ") :].splitlines()
    table = [line for line in below if not line.startswith(("warning: ", "hint: "))]
    assert len(table) == 6
    assert "bank_transactions" in table[-1]
    assert max(map(len, table)) <= 80


def test_refused_credentials_are_told_with_what_to_do(shell, provider):
    shell("init acme")
    shell(f"connect acme.py --name acme --set base_url={provider.url} --secret api_key=wrong")
    failed = shell("run acme")
    assert failed.code == 3
    assert "401" in failed.err
    assert "penstock secrets set" in failed.err
    _, seen = shell.on_a_terminal("streams")
    (told,) = [line for line in seen.splitlines() if line.startswith("acme customers: ")]
    assert told.rstrip().endswith("or connect again with `penstock connect`")
    (finding,) = shell.json("doctor")["findings"]
    assert finding.startswith("stream acme customers is needs_reauth since 20")


def test_what_a_command_tells_in_the_end_is_not_logged_as_well(shell):
    company = Company(seed=1, records=600)
    with serve(company) as provider:
        connect(shell, provider)
        shell("run sim")
        company.tick()
        _, seen = shell.on_a_terminal("run sim")
    assert "the provider's records changed" in seen
    assert "drift.seen" not in seen


def test_runs_are_listed_and_shown(pulled):
    runs = pulled.json("runs --connection sim")
    assert len(runs) == 5
    assert runs[0]["run"] > runs[-1]["run"]
    assert pulled.json(f"runs show {runs[0]['run']}") == runs[0]
    assert "work_seconds" in pulled(f"runs show {runs[0]['run']}").out
    assert "bank_transactions" in pulled("runs --limit 1").out
    assert pulled("runs show 999").code == 2


def test_without_runs_the_list_says_how_to_start_one(shell):
    assert "penstock run" in shell("runs").err


def test_streams_stand_before_their_first_run_and_after(shell, provider):
    connect(shell, provider)
    assert {view["state"] for view in shell.json("streams")} == {"new"}
    shell("run sim customers")
    states = {view["stream"]: view["state"] for view in shell.json("streams --connection sim")}
    assert states["customers"] == "ok"
    assert states["invoices"] == "new"
    assert "customers" in shell("streams").out


def test_a_resume_point_is_shown_set_and_reset(pulled):
    before = pulled.json("streams state show sim customers")
    assert before["watermark"]
    changed = pulled.json("streams state set sim customers --watermark 2026-01-31")
    assert changed["watermark"] == "2026-01-31T00:00:00Z"
    assert changed["cursor"] == before["cursor"]
    changed = pulled.json("streams state set sim customers", "--cursor", '{"page": 7}')
    assert (changed["cursor"], changed["watermark"]) == ({"page": 7}, "2026-01-31T00:00:00Z")
    assert '{"page": 7}' in pulled("streams state show sim customers").out
    assert pulled("streams state reset sim customers").code == 0
    after = pulled.json("streams state show sim customers")
    assert (after["cursor"], after["watermark"]) == (None, None)
    (report,) = pulled.json("run sim customers")
    assert (report["created"], report["updated"]) == (0, 0)
    assert report["unchanged"] > 0


@pytest.mark.parametrize(
    "line",
    [
        "streams state show sim nothing",
        "streams state reset sim nothing",
        "streams state reset nobody customers",
        "streams state set sim customers --cursor {",
        "streams state set sim customers --watermark soon",
    ],
)
def test_a_wrong_resume_point_is_a_usage_error(pulled, line):
    assert pulled(line).code == 2


def test_streams_still_show_when_their_connector_does_not_load(shell, provider):
    shell("init acme")
    shell(
        f"connect acme.py --name acme --set base_url={provider.url} "
        f"--secret api_key={provider.token}"
    )
    shell("run acme")
    Path("acme.py").unlink()
    listed = shell("streams")
    assert listed.code == 0
    assert "customers" in listed.out
    assert "warning" in listed.err
