"""Events reach whoever listens, with what they happen in; threads keep it when it is carried."""

from __future__ import annotations

import logging
from concurrent.futures import ThreadPoolExecutor

import pytest

from penstock.telemetry import Fields, about, carried, event, heard_by


@pytest.fixture
def heard():
    events: list[tuple[str, Fields]] = []
    with heard_by(lambda name, fields: events.append((name, dict(fields)))):
        yield events


def test_a_listener_hears_every_event_whatever_its_level(heard):
    event("page.committed", logging.DEBUG, records=2)
    assert heard == [("page.committed", {"records": 2})]


def test_an_event_bears_what_it_happens_in_and_its_own_fields_go_before(heard):
    with about(connection="acme", stream="invoices"), about(run=7):
        event("page.committed", stream="payments")
    event("service.recovered")
    assert heard == [
        ("page.committed", {"connection": "acme", "stream": "payments", "run": 7}),
        ("service.recovered", {}),
    ]


def test_work_in_another_thread_bears_it_when_it_is_carried(heard):
    def work(number: int) -> int:
        event("page.committed", number=number)
        return number

    with ThreadPoolExecutor(1) as thread:
        with about(run=7):
            assert thread.submit(carried(work), 1).result() == 1
        thread.submit(work, 2).result()
    assert [fields for _, fields in heard] == [{"run": 7, "number": 1}, {"number": 2}]


def test_nobody_hears_when_nobody_listens_any_more():
    events: list[str] = []
    with heard_by(lambda name, _: events.append(name)):
        event("run.started")
    event("run.finished")
    assert events == ["run.started"]


def test_the_log_shows_an_events_own_fields_and_keeps_all_of_them(caplog):
    with caplog.at_level(logging.INFO), about(run=7):
        event("page.committed", records=2)
    (record,) = caplog.records
    assert record.getMessage() == "page.committed records=2"
    assert record.fields == {"run": 7, "records": 2}
