"""`penstock worker`: any number around one PostgreSQL database."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time

from penstock.app import App
from penstock.config import Settings
from tests.database import KEY, empty_schema


def test_on_a_file_says_what_to_use_instead(shell):
    answer = shell("worker")
    assert answer.code == 2
    assert "need a PostgreSQL database" in answer.err
    assert "penstock serve --workers N" in answer.err


def test_an_unknown_queue_is_refused(shell):
    answer = shell("worker --database postgresql://nobody@127.0.0.1/x --queue fast")
    assert answer.code == 2
    assert "there is no queue 'fast'; there are streams and backfills" in answer.err


def test_one_runs_what_is_due_and_ends_with_0(provider):
    with empty_schema() as database:
        settings = Settings(database=database, master_key=KEY, reading_process="off")
        with App.open(settings) as app:
            options = {"base_url": provider.url}
            app.connect("simulated", "sim", options, {"api_key": provider.token})
            environment = os.environ | {"PENSTOCK_MASTER_KEY": KEY, "PENSTOCK_DATABASE": database}
            words = [sys.executable, "-m", "penstock.cli.main", "worker", "--workers", "4"]
            worker = subprocess.Popen(words, env=environment)
            deadline = time.monotonic() + 60
            while time.monotonic() < deadline:
                done = [run for run in app.store.runs.list("default") if run.state == "done"]
                if len(done) == 5:
                    break
                time.sleep(0.1)
            kinds = [row.kind for row in app.store.workers.list()]
            worker.send_signal(signal.SIGTERM)
            assert worker.wait(60) == 0
            assert len({run.stream for run in done}) == 5
            assert kinds == ["worker"]
            assert app.store.workers.list() == []
