"""`penstock serve` as a person and a supervisor use it, and pausing streams by hand."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time

import pytest

from tests.cli.conftest import Shell, connect


def begin(shell: Shell, *words: str) -> subprocess.Popen[str]:
    """The command in a process of its own, once it says that it works."""
    child = subprocess.Popen(
        [sys.executable, "-m", "penstock.cli.main", *words],
        env=os.environ | {"PENSTOCK_DATABASE": f"sqlite:///{shell.database}"},
        stderr=subprocess.PIPE,
        text=True,
    )
    assert child.stderr is not None
    assert "Ctrl-C stops it" in child.stderr.readline()
    return child


def test_once_runs_what_is_due_and_ends(shell, provider):
    connect(shell, provider)
    assert shell("serve --once").code == 0
    assert {run["state"] for run in shell.json("runs")} == {"done"}
    assert len(shell.json("runs")) == 5
    assert shell("serve --once").code == 0
    assert len(shell.json("runs")) == 5
    streams = shell.json("streams")
    assert all(stream["next_run_at"] and stream["schedule"] for stream in streams)
    assert "next run" in shell("streams").out


def test_a_terminated_server_ends_with_0_and_leaves_no_lease(shell, provider):
    connect(shell, provider)
    child = begin(shell, "serve", "--workers", "2")
    deadline = time.monotonic() + 30
    while not shell.json("runs") and time.monotonic() < deadline:
        time.sleep(0.05)
    child.send_signal(signal.SIGTERM)
    _, err = child.communicate(timeout=30)
    assert (child.returncode, err) == (0, "")
    assert all(stream["lease_owner"] is None for stream in shell.json("streams"))
    assert {run["state"] for run in shell.json("runs")} <= {"done", "parked"}


def test_paused_resumed_and_run_now(shell, provider):
    connect(shell, provider)
    shell("serve --once")
    assert "is paused" in shell("streams pause sim invoices").err
    assert "was paused already" in shell("streams pause sim invoices").err
    (paused,) = [s for s in shell.json("streams") if s["stream"] == "invoices"]
    assert (paused["next_run_at"], bool(paused["paused_at"])) == (None, True)
    assert "paused since 20" in shell("streams").out
    refused = shell("streams run-now sim invoices")
    assert refused.code == 2
    assert "penstock streams resume sim invoices" in refused.err
    assert "is due now" in shell("streams resume sim invoices").err
    assert "is not paused" in shell("streams resume sim invoices").err
    assert "is due now" in shell("streams run-now sim customers").err
    assert shell("serve --once").code == 0
    assert sorted(run["stream"] for run in shell.json("runs")[:2]) == ["customers", "invoices"]


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("streams pause nobody invoices", "there is no connection 'nobody'"),
        ("streams pause sim nothing", "nothing"),
        ("streams run-now sim nothing", "nothing"),
        ("serve --workers 0", "must be 1 to 256"),
        ("serve --workers 500 --once", "must be 1 to 256"),
    ],
)
def test_bad_input_ends_with_2_and_a_sentence(shell, provider, line, told):
    connect(shell, provider)
    answer = shell(line)
    assert answer.code == 2
    assert told in answer.err


@pytest.mark.torture
def test_two_hundred_terminations_at_a_random_moment(shell, provider):
    connect(shell, provider)
    for number in range(200):
        child = begin(shell, "serve", "--workers", "4")
        for stream in ("invoices", "customers", "payments"):
            shell(f"streams run-now sim {stream}")
        time.sleep((number % 40) / 40)
        child.send_signal(signal.SIGTERM)
        if number % 2:
            os.kill(child.pid, signal.SIGTERM)
        child.communicate(timeout=60)
        assert child.returncode == 0
        assert all(stream["lease_owner"] is None for stream in shell.json("streams"))
