"""Kill -9 anywhere, any number of times: the store ends equal to the source, nothing twice.

The company lives in one process, the victim in another; after every kill the next run starts on
what is on the disk. Every kill asserts that it fired.
"""

from __future__ import annotations

import itertools
import json
import random
import socket
import subprocess
import sys
import time
import urllib.request
from base64 import b64encode
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from penstock.app import App
from penstock.config import Settings
from penstock.contracts import registry
from penstock.model.run import RunState
from penstock.simulator import Company
from penstock.simulator.server import TOKEN
from penstock.testing.store_case import placed
from tests.database import url_in

KEY = b64encode(b"k" * 32).decode()
SEED, RECORDS, PAGE = 7, 300, 20
POINTS = {
    "lease.claimed": 5,
    "page.fetched": 15,
    "page.parsed": 15,
    "commit.fenced": 15,
    "commit.page": 12,
    "commit.versions": 12,
    "commit.letters": 12,
    "commit.checkpoint": 12,
    "page.before_commit": 12,
    "page.after_commit": 12,
}
"""Named moment to how often a fresh full ingest passes it at least."""


class Victim:
    """Runs the connection in children that die on order."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process
        self.fired: Counter[str] = Counter()

    def order(self, **order: Any) -> dict[str, Any]:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(json.dumps(order) + "\n")
        self.process.stdin.flush()
        return dict(json.loads(self.process.stdout.readline()))

    def die_at(self, point: str, passing: int, *, full: bool) -> None:
        """Die at a named moment; an order that comes too late for it is no kill."""
        answer = self.order(point=point, passing=passing, full=full)
        if answer["killed"]:
            self.fired[point] += 1
        else:
            assert answer["exit"] == 0

    def die_after(self, seconds: float, *, full: bool) -> None:
        answer = self.order(after_s=seconds, full=full)
        if answer["killed"]:
            self.fired["any moment"] += 1

    def run_to_the_end(self, *, full: bool = False) -> None:
        assert self.order(full=full) == {"killed": False, "exit": 0}


@contextmanager
def process(*arguments: str, **options: Any) -> Iterator[subprocess.Popen[str]]:
    child = subprocess.Popen(
        [sys.executable, *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=Path(__file__).parents[2],
        **options,
    )
    try:
        yield child
    finally:
        child.kill()
        child.communicate()


@contextmanager
def company() -> Iterator[str]:
    """The simulator in a process of its own; its URL."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    url = f"http://127.0.0.1:{port}"
    arguments = ("--port", str(port), "--records", str(RECORDS), "--seed", str(SEED))
    with process("-m", "penstock.simulator", *arguments, "--faulty", "0.03") as child:
        assert child.stdout is not None
        child.stdout.readline()
        yield url


def asked(url: str, path: str, method: str = "GET") -> Any:
    request = urllib.request.Request(
        url + path, method=method, headers={"Authorization": f"Bearer {TOKEN}"}
    )
    with urllib.request.urlopen(request) as answer:
        return json.load(answer)


@pytest.fixture
def settings(backend: str, tmp_path: Path) -> Settings:
    return Settings(database=url_in(tmp_path), master_key=KEY)


def connect(settings: Settings, url: str) -> None:
    with App.open(settings) as app:
        app.connect("simulated", "sim", {"base_url": url, "page_size": PAGE}, {"api_key": TOKEN})


def check(settings: Settings, ticks: int) -> None:
    """The store against a company of the same seed that lived in this process."""
    twin = Company(SEED, RECORDS, 0.03)
    for _ in range(ticks):
        twin.tick()
    truth = twin.truth()
    with App.open(settings) as app:
        assert app.store.letters.counts("default") == truth.dead_letters
        counts = app.store.reader.counts("default")
        for document_type, expected in truth.expected.items():
            facts = stored_facts(app, document_type, expected.facts)
            assert facts == expected.facts, document_type
            assert counts[document_type]["versions"] == expected.versions
        check_history(app, truth.versions)
        check_counts(app, truth.documents, truth.versions)


def stored_facts(app: App, document_type: str, facts: Any) -> dict[str, dict[str, Any]]:
    contract = registry.contract(document_type)
    found = {}
    for stored, content in app.store.reader.contents("default", document_type):
        payload = contract.read(content, stored.source_version, stored.source_updated_at)
        names = facts.get(stored.source_id, {})
        found[stored.source_id] = {name: payload.get(name) for name in names}
    return found


def check_history(app: App, versions: int) -> None:
    """Versions are 1, 2, 3 … without gaps, the feed is dense, and neither has one too many."""
    feed = placed(app.store, versions)
    assert [item.seq for item in feed] == list(range(1, versions + 1))
    for document_type in registry.types():
        for stored in app.store.reader.documents("default", document_type, limit=10_000):
            history = app.store.reader.history(stored.document_id)
            assert [version.version for version in history] == list(range(1, stored.version + 1))
            hashes = [version.payload_hash for version in history]
            assert all(a != b for a, b in itertools.pairwise(hashes))


def check_counts(app: App, documents: int, versions: int) -> None:
    """What all runs counted, the killed ones too, is what is there."""
    runs = app.store.runs.list("default", limit=100_000)
    assert all(run.counters.balanced for run in runs)
    assert sum(run.counters.created for run in runs) == documents
    assert sum(run.counters.updated for run in runs) == versions - documents
    unfinished = [run for run in runs if run.state is RunState.RUNNING]
    assert unfinished == []


def sweep(settings: Settings, kills: int, seed: int) -> Counter[str]:
    """Kill until enough kills fired, with days passing in between; check; what fired."""
    rng = random.Random(seed)
    ticks = 0
    with company() as url:
        connect(settings, url)
        arguments = ("-m", "tests.kill.victim", settings.database, KEY)
        with process(*arguments) as child:
            victim = Victim(child)
            points = list(POINTS)
            while victim.fired.total() < kills:
                full = rng.random() < 0.2
                if rng.random() < 0.25:
                    victim.die_after(rng.uniform(0.01, 0.4), full=full)
                else:
                    point = points[victim.fired.total() % len(points)]
                    victim.die_at(point, rng.randint(1, POINTS[point]), full=full)
                if rng.random() < 0.15:
                    victim.run_to_the_end()  # a state that nobody looked at makes no version
                    asked(url, "/tick", "POST")
                    ticks += 1
            victim.run_to_the_end()
            victim.run_to_the_end(full=True)
            fired = victim.fired
        assert asked(url, "/truth")["versions"]
    check(settings, ticks)
    return fired


def test_state_and_data_in_two_systems(settings: Settings) -> None:
    """Dead at every named moment of a page, and at any other: checkpoint and data agree."""
    began = time.monotonic()
    fired = sweep(settings, kills=42, seed=1)
    assert fired.total() >= 40
    assert set(fired) >= set(POINTS), f"never reached: {set(POINTS) - set(fired)}"
    assert fired["any moment"] > 0
    print(f"{fired.total()} kills in {time.monotonic() - began:.1f} s: {dict(fired)}")


@pytest.mark.torture
@pytest.mark.parametrize("seed", range(20))
def test_a_hundred_kills(settings: Settings, seed: int) -> None:
    """Twenty times a hundred: two thousand."""
    assert sweep(settings, kills=100, seed=100 + seed).total() >= 100


def test_control_a_checkpoint_committed_before_its_data_is_found(settings: Settings) -> None:
    """Must fail: a store that commits the checkpoint before the data."""
    with company() as url:
        connect(settings, url)
        arguments = ("-m", "tests.kill.careless", settings.database, KEY)
        with process(*arguments) as child:
            victim = Victim(child)
            for passing in range(1, 6):
                victim.die_at("page.before_commit", passing, full=False)
            assert victim.fired.total() >= 3
            victim.run_to_the_end()
    with pytest.raises(AssertionError):
        check(settings, 0)
