"""The server is stopped at once in the middle of an ingest, and started again.

PS17: what was told as committed is there after its recovery, nothing is there twice, and the pools
of the process that went on mend themselves.
"""

from __future__ import annotations

import random
import threading
from collections.abc import Iterator

import pytest

from penstock.app import App, Progress
from penstock.config import Settings
from penstock.errors import StoreUnavailableError
from tests.cluster import Cluster, cluster
from tests.kill.test_kill import KEY, asked, check, company, connect


@pytest.fixture
def server() -> Iterator[Cluster]:
    with cluster() as made:
        yield made


class Told:
    """What a run told as committed; `enough` pages are waited for from another thread."""

    def __init__(self, enough: int) -> None:
        self.pages = 0
        self.created = 0

        self._enough = enough
        self._finished: dict[str, int] = {}
        self.is_enough = threading.Event()

    def __call__(self, progress: Progress) -> None:
        self.pages += 1
        self._finished[progress.stream] = progress.counters.created
        self.created = sum(self._finished.values())
        if self.pages >= self._enough:
            self.is_enough.set()


def stop_during_a_run(server: Cluster, app: App, rng: random.Random, *, full: bool) -> bool:
    """Whether the stop struck the run; the server is up again then."""
    told = Told(rng.randint(1, 12))
    struck = False
    before = documents(app)

    def run() -> None:
        nonlocal struck
        try:
            reports = app.run("sim", full=full, wait_s=0, progress=told)
            struck = any(report.reason == "store_unavailable" for report in reports)
        except StoreUnavailableError:
            struck = True
        finally:
            told.is_enough.set()

    thread = threading.Thread(target=run)
    thread.start()
    told.is_enough.wait(60)
    server.stop("immediate")
    thread.join(60)
    assert not thread.is_alive(), "the run hangs"
    server.start()
    assert documents(app) >= before + told.created, "what was told as stored is not there"
    app.store.streams.release_all("")
    return struck


def documents(app: App) -> int:
    """As the runs counted them, in the transactions that made them."""
    return sum(run.counters.created for run in app.store.runs.list("default", limit=100_000))


def stops(server: Cluster, wanted: int, seed: int) -> None:
    """Until so many stops have struck a run, with days passing in between; check."""
    rng, ticks, struck, rounds = random.Random(seed), 0, 0, 0
    settings = Settings(database=server.url, master_key=KEY)
    with company() as url:
        connect(settings, url)
        with App.open(settings) as app:
            while struck < wanted:
                rounds += 1
                assert rounds <= 4 * wanted, f"only {struck} struck a run"
                struck += stop_during_a_run(server, app, rng, full=rng.random() < 0.8)
                if rng.random() < 0.5:
                    assert not any(report.failed for report in app.run("sim"))
                    asked(url, "/tick", "POST")
                    ticks += 1
            for full in (False, True):
                assert not any(report.failed for report in app.run("sim", full=full))
    check(settings, ticks)


def test_the_server_is_stopped_at_once_and_nothing_is_lost(server: Cluster) -> None:
    stops(server, wanted=2, seed=3)


@pytest.mark.torture
def test_a_hundred_times(server: Cluster) -> None:
    stops(server, wanted=100, seed=4)
