"""Serving from the command line, once: metrics, logs for machines, what is refused at once."""

from __future__ import annotations

import json
import signal

import pytest

from tests.cli.conftest import connect


@pytest.fixture(autouse=True)
def _signals():
    """As they were: serving takes them for its whole process, and here that is the tests'."""
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


def test_serving_once_runs_what_is_due_and_says_where_its_metrics_are(shell, provider):
    assert connect(shell, provider).code == 0
    served = shell("serve --once --metrics-port 0")
    assert served.code == 0
    assert "metrics: http://127.0.0.1:" in served.err
    assert {run["state"] for run in shell.json("runs")} == {"done"}


def test_with_json_logs_everything_on_stderr_is_one_object_a_line(shell, provider, monkeypatch):
    monkeypatch.setenv("PENSTOCK_LOG", "json")
    connect(shell, provider)
    lines = [json.loads(line) for line in shell("serve --once").err.splitlines()]
    events = {line["event"] for line in lines}
    assert {"cli.said", "run.started", "page.committed", "run.finished"} <= events
    runs = [line for line in lines if line["event"] == "page.committed"]
    assert all(line["run"] and line["connection"] == "sim" for line in runs)
    refused = shell("runs show 99")
    assert json.loads(refused.err)["level"] == "error"


def test_logs_are_for_people_again_in_the_next_process(shell, monkeypatch):
    monkeypatch.setenv("PENSTOCK_LOG", "json")
    assert shell("runs show 99").err.startswith("{")
    monkeypatch.delenv("PENSTOCK_LOG")
    assert shell("runs show 99").err.startswith("error: ")


@pytest.mark.parametrize(
    ("variable", "value", "said"),
    [
        ("PENSTOCK_LOG", "xml", "must be text or json"),
        ("PENSTOCK_NOTIFY", "no-such-program", "no program 'no-such-program'"),
        ("PENSTOCK_KEEP_RUNS_DAYS", "-1", "whole number of days"),
        ("PENSTOCK_KEEP_LETTERS_DAYS", "a week", "whole number of days"),
    ],
)
def test_a_setting_that_cannot_work_is_refused_before_anything_runs(
    shell, monkeypatch, variable, value, said
):
    monkeypatch.setenv(variable, value)
    refused = shell("serve --once")
    assert refused.code == 2
    assert said in refused.err
