"""Server processes end in the middle of a transaction, at random and at every statement.

R6, PS15, PS16: nothing is lost and nothing is there twice, and each termination is asserted to have
struck a transaction that had written something.
"""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from typing import TypeVar

import psycopg
import pytest

from penstock.app import App
from penstock.config import Settings
from penstock.errors import StoreUnavailableError
from penstock.store import postgres_documents, unit
from penstock.store.postgres import PostgresStore
from penstock.testing.store_worker import Worker, page
from penstock.work.lease import give_back
from tests.cluster import Cluster, cluster
from tests.kill.test_kill import KEY, asked, check, company, connect

T = TypeVar("T")

IN_A_TRANSACTION = """
SELECT pid FROM pg_stat_activity
WHERE application_name = 'penstock' AND backend_xid IS NOT NULL AND pid <> pg_backend_pid()
"""
TERMINATE = "SELECT pg_terminate_backend(%s, 5000)"
YES = [(True,)]


@pytest.fixture(scope="module")
def server() -> Iterator[Cluster]:
    with cluster() as made:
        yield made


@pytest.fixture
def database(server: Cluster) -> Iterator[str]:
    """An empty schema on it."""
    server.ask("CREATE SCHEMA IF NOT EXISTS killed")
    yield f"{server.url}?options=-csearch_path%3Dkilled"
    server.ask("DROP SCHEMA killed CASCADE")


@dataclass(slots=True)
class Assassin:
    """Ends backends that have written something and not committed, at moments of chance."""

    server: Cluster
    rng: random.Random
    wanted: int
    struck: int = 0
    over: threading.Event = field(default_factory=threading.Event)
    thread: threading.Thread = field(init=False)

    def __enter__(self) -> Assassin:
        self.thread = threading.Thread(target=self.hunt)
        self.thread.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self.over.set()
        self.thread.join()

    def hunt(self) -> None:
        with psycopg.connect(self.server.url, autocommit=True) as connection:
            while self.struck < self.wanted and not self.over.wait(self.rng.uniform(0, 0.01)):
                for (pid,) in connection.execute(IN_A_TRANSACTION).fetchall()[:1]:
                    ended = connection.execute(TERMINATE, (pid,)).fetchone()
                    self.struck += ended == (True,)


def insist(call: Callable[[], T]) -> T:
    """Until it succeeds, as a supervisor would."""
    for _ in range(100):
        try:
            return call()
        except StoreUnavailableError:
            continue
    raise AssertionError("a hundred attempts and no answer")


def massacre(server: Cluster, database: str, kills: int, seed: int) -> None:
    """Ingest while backends end, days passing in between, until enough of them have; check."""
    rng, ticks = random.Random(seed), 0
    settings = Settings(database=database, master_key=KEY)
    with company() as url:
        connect(settings, url)
        with App.open(settings) as app, Assassin(server, rng, kills) as assassin:
            deadline = time.monotonic() + 30 + kills
            while assassin.struck < kills:
                assert time.monotonic() < deadline, f"only {assassin.struck} were struck"
                insist(lambda: app.store.streams.release_all(""))
                reports = insist(lambda: app.run("sim", full=rng.random() < 0.7, wait_s=0))
                if rng.random() < 0.5 and not any(report.failed for report in reports):
                    asked(url, "/tick", "POST")
                    ticks += 1
        with App.open(settings) as app:
            app.store.streams.release_all("")
            for full in (False, True):
                assert not any(report.failed for report in app.run("sim", full=full))
    check(settings, ticks)


def repeated(caplog: pytest.LogCaptureFixture) -> int:
    return sum(record.message.startswith("commit.repeated") for record in caplog.records)


def test_sixty_backends_end_during_an_ingest(
    server: Cluster, database: str, caplog: pytest.LogCaptureFixture
) -> None:
    massacre(server, database, kills=60, seed=1)
    assert repeated(caplog) > 10, "the runs felt little of it"


@pytest.mark.torture
@pytest.mark.parametrize("seed", range(10))
def test_five_hundred_backends_end_during_an_ingest(
    server: Cluster, database: str, seed: int
) -> None:
    """Ten times five hundred: five thousand."""
    massacre(server, database, kills=500, seed=100 + seed)


POINTS = (
    *("commit.fenced", "commit.page", "commit.versions", "commit.letters", "commit.checkpoint"),
    "page.before_commit",
)


@dataclass(slots=True)
class Blow:
    """Ends whoever is in a transaction when the commit passes a named moment, so many times."""

    server: Cluster
    point: str
    times: int
    struck: int = 0

    def __call__(self, name: str) -> None:
        if name == self.point and self.struck < self.times:
            (victim,) = self.server.ask(IN_A_TRANSACTION)
            self.struck += self.server.ask(TERMINATE, *victim) == YES


def struck(monkeypatch: pytest.MonkeyPatch, blow: Blow) -> Blow:
    for module in (unit, postgres_documents):
        monkeypatch.setattr(module, "kill_point", blow)
    return blow


@pytest.mark.parametrize("point", POINTS)
@pytest.mark.parametrize("times", [1, postgres_documents.ATTEMPTS])
def test_a_unit_whose_backend_ends_is_written_again_whole(
    server: Cluster,
    database: str,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    point: str,
    times: int,
) -> None:
    """At every statement: once, and as often as it is tried; then the caller hears of it."""
    with PostgresStore.open(database) as store:
        worker = Worker(store)
        worker.commit(worker.invoice("1"))
        moved = worker.next_version("1", b"moved")
        made = replace(
            worker.unit(worker.invoice("2"), moved), pages=(page(),), letters=(worker.letter("3"),)
        )
        blow = struck(monkeypatch, Blow(server, point, times))
        if times < postgres_documents.ATTEMPTS:
            store.documents.commit(made)
        else:
            with pytest.raises(StoreUnavailableError):
                store.documents.commit(made)
            assert there(store, worker) == (1, 1, 0)
            store.documents.commit(made)
        assert blow.struck == times
        assert repeated(caplog) == min(times, postgres_documents.ATTEMPTS - 1)
        assert there(store, worker) == (2, 3, 1)


def there(store: PostgresStore, worker: Worker) -> tuple[int, int, int]:
    """Documents, feed items, letters."""
    documents = store.reader.documents("default", "invoice")
    return len(documents), store.feed.head(), len(store.letters.list("default"))


def test_a_commit_that_waits_and_is_cancelled_is_written_again(
    server: Cluster, database: str, caplog: pytest.LogCaptureFixture
) -> None:
    """57014: whoever cancels it, or its statement_timeout."""
    waiting = "SELECT pg_cancel_backend(pid) FROM pg_stat_activity WHERE wait_event_type = 'Lock'"
    with PostgresStore.open(database) as store, psycopg.connect(database) as other:
        worker = Worker(store)
        other.execute("SELECT FROM stream_state FOR UPDATE")
        thread = threading.Thread(target=worker.commit, args=(worker.invoice("1"),))
        thread.start()
        until(lambda: server.ask(waiting) == YES)
        until(lambda: repeated(caplog) == 1)
        other.rollback()
        thread.join(30)
        assert there(store, worker) == (1, 1, 0)


def test_a_lease_is_given_back_though_its_backend_ends(server: Cluster, database: str) -> None:
    """Else its stream would wait until the lease runs out."""
    waiting = "SELECT pid FROM pg_stat_activity WHERE wait_event_type = 'Lock'"
    ended: list[object] = []

    def end_it() -> bool:
        ended.extend(pid for (pid,) in server.ask(waiting) if server.ask(TERMINATE, pid) == YES)
        return bool(ended)

    with PostgresStore.open(database) as store, psycopg.connect(database) as other:
        worker = Worker(store)
        other.execute("SELECT FROM stream_state FOR UPDATE")
        thread = threading.Thread(target=give_back, args=(store.streams, worker.lease))
        thread.start()
        until(end_it)
        other.rollback()
        thread.join(30)
        state = store.streams.get("default", "acme", "invoices")
        assert state is not None
        assert state.lease_owner == ""


def until(done: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 30
    while not done():
        assert time.monotonic() < deadline, "it never happened"
        time.sleep(0.005)
