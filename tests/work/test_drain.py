"""Worker processes empty a database of due streams, while somebody kills and freezes some of them.

Every fault asserts that it struck a worker that held leases.
"""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from penstock.app import App
from penstock.config import Settings
from penstock.contracts import registry
from penstock.model import times
from penstock.model.standing import Condition
from penstock.model.unit import Lease
from penstock.simulator import Company
from penstock.simulator.server import TOKEN
from penstock.work.owner import Owner
from tests.database import KEY, empty_schema
from tests.kill.test_kill import process

SEED, STALE_S, PATIENCE_S = 11, 2.0, 120


@dataclass
class Site:
    """A database with due streams, and the processes that work on it."""

    app: App
    connections: list[str]
    rng: random.Random
    hands: list[subprocess.Popen[bytes]] = field(default_factory=list)
    killed: int = 0

    def hire(self, workers: int = 4, *more: str) -> None:
        database = self.app.settings.database
        words = (database, KEY, str(workers), str(STALE_S), *more)
        self.hands.append(
            subprocess.Popen(
                [sys.executable, "-m", "tests.work.hand", *words], cwd=Path(__file__).parents[2]
            )
        )

    def send_home(self) -> list[int]:
        """How each ended. One that was hired just now may not be there yet to be told."""
        deadline = time.monotonic() + PATIENCE_S
        while not {hand.pid for hand in self.hands} <= self.present():
            assert time.monotonic() < deadline, "a worker never came"
            time.sleep(0.1)
        for hand in self.hands:
            hand.terminate()
        return [hand.wait(60) for hand in self.hands]

    def present(self) -> set[int]:
        owners = [Owner.parse(row.owner) for row in self.app.store.workers.list()]
        return {owner.pid for owner in owners if owner is not None}

    def leases(self) -> list[tuple[Lease, int]]:
        """Every lease that one of the processes holds, with its process."""
        found = []
        for row in self.app.store.streams.list("default"):
            owner = Owner.parse(row.lease_owner)
            if owner is not None:
                until = times.moment(row.lease_until)
                home = (row.workspace, row.connection, row.stream, row.lease_owner)
                found.append((Lease(*home, row.epoch, until, row.partition), owner.pid))
        return found

    def working(self) -> list[subprocess.Popen[bytes]]:
        """Those that hold a lease. One that died when its run was over and its lease not yet given
        back holds nothing up: whoever runs the stream next takes it."""
        busy = {pid for _, pid in self.leases()}
        return [hand for hand in self.hands if hand.pid in busy]

    def busy_one(self) -> subprocess.Popen[bytes]:
        deadline = time.monotonic() + PATIENCE_S
        while time.monotonic() < deadline:
            if working := self.working():
                return self.rng.choice(working)
            time.sleep(0.01)
        raise AssertionError("nobody works: there is too little to do for this test")

    def kill_one(self) -> None:
        hand = self.busy_one()
        hand.kill()
        assert hand.wait(10) == -signal.SIGKILL
        self.hands.remove(hand)
        self.killed += 1
        self.hire()

    def provoke_a_refusal(self) -> None:
        """One freezes between a page and its commit, and loses its lease, as it does to another
        host when that is over; then it wakes up, and goes on with other work."""
        self.hire(1, "page.parsed:1")
        pid = self.hands[-1].pid
        _, status = os.waitpid(pid, os.WUNTRACED)
        assert os.WIFSTOPPED(status), "the fault fired"
        ((lease, _),) = self.leases()
        mine = replace(lease, owner="another host")
        state = self.app.store.streams.claim(mine, now=times.microseconds(lease.until))
        assert state is not None
        self.app.store.streams.release(replace(mine, epoch=state.epoch))
        os.kill(pid, signal.SIGCONT)
        deadline = time.monotonic() + PATIENCE_S
        while not self.fencing_refusals():
            assert time.monotonic() < deadline, "it was not refused"
            time.sleep(0.05)

    def due(self) -> int:
        return self.app.store.agenda.counts(times.microseconds(self.app.clock.now()))[1]

    def wait_until_nothing_is_due(self, seconds: float) -> None:
        deadline = time.monotonic() + seconds
        planned = len(self.connections) * 5
        while self.due() or self.app.store.agenda.counts(0)[0] < planned or self.working():
            assert time.monotonic() < deadline, f"{self.due()} streams are still due"
            assert all(hand.poll() is None for hand in self.hands), "a worker gave up"
            self.help_the_parked()
            time.sleep(0.1)

    def help_the_parked(self) -> None:
        """As a person does: chance may have struck one stream three times."""
        for row in self.app.store.streams.list("default"):
            if row.state == Condition.FAILED and "its process died" in (row.reason or ""):
                self.app.run_now(row.connection, row.stream)

    def fencing_refusals(self) -> int:
        runs = self.app.store.runs.list("default", limit=100_000)
        assert all(run.counters.balanced for run in runs)
        return sum(run.reason == "lease_lost" for run in runs)


@contextmanager
def site(connections: int, records: int) -> Iterator[Site]:
    arguments = ("--port", "0", "--records", str(records), "--seed", str(SEED), "--faulty", "0")
    with empty_schema() as database, process("-m", "penstock.simulator", *arguments) as child:
        assert child.stdout is not None
        url = child.stdout.readline().split(" is open at ")[1].split(",")[0]
        settings = Settings(database=database, master_key=KEY, reading_process="off")
        with App.open(settings) as app:
            names = [f"sim-{number}" for number in range(connections)]
            for name in names:
                options = {"base_url": url, "page_size": 5}
                app.connect("simulated", name, options, {"api_key": TOKEN})
            made = Site(app, names, random.Random(SEED))
            try:
                yield made
            finally:
                for hand in made.hands:
                    hand.kill()
                    hand.wait()


def check(app: App, name: str, company: Company) -> None:
    """Every document of a connection is what the company knows of itself, once."""
    for document_type, expected in company.truth().expected.items():
        contract = registry.contract(document_type)
        found = {}
        stored = app.store.reader.contents("default", document_type, connection=name)
        for row, content in stored:
            payload = contract.read(content, row.source_version, row.source_updated_at)
            facts = expected.facts.get(row.source_id, {})
            found[row.source_id] = {fact: payload.get(fact) for fact in facts}
        assert found == expected.facts, (name, document_type)
        counts = app.store.reader.counts("default", connection=name)[document_type]
        assert counts["versions"] == expected.versions, (name, document_type)


def drain(connections: int, records: int, workers: int, kills: int, seconds: float) -> Site:
    company = Company(seed=SEED, records=records, faulty=0)
    with site(connections, records) as made:
        made.provoke_a_refusal()
        for _ in range(workers - 1):
            made.hire()
        for _ in range(kills):
            made.kill_one()
        made.wait_until_nothing_is_due(seconds)
        assert set(made.send_home()) == {0}
        for name in made.connections:
            check(made.app, name, company)
        assert made.killed == kills
        assert made.fencing_refusals() >= 1
    return made


def test_workers_drain_a_database_while_two_of_them_are_killed() -> None:
    drain(connections=4, records=40, workers=2, kills=2, seconds=180)


@pytest.mark.torture
def test_four_workers_drain_a_thousand_streams_while_twenty_are_killed() -> None:
    drain(connections=200, records=100, workers=4, kills=20, seconds=900)
