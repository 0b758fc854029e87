"""What Prometheus reads: counts of events, and gauges asked for at the moment of the scrape."""

from __future__ import annotations

import socket
import urllib.request

import pytest

from penstock.errors import UsageError
from penstock.telemetry import about, event, heard_by
from penstock.telemetry.metrics import Gauge, Metrics, served

PLACE = {"workspace": "default", "connection": "acme", "stream": "invoices"}


@pytest.fixture
def metrics():
    metrics = Metrics()
    with heard_by(metrics.hear):
        yield metrics


def value(metrics: Metrics, name: str, **labels: str) -> float | None:
    return metrics.registry.get_sample_value(name, labels)


def test_a_page_is_counted_with_its_records_by_outcome(metrics):
    with about(**PLACE, run=7):
        event("page.committed", created=2, unchanged=3, rejected=0)
        event("page.committed", created=1, unchanged=0, rejected=1)
    assert value(metrics, "penstock_pages_total", **PLACE) == 2
    assert value(metrics, "penstock_records_total", **PLACE, outcome="created") == 3
    assert value(metrics, "penstock_records_total", **PLACE, outcome="rejected") == 1
    assert value(metrics, "penstock_records_total", **PLACE, outcome="stale") is None


def test_a_run_is_counted_by_its_end_and_timed(metrics):
    with about(**PLACE, run=7):
        event("run.finished", state="done", seconds=4.0)
    assert value(metrics, "penstock_runs_total", **PLACE, state="done") == 1
    assert value(metrics, "penstock_run_seconds_sum", **PLACE) == 4.0


def test_requests_are_counted_by_status_and_those_without_an_answer_too(metrics):
    with about(**PLACE):
        event("request.answered", status=429, seconds=0.1)
        event("request.broken", fault="ReadTimeout", seconds=30.0)
    mine = {"workspace": "default", "connection": "acme"}
    assert value(metrics, "penstock_requests_total", **mine, status="429") == 1
    assert value(metrics, "penstock_requests_total", **mine, status="0") == 1
    assert value(metrics, "penstock_request_seconds_count", **mine) == 2


def test_every_event_is_counted_by_its_name(metrics):
    event("token.lost")
    assert value(metrics, "penstock_events_total", event="token.lost") == 1


def test_gauges_are_asked_at_each_scrape_over_http():
    due = iter(range(10))
    metrics = Metrics(lambda: [Gauge("penstock_streams_due", "Due.", next(due))])
    with served(metrics, 0) as port:
        seen = [scrape(port), scrape(port)]
    assert "penstock_streams_due 0.0" in seen[0]
    assert "penstock_streams_due 1.0" in seen[1]


def test_a_port_that_is_taken_is_a_usage_error():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(UsageError, match="another --metrics-port"), served(Metrics(), port):
            pass


def scrape(port: int) -> str:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics") as answer:
        return answer.read().decode()
