"""A long life watched from outside: a scrape tells of runs that were made and of how it stands."""

from __future__ import annotations

import sys
import urllib.request

import pytest

from penstock.app.watching import ENDPOINTS, watched
from penstock.telemetry import heard_by


def scrape(port: int) -> dict[str, float]:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics") as answer:
        lines = answer.read().decode().splitlines()
    return {
        name: float(value)
        for name, _, value in (line.rpartition(" ") for line in lines if line[0] != "#")
    }


def test_a_scrape_counts_what_ran_and_reads_the_store(house):
    with watched(house, metrics_port=0, environment={}) as port:
        (report,) = house.run("sim", ("customers",))
        found = scrape(port)
    place = 'connection="sim",stream="customers",workspace="default"'
    created = 'connection="sim",outcome="created",stream="customers",workspace="default"'
    assert found[f"penstock_records_total{{{created}}}"] == report.counters.created > 0
    assert found[f"penstock_pages_total{{{place}}}"] == report.counters.pages
    assert found['penstock_requests_total{connection="sim",status="200",workspace="default"}'] > 0
    assert found['penstock_streams{condition="ok",workspace="default"}'] == 1
    assert found["penstock_store_up"] == 1
    assert "penstock_streams_due" in found


@pytest.mark.sqlite
def test_without_a_port_nothing_is_served(house):
    with watched(house, metrics_port=None, environment={}) as port:
        assert port is None


@pytest.mark.sqlite
def test_traces_without_their_extra_are_told_of_and_nothing_stops(house, monkeypatch):
    monkeypatch.setitem(sys.modules, "penstock.telemetry.traces", None)
    told: list[object] = []
    environment = {ENDPOINTS[0]: "http://127.0.0.1:1"}
    with (
        heard_by(lambda name, fields: told.append((name, fields.get("needs")))),
        watched(house, metrics_port=None, environment=environment),
    ):
        pass
    assert told == [("traces.unavailable", "penstock[otel]")]
