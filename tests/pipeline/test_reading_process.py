"""A process of its own reads what this one would have read, or leaves it to us."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx2
import pytest

from penstock.model.outcome import Counters
from penstock.pipeline.collection import Arrivals
from penstock.pipeline.letters import Postmaster
from penstock.pipeline.reading import Fresh, Installation, RecordReader
from penstock.pipeline.reading_process import Reading, ReadingProcess
from penstock.pipeline.stage import Stage
from penstock.sdk.loader import load
from tests.pipeline.plant import URL, Plant, Provider, customer, page_of

CONNECTOR = f'''
import os
from penstock import Bearer, Connector, Cursor, Emit, Permissions, Since, Stream

acme = Connector(
    key="acme", name="Acme", provider="acme", version="0.1.0", base_url="{URL}",
    settings={{"type": "object", "properties": {{"api_key": {{"x-secret": True}}}}}},
    auth=Bearer(secret="api_key"),
    permissions=Permissions(http=["{URL}/*"], documents={{"customer": ["write"]}}),
    streams=[Stream("customers", mode="poll")],
)

@acme.collection("customers", path="/customers", records="data", id="id",
                 pages=Cursor("next_cursor", param="cursor"),
                 since=Since(param="updated_since", field="updated_at"), document="customer")
def customer(record):
    if record["display_name"] == "the end" and __name__ != os.environ.get("FIRST"):
        os._exit(7)
    print("a mapping may print")
    if record["display_name"] == "nobody":
        return None
    return {{"customer_id": record["id"], "name": record["display_name"],
            "source_updated_at": record["updated_at"]}}
'''

NOW = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)


@pytest.fixture
def plant(tmp_path: Path) -> Plant:
    """Acme's connector as a file, so that another process can load it too."""
    file = tmp_path / "acme_beside.py"
    file.write_text(CONNECTOR)
    plant = Plant(tmp_path, Provider())
    loaded = load(str(file))
    plant.installation = Installation(loaded, plant.connection)
    return plant


@pytest.fixture
def process(plant: Plant) -> Iterator[ReadingProcess]:
    process = ReadingProcess(plant.installation, "customers")
    yield process
    process.close()


def fresh(plant: Plant, *records: Any) -> list[Fresh]:
    stage = Stage(0, Postmaster("default", "acme-main", "customers"))
    reader = RecordReader(plant.installation, "customers")
    raws = [r if isinstance(r, bytes) else json.dumps(r).encode() for r in records]
    return reader.sort_out(stage, reader.glance(raws), lambda ids: {})


def read_here(plant: Plant, records: list[Fresh]) -> Stage:
    stage = Stage(int(NOW.timestamp() * 1e6), Postmaster("default", "acme-main", "customers"))
    RecordReader(plant.installation, "customers").read(stage, records, NOW)
    return stage


def test_it_finds_what_would_be_found_here(plant: Plant, process: ReadingProcess) -> None:
    records = fresh(
        plant,
        customer(1),
        customer(2, display_name="nobody"),
        customer(3, display_name=" "),
        {"id": "cus_4", "updated_at": "2026-03-01T09:00:00Z"},
        b'{"id": "cus_5", "display_name": "Twice", "display_name": "Twice"}',
    )
    there = process.read(records, NOW).result()
    here = read_here(plant, records)
    assert there == Reading.of(here)
    assert [c.key for c in here.candidates] == ["acme:customer:cus_1"]
    assert (here.filtered, here.mapping_errors, here.rejected) == (1, 1, 2)


def test_it_is_ready_when_it_has_the_connector(plant: Plant, process: ReadingProcess) -> None:
    process.read([], NOW).result()
    assert process.is_ready


def test_edited_code_is_left_to_us(plant: Plant) -> None:
    """Reading with another mapping than the one whose fingerprint is stored would be a lie."""
    other = replace(plant.installation.loaded, code=b"another")
    process = ReadingProcess(Installation(other, plant.connection), "customers")
    try:
        assert process.read(fresh(plant, customer(1)), NOW).result() is None
        assert not process.is_ready
    finally:
        process.close()


def test_a_connector_that_only_lives_here_is_left_to_us(tmp_path: Path) -> None:
    process = ReadingProcess(Plant(tmp_path, Provider()).installation, "customers")
    try:
        assert process.read([], NOW).result() is None
        assert not process.is_ready
    finally:
        process.close()


def test_a_mapping_that_ends_the_process_ends_only_that(
    plant: Plant, process: ReadingProcess
) -> None:
    assert process.read(fresh(plant, customer(1)), NOW).result() is not None
    assert process.read(fresh(plant, customer(2, display_name="the end")), NOW).result() is None
    assert process.read(fresh(plant, customer(3)), NOW).result() is None
    assert not process.is_ready


class Counted(ReadingProcess):
    """Counts the pages it was given, and is there from the start."""

    pages = 0

    def __init__(self, installation: Installation, stream: str) -> None:
        super().__init__(installation, stream)
        self.read([], NOW).result()
        Counted.pages = 0

    def read(self, records: Any, received_at: datetime) -> Any:
        Counted.pages += 1
        return super().read(records, received_at)


def is_here_in_the_end(arrivals: Arrivals) -> bool:
    return arrivals._pending is not None and arrivals._pending.exception() is None


def source(plant: Plant, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every run of the plant reads beside from its second page on, however slow the machine."""
    monkeypatch.setattr(Arrivals, "is_here", property(is_here_in_the_end))
    monkeypatch.setattr("penstock.pipeline.collection.MANY_FRESH", 1)
    monkeypatch.setattr("penstock.work.sources.ReadingProcess", Counted)
    plant.reads_beside = True


def test_a_long_run_is_read_beside(plant: Plant, monkeypatch: pytest.MonkeyPatch) -> None:
    source(plant, monkeypatch)
    provider = plant.provider
    assert isinstance(provider, Provider)
    provider.limit = 20
    provider.records = [customer(n) for n in range(1, 1001)]
    provider.records[500]["display_name"] = " "
    report = plant.run()
    assert Counted.pages > 0, "no page was read beside"
    assert (report.counters.created, report.counters.rejected) == (999, 1)
    assert plant.names() == {
        r["id"]: r["display_name"] for r in provider.records if r["id"] != "cus_501"
    }
    assert plant.letters()[0].page_index == 500 % 20
    assert plant.run(full=True).counters.unchanged == 999


def test_a_process_that_dies_in_the_middle_loses_nothing(
    plant: Plant, monkeypatch: pytest.MonkeyPatch
) -> None:
    source(plant, monkeypatch)
    provider = plant.provider
    assert isinstance(provider, Provider)
    provider.limit = 20
    provider.records = [customer(n) for n in range(1, 1001)]
    monkeypatch.setattr("penstock.work.sources.ReadingProcess", Dying)
    assert plant.run().counters.created == 1000
    assert Counted.pages > 2, "it did not die in the middle"


class Dying(Counted):
    """Is killed before its third page."""

    def read(self, records: Any, received_at: datetime) -> Any:
        if Counted.pages == 2:
            self._process.kill()
        return super().read(records, received_at)


def test_what_the_page_before_changed_is_asked_again(
    plant: Plant, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each page brings a record's old bytes again, right after the page with its new ones."""
    source(plant, monkeypatch)
    pages = [
        [customer(n, display_name="new"), *([customer(n - 1)] if n > 1 else [])]
        for n in range(1, 60)
    ]

    def provider(request: httpx2.Request) -> httpx2.Response:
        number = int(request.url.params.get("cursor", "0"))
        following = str(number + 1) if number + 1 < len(pages) else None
        return page_of(pages[number], next_cursor=following)

    def counted(one: Plant) -> tuple[Counters, dict[str, str]]:
        one.provider = lambda request: page_of([customer(n) for n in range(1, 60)])
        one.run(full=True)
        one.provider = provider
        return one.run(full=True).counters, one.names()

    (tmp_path / "alone").mkdir()
    alone = Plant(tmp_path / "alone", provider, plant.installation.loaded.connector)
    assert counted(plant) == counted(alone)
    assert Counted.pages > 0, "no page was read beside"
    assert plant.names()["cus_1"] == "Customer 1"
