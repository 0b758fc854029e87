"""Zombies: a worker frozen past its lease wakes up, writes nothing, and says so.

One that froze inside its transaction holds the database's own lock, which nobody takes over: a
server ends such a transaction after a minute, a file waits for the process.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from penstock.app import App
from penstock.clock import SystemClock
from penstock.config import Settings
from penstock.model.run import RunState
from penstock.pipeline.pull import LEASE
from penstock.simulator import Company, serve
from penstock.simulator.server import TOKEN
from tests.database import KEY, url_in

STREAM, PAGE = "invoices", 5


class LaterClock(SystemClock):
    """Of somebody who looks when the lease is over."""

    def now(self) -> datetime:
        return super().now() + LEASE + timedelta(seconds=1)


@contextmanager
def frozen(settings: Settings, point: str) -> Iterator[subprocess.Popen[str]]:
    """A process that runs the stream and stands still at the point."""
    words = (settings.database, KEY, STREAM, point)
    zombie = subprocess.Popen(
        [sys.executable, "-m", "tests.work.frozen", *words],
        stdout=subprocess.PIPE,
        text=True,
        cwd=Path(__file__).parents[2],
    )
    try:
        _, status = os.waitpid(zombie.pid, os.WUNTRACED)
        assert os.WIFSTOPPED(status), "the fault fired"
        yield zombie
    finally:
        zombie.kill()
        zombie.communicate()


def check_that_it_wakes_up_too_late(folder: Path, point: str) -> None:
    company = Company(seed=5, records=50, faulty=0)
    settings = Settings(database=url_in(folder), master_key=KEY, reading_process="off")
    with serve(company) as provider:
        with App.open(settings) as app:
            options = {"base_url": provider.url, "page_size": PAGE}
            app.connect("simulated", "sim", options, {"api_key": TOKEN})
        with frozen(settings, point) as zombie:
            with App.open(settings) as early:
                (refused,) = early.run("sim", [STREAM], wait_s=0)
                assert refused.reason == "stream_busy", "it may be alive for all we know"
            with App.open(settings, clock=LaterClock()) as later:
                (successor,) = later.run("sim", [STREAM], wait_s=0)
                assert successor.state is RunState.DONE
                before = state_of(later)
            os.kill(zombie.pid, signal.SIGCONT)
            told = json.loads(zombie.communicate(timeout=60)[0])
    assert (told["state"], told["reason"]) == ("failed", "lease_lost")
    assert "taken over by another worker" in told["message"]
    with App.open(settings) as app:
        assert state_of(app) == before
        expected = company.truth().expected["invoice"]
        rows = app.store.reader.documents("default", "invoice", limit=1000)
        assert sorted(row.source_id for row in rows) == sorted(expected.facts)
        assert app.store.reader.counts("default")["invoice"]["versions"] == expected.versions
        refusals = [run for run in app.store.runs.list("default") if run.reason == "lease_lost"]
        assert [run.run_no for run in refusals] == [told["run"]]
        assert all(run.counters.balanced for run in app.store.runs.list("default"))


def state_of(app: App) -> tuple[object, ...]:
    """What a zombie must not move."""
    row = app.store.streams.get("default", "sim", STREAM)
    assert row is not None
    counts = app.store.reader.counts("default")
    return row.epoch, row.unit_no, row.cursor, row.watermark, row.state, counts


def test_a_frozen_worker_that_wakes_up_too_late_writes_nothing(
    backend: str, tmp_path: Path
) -> None:
    check_that_it_wakes_up_too_late(tmp_path, "page.parsed:2")


@pytest.mark.torture
@pytest.mark.parametrize(
    "point",
    [
        "lease.claimed:1",
        *(
            f"{name}:{passing}"
            for name in ("page.fetched", "page.parsed", "page.after_commit")
            for passing in range(1, 4)
        ),
    ],
)
def test_wherever_it_froze(backend: str, tmp_path: Path, point: str) -> None:
    check_that_it_wakes_up_too_late(tmp_path, point)
