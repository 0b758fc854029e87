"""Deletes that wait for a person: listed, confirmed, made."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.connectors.serving import Asked, served

from .conftest import Shell

CONNECTOR = """
from penstock import Connector, Permissions, Stream

acme = Connector(
    key="acme", name="Acme", provider="acme", version="0.1.0", base_url="{url}",
    permissions=Permissions(http=["{url}/*"], documents={{"customer": ["write", "delete"]}}),
    streams=[Stream("customers", mode="poll")],
)

@acme.collection("customers", path="/customers", id="id", document="customer", deletes="absent")
def customer(record):
    return {{"customer_id": record["id"], "name": record["name"]}}
"""


@pytest.fixture
def listed() -> list[str]:
    """Ids of the customers that the provider lists."""
    return [str(n) for n in range(20)]


@pytest.fixture
def connected(shell: Shell, listed: list[str]) -> Iterator[Shell]:
    def answer(_: Asked) -> tuple[int, bytes]:
        return 200, json.dumps([{"id": n, "name": f"Customer {n}"} for n in listed]).encode()

    with served(answer) as url:
        Path("acme.py").write_text(CONNECTOR.format(url=url))
        assert shell("connect acme.py --name acme").code == 0
        assert shell("run acme").code == 0
        yield shell


def test_a_few_are_deleted_without_a_word(connected: Shell, listed: list[str]) -> None:
    listed.remove("7")
    assert connected("run acme").code == 0
    (report,) = connected.json("run acme")
    assert (report["absent"], report["updated"], report["notes"]) == (1, 1, [])
    assert connected("deletes").err == "no deletes wait to be confirmed\n"
    assert connected.json("deletes") == []


def test_many_wait_until_they_are_confirmed(connected: Shell, listed: list[str]) -> None:
    del listed[5:]
    connected("run acme")
    ran = connected("run acme")
    assert ran.code == 0
    assert "warning: customers: 15 of 20 records are no longer listed" in ran.err
    shown = connected("deletes --connection acme")
    assert shown.out.split()[5:9] == ["acme", "customers", "15", "20"]
    assert "hint: penstock deletes confirm acme customers" in shown.err
    assert any("15 of 20" in finding for finding in connected.json("doctor")["findings"])
    (waiting,) = connected.json("deletes")
    assert waiting.pop("proved_at").startswith("20")
    assert waiting == {"connection": "acme", "stream": "customers", "gone": 15, "documents": 20}

    done = connected("deletes confirm acme customers")
    assert (done.code, done.err) == (0, "acme customers: 15 documents deleted\n")
    assert connected.json("deletes") == []
    run = connected.json("runs")[0]
    assert (run["kind"], run["absent"], run["fetched"]) == ("deletes", 15, 0)


def test_there_must_be_something_to_confirm(connected: Shell) -> None:
    for words in ("acme customers", "acme nothing", "nobody customers"):
        refused = connected(f"deletes confirm {words}")
        assert refused.code == 2
    assert connected("deletes --connection nobody").code == 2


def test_confirmed_as_json(connected: Shell, listed: list[str]) -> None:
    del listed[10:]
    connected("run acme")
    connected("run acme")
    report = connected.json("deletes confirm acme customers --wait 5")
    assert (report["kind"], report["state"], report["absent"]) == ("deletes", "done", 10)


def test_a_run_killed_between_the_deletes_and_their_end_is_made_good(
    connected: Shell, listed: list[str]
) -> None:
    """SA24: kill -9 behind a page of deletes."""
    listed.remove("7")
    connected("run acme")
    words = [sys.executable, "-m", "penstock.cli.main", "--database"]
    killed = subprocess.run(
        [*words, f"sqlite:///{connected.database}", "run", "acme"],
        env=os.environ | {"PENSTOCK_KILL_AT": "sweep.page:1"},
        capture_output=True,
        timeout=60,
        check=False,
    )
    assert killed.returncode == -signal.SIGKILL
    (report,) = connected.json("run acme")
    assert (report["state"], report["absent"], report["unchanged"]) == ("done", 0, 19)
