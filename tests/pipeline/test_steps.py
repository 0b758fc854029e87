"""A route that is a generator: each page it yields is committed before its next line runs."""

from __future__ import annotations

import gzip
from collections.abc import Callable, Iterator
from typing import Any

import httpx2
import pytest

from penstock import ingest, sync
from penstock.sdk.connector import Connector
from penstock.sdk.request import RouteRequest
from tests.pipeline.plant import Plant, customer, empty, to_customer

MakePlant = Callable[..., Plant]


def stepping(route: Callable[[RouteRequest], Iterator[Any]]) -> Connector:
    connector = empty("customers")
    connector.mapping("customers", id="id", document="customer")(to_customer)
    connector.sync("customers")(route)
    return connector


def test_each_step_is_committed_before_the_next_line_runs(make_plant: MakePlant) -> None:
    stored: list[int] = []

    def route(request: RouteRequest) -> Iterator[Any]:
        for number in range(1, 4):
            stored.append(len(plant.names()))
            ingest.records("customers", [customer(number)])
            yield sync.page(cursor=number)

    plant = make_plant(stepping(route))
    report = plant.run()
    assert stored == [0, 1, 2]
    assert (report.state, report.counters.created, report.counters.pages) == ("done", 3, 4)
    assert plant.checkpoint()[0] is None


def test_what_it_returns_is_its_last_page(make_plant: MakePlant) -> None:
    def route(request: RouteRequest) -> Any:
        ingest.records("customers", [customer(1)])
        yield sync.page(cursor="half")
        ingest.records("customers", [customer(2)])
        return sync.page(cursor="next time from here")

    plant = make_plant(stepping(route))
    assert plant.run().counters.created == 2
    assert plant.checkpoint()[0] == "next time from here"


def test_a_run_that_fails_goes_on_behind_the_last_step(make_plant: MakePlant) -> None:
    begun_at: list[Any] = []
    broken = [True]

    def route(request: RouteRequest) -> Iterator[Any]:
        begun_at.append(request.cursor)
        for number in range(request.cursor or 1, 5):
            if number == 3 and broken.pop():
                broken.append(False)
                raise RuntimeError("in the middle of the third")
            ingest.records("customers", [customer(number)])
            yield sync.page(cursor=number + 1)

    plant = make_plant(stepping(route))
    failed = plant.run()
    assert (failed.reason, failed.counters.created) == ("route_failed", 2)
    assert plant.checkpoint()[0] == 3
    broken[0] = False
    assert plant.run().counters.created == 2
    assert begun_at == [None, 3]


def test_the_watermark_moves_only_when_it_is_through(make_plant: MakePlant) -> None:
    marks: list[Any] = []

    def route(request: RouteRequest) -> Iterator[Any]:
        ingest.records("customers", [customer(1)])
        yield sync.page()
        marks.append(plant.checkpoint()[1])
        ingest.records("customers", [customer(2)])
        yield sync.page()

    plant = make_plant(stepping(route))
    plant.run()
    assert marks == [None]
    assert plant.checkpoint()[1] is not None


def test_it_is_closed_when_the_run_stops(make_plant: MakePlant) -> None:
    closed: list[bool] = []

    def route(request: RouteRequest) -> Iterator[Any]:
        try:
            ingest.records("customers", [customer(1, display_name=" ")] * 60)
            yield sync.page()
            ingest.records("customers", [{"id": f"c{n}"} for n in range(60)])
            yield sync.page()
            ingest.records("customers", [customer(2)])
        finally:
            closed.append(True)

    plant = make_plant(stepping(route))
    assert plant.run().reason == "too_many_rejected"
    assert closed == [True]


def test_what_it_yields_has_to_be_a_page(make_plant: MakePlant) -> None:
    def route(request: RouteRequest) -> Iterator[Any]:
        yield {"cursor": 1}

    report = make_plant(stepping(route)).run()
    assert report.reason == "connector_invalid"
    assert "returned dict" in str(report.message)


@pytest.mark.parametrize("steps", [1, 3])
def test_a_report_is_started_waited_for_and_read(make_plant: MakePlant, steps: int) -> None:
    """Start, wait with again_in, download: a job as Shopify's bulk operations and many reports."""
    asked: list[str] = []
    ready_after = [steps]

    def provider(request: httpx2.Request) -> httpx2.Response:
        asked.append(f"{request.method} {request.url.path}")
        match request.url.path:
            case "/reports":
                return httpx2.Response(201, json={"id": "r1"})
            case "/reports/r1":
                ready_after[0] -= 1
                return httpx2.Response(200, json={"done": ready_after[0] <= 0})
        lines = "\n".join(
            f'{{"id": "cus_{n}", "display_name": "C {n}", "updated_at": "2026-03-01T09:00:00Z"}}'
            for n in range(250)
        )
        packed = gzip.compress((lines + "\nnot json\n").encode())
        return httpx2.Response(200, content=packed, headers={"content-length": str(len(packed))})

    def route(request: RouteRequest) -> Any:
        job = request.cursor or request.http.post("/reports", json={}).json()["id"]
        if not request.http.get(f"/reports/{job}").json()["done"]:
            return sync.page(cursor=job, again_in=60)
        return reading(request, job)

    def reading(request: RouteRequest, job: str) -> Iterator[Any]:
        some: list[Any] = []
        for record in request.http.stream(f"/files/{job}").json_lines():
            some.append(record)
            if len(some) == 100:
                ingest.records("customers", some)
                some = []
                yield sync.page(cursor=job)
        ingest.records("customers", some)

    plant = make_plant(stepping(route))
    plant.provider = provider
    for _ in range(steps - 1):
        report = plant.run()
        assert (report.state, report.reason) == ("parked", "parked")
    report = plant.run()
    assert (report.state, report.counters.created, report.counters.rejected) == ("done", 250, 1)
    assert [letter.raw for letter in plant.letters()] == [b"not json"]
    assert asked.count("POST /reports") == 1
