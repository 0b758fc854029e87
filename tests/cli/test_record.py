"""Recording a provider's answers, and testing a connector on them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from penstock.testing import connector_runtime


@pytest.fixture
def connected(shell, provider):
    """The connector that `init` writes, connected to the simulated provider."""
    shell("init acme")
    made = shell(
        f"connect acme.py --name acme --set base_url={provider.url} "
        f"--secret api_key={provider.token}"
    )
    assert made.code == 0, made.err
    return shell


def test_what_is_recorded_is_what_a_test_replays(connected, provider):
    done = connected("record acme customers --to recordings")
    assert done.code == 0, done.err
    assert "exchanges recorded in recordings" in done.err
    assert "Customer" not in connected("documents list customer").out
    assert connected.json("doctor")["documents"] == {}

    with connector_runtime("acme.py", settings={"base_url": provider.url}) as runtime:
        runtime.replay("recordings")
        report = runtime.run("customers", full=True)
    connected("run acme customers")
    live = connected.json("runs")[0]
    assert report.counters.created == live["created"] > 0
    assert report.counters.rejected == live["rejected"]


def test_no_secret_is_written(connected, provider):
    connected("record acme customers --to recordings")
    written = "".join(file.read_text() for file in Path("recordings").iterdir())
    assert written
    assert provider.token not in written


def test_what_is_hidden_is_not_there_and_numbers_stay_as_they_were(connected):
    connected("record acme customers --to recordings --hide display_name --hide email")
    file = min(Path("recordings").iterdir())
    page = json.loads(json.loads(file.read_text())["response"]["text"])
    assert {record["display_name"] for record in page["data"]} <= {"***", None}


def test_it_stops_where_it_is_told(connected):
    assert len(connected.json("record acme customers --to recordings --requests 1")) == 1


def test_a_folder_with_files_is_left_alone(connected):
    Path("recordings").mkdir()
    (Path("recordings") / "mine.json").write_text("{}")
    refused = connected("record acme customers --to recordings")
    assert refused.code == 2
    assert "holds files already" in refused.err
    assert [f.name for f in Path("recordings").iterdir()] == ["mine.json"]
