"""One stream run to its end: what the report says is what the stored run says."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from penstock.model.outcome import Counters
from penstock.telemetry import heard_by
from tests.model_based.crash import Crash, Ending, crashing
from tests.pipeline.plant import Plant, Provider, customer

PAGES, PER_PAGE = 3, 2


@pytest.fixture
def plant(tmp_path: Path) -> Iterator[Plant]:
    records = [customer(number) for number in range(PAGES * PER_PAGE)]
    plant = Plant(tmp_path, Provider(records, limit=PER_PAGE))
    yield plant
    plant.store.close()


@pytest.mark.parametrize("page", range(PAGES))
@pytest.mark.parametrize("after", [True, False])
def test_a_page_whose_commit_gave_no_answer_counts_where_it_is_stored(
    plant: Plant, page: int, after: bool
) -> None:
    with crashing(plant, Crash(page, after, Ending.LOST)) as commits:
        report = plant.run()
    assert commits.fired
    assert (report.state, report.reason) == ("failed", "store_unavailable")
    stored = page + after
    assert report.counters == Counters(
        pages=stored,
        fetched=stored * PER_PAGE,
        submitted=stored * PER_PAGE,
        created=stored * PER_PAGE,
    )
    run = plant.store.runs.get(report.run_no or 0)
    assert run is not None
    assert run.counters == report.counters

    rest = plant.run()
    assert rest.counters.created == (PAGES - stored) * PER_PAGE
    assert len(plant.names()) == PAGES * PER_PAGE


def test_an_observed_run_counts_what_it_decided(plant: Plant) -> None:
    report = plant.run(observing=True)
    assert report.counters.created == PAGES * PER_PAGE
    assert plant.names() == {}


def test_every_event_of_a_run_bears_its_number_in_whatever_thread_it_happens(plant: Plant) -> None:
    heard: list[tuple[str, object, object]] = []
    with heard_by(lambda name, of: heard.append((name, of.get("run"), of.get("connection")))):
        report = plant.run()
    names = [name for name, _, _ in heard]
    assert {(run, connection) for _, run, connection in heard} == {(report.run_no, "acme-main")}
    assert (names[0], names[-1]) == ("run.started", "run.finished")
    assert names.count("page.committed") == names.count("request.answered") == PAGES
