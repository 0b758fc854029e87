"""Kill -9 in the middle of a partition: the ledger knows, the next process goes on, nothing twice.

Every kill asserts that it fired.
"""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from penstock.app import App
from penstock.app.backfilling import Backfilling
from penstock.config import Settings
from penstock.model.backfill import Step
from penstock.model.run import RunKind, RunState
from penstock.read.backfills import BackfillView
from penstock.work.timetable import MOST_ATTEMPTS
from tests.database import url_in
from tests.kill.test_kill import KEY, Victim, check, company, connect, process

FROM, TO = datetime(2025, 3, 1, tzinfo=UTC), datetime(2025, 7, 1, tzinfo=UTC)
POINTS = {
    "lease.claimed": 2,
    "partition.begun": 2,
    "page.parsed": 2,
    "commit.fenced": 2,
    "page.before_commit": 2,
    "page.after_commit": 2,
    "partition.pulled": 1,
}
"""Named moment to the passing of it at which the process dies."""
A_FEW = ("partition.begun", "page.after_commit", "partition.pulled")


@pytest.fixture
def settings(backend: str, tmp_path: Path) -> Settings:
    return Settings(database=url_in(tmp_path), master_key=KEY)


def started(settings: Settings, by: Step) -> int:
    with App.open(settings) as app:
        view = Backfilling(app).start("sim", "invoices", FROM, TO, by, parallel=2)
        return view.backfill_no


def ledger(settings: Settings, number: int) -> BackfillView:
    with App.open(settings) as app:
        return app.read.backfill(number)


@pytest.mark.sqlite  # at every moment and on every backend: below
def test_a_backfill_that_is_killed_again_and_again_ends_with_everything(
    settings: Settings,
) -> None:
    survive(settings, A_FEW, Step.MONTH)


@pytest.mark.torture
def test_a_backfill_that_is_killed_at_every_moment(settings: Settings) -> None:
    survive(settings, tuple(POINTS), Step.WEEK)


def survive(settings: Settings, points: tuple[str, ...], by: Step) -> None:
    """Kill a backfill at these moments, one after the other; then nothing is missing or twice."""
    with company() as url:
        connect(settings, url)
        number = started(settings, by)
        with process("-m", "tests.kill.victim", settings.database, KEY) as child:
            victim = Victim(child)
            for point in points:
                answer = victim.order(point=point, passing=POINTS[point], backfill=number)
                assert answer["killed"], f"never reached: {point}"
            with App.open(settings) as app:  # three deaths at one page park, whoever was to blame
                Backfilling(app).resume(number)
            assert victim.order(backfill=number) == {"killed": False, "exit": 0}
            view = ledger(settings, number)
            assert (view.state, view.done, view.total) == (
                "done",
                view.total,
                4 if by is Step.MONTH else 19,
            )
            victim.run_to_the_end()
    check(settings, 0)
    with App.open(settings) as app:
        runs = app.store.runs.list("default", limit=1_000)
        backfilled = [run for run in runs if run.kind is RunKind.BACKFILL]
        assert sum(run.state is RunState.INTERRUPTED for run in backfilled) >= 2
        assert sum(run.counters.created for run in backfilled) == view.counters.created > 0
        partitions = [row.partition for row in app.store.streams.list("default")]
        assert partitions == [""] * len(partitions), "what is done leaves no row behind"


@pytest.mark.sqlite  # the ledger's part of it is in the store contract, on every backend
def test_a_partition_that_kills_its_process_is_parked_and_the_others_are_done(
    settings: Settings,
) -> None:
    with company() as url:
        connect(settings, url)
        with App.open(settings) as app:
            backfilling = Backfilling(app)
            asked = ("sim", "invoices", FROM, TO.replace(month=5), Step.MONTH)
            number = backfilling.start(*asked, parallel=1).backfill_no
        with process("-m", "tests.kill.victim", settings.database, KEY) as child:
            victim = Victim(child)
            for _ in range(MOST_ATTEMPTS):
                poison = victim.order(point="page.parsed", passing=1, backfill=number)
                assert poison["killed"]
            assert victim.order(backfill=number) == {"killed": False, "exit": 3}
            view = ledger(settings, number)
            assert view.state == "failed"
            assert (view.partitions["parked"], view.partitions["done"]) == (1, 1)
            with App.open(settings) as app:
                parked, _ = app.read.partitions(number)
                assert parked.reason == "its process died 3 times at the same page"
                Backfilling(app).resume(number)
            assert victim.order(backfill=number) == {"killed": False, "exit": 0}
            assert ledger(settings, number).is_complete
