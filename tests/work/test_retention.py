"""What is too old goes, in small transactions; what is not told how long it is kept stays."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from penstock.app import open_store
from penstock.model.run import RunState
from penstock.model.unit import LetterState
from penstock.testing.clock import ManualClock
from penstock.testing.store_worker import NOW, Worker
from penstock.work import retention
from penstock.work.retention import Retainer, Retention
from tests.database import url_in

DAY = 24 * 3600


@pytest.fixture
def store(backend, tmp_path):
    with open_store(url_in(tmp_path)) as opened:
        for number in range(3):
            worker = Worker(opened, stream=str(number))
            letter = worker.letter("1")
            worker.commit(unit=replace(worker.unit(), letters=(letter,)))
            opened.letters.close([letter.letter_id], LetterState.DISCARDED, now=NOW)
            opened.runs.finish(
                worker.run_no,
                state=RunState.DONE,
                reason=None,
                message=None,
                finished_at=NOW,
                work_us=0,
            )
        yield opened


def test_nothing_goes_before_its_time_and_then_all_of_it(store, monkeypatch):
    monkeypatch.setattr(retention, "AT_ONCE", 2)
    clock = ManualClock()
    retainer = Retainer(store, Retention.of_days("30", "7"), clock)
    clock.advance(7 * DAY)
    assert retainer.tick() == {"runs": 0, "letters": 0, "pages": 0}
    clock.advance(1)
    assert retainer.tick() == {"runs": 0, "letters": 3, "pages": 0}
    clock.advance(23 * DAY)
    assert retainer.tick() == {"runs": 3, "letters": 0, "pages": 0}


def test_without_a_setting_everything_is_kept(store):
    clock = ManualClock()
    clock.advance(10_000 * DAY)
    retainer = Retainer(store, Retention.of_days(), clock)
    assert retainer.tick() == {"runs": 0, "letters": 0, "pages": 0}
    assert len(store.runs.list("default")) == 3


def test_days_are_days():
    assert Retention.of_days("2", None) == Retention(timedelta(days=2), None)
