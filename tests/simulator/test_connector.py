"""The shelf connector reads the simulated company: every record right, every fault by its name."""

from __future__ import annotations

import secrets
from base64 import b64encode
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from penstock.app import App, check
from penstock.config import Settings
from penstock.connectors.simulated import simulated
from penstock.contracts import registry
from penstock.model.outcome import Counters
from penstock.model.rejection import Rejection
from penstock.pipeline import mapping
from penstock.pipeline.examine import Desk, Origin
from penstock.pipeline.mapping import RecordNamer
from penstock.sdk.context import Context
from penstock.simulator import Company, Moved, serve
from penstock.simulator.faults import FAULTS, Fault
from penstock.upstream import wire
from penstock.upstream.wire import BadRecordError
from tests.database import url_in

NOW = datetime(2025, 7, 1, tzinfo=UTC)
STREAMS = {found.document: stream for stream, found in simulated.mappings.items()}


def read(document: str, row: bytes) -> tuple[str, str]:
    """Idempotency key and canonical content of one row, or "rejected" and the reason."""
    try:
        record = wire.decode_record(row)
    except BadRecordError as error:
        return "rejected", error.code
    declared = simulated.mappings[STREAMS[document]]
    namer = RecordNamer(simulated.provider, declared.id)
    context = Context(account=None, facts={}, settings={}, received_at=NOW)
    made = mapping.submissions(declared, namer, record, context, None)
    if isinstance(made, Rejection):
        return "rejected", made.reason
    if not made:
        return "filtered", ""
    desk = Desk.for_type("default", "sim", STREAMS[document], registry.contract(document))
    examined = desk.examine(made[0], Origin(0, NOW.date()))
    if isinstance(examined, Rejection):
        return "rejected", examined.reason
    assert examined.accepted
    return examined.key, examined.accepted.content.decode()


@pytest.mark.parametrize("document", STREAMS)
def test_every_sound_record_is_understood_as_the_company_means_it(document: str):
    company = Company(seed=3, records=1500, faulty=0)
    contract = registry.contract(document)
    for _ in range(2):
        expected = company.truth().expected[document]
        outcomes = [read(document, row) for row in company.listings[document].rows]
        assert sum(key == "filtered" for key, _ in outcomes) == expected.filtered
        documents = {
            key: contract.read(content.encode(), None, None)
            for key, content in outcomes
            if key != "filtered"
        }
        assert documents.keys() == {f"simulated:{document}:{name}" for name in expected.facts}
        for name, facts in expected.facts.items():
            payload = documents[f"simulated:{document}:{name}"]
            assert {field: payload[field] for field in facts} == facts
        company.tick()


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.kind)
def test_every_kind_of_fault_gets_its_reason_whatever_record_it_strikes(fault: Fault):
    company = Company(seed=9, records=800, faulty=0)
    outcomes: Counter[tuple[str, str]] = Counter()
    for entry in company._entries[fault.document].values():
        if fault.fits(entry.record):
            struck = type(entry)(entry.record, entry.updated_at, fault)
            outcomes[read(fault.document, struck.rendered()[1])] += 1
    assert outcomes.keys() == {("rejected", fault.reason)}


def test_the_manifest_is_sound_but_for_its_loopback_address():
    findings = check("simulated")
    assert [finding.severity for finding in findings] == ["warning"]
    assert "this machine" in findings[0].message


@pytest.fixture
def app(backend: str, tmp_path: Path) -> Iterator[App]:
    settings = Settings(
        database=url_in(tmp_path),
        master_key=b64encode(secrets.token_bytes(32)).decode(),
    )
    with App.open(settings) as app:
        yield app


@pytest.mark.parametrize("seed", [1, 2])
def test_incremental_runs_keep_up_with_the_company(app: App, seed: int):
    company = Company(seed=seed, records=1200)
    with serve(company) as served:
        where = {"base_url": served.url}
        app.connect("simulated", "sim", where, {"api_key": served.token}, allow_loopback=True)
        app.run("sim")
        for _ in range(4):
            moved = company.tick()
            for report in app.run("sim"):
                document = simulated.mappings[report.stream].document
                assert_followed(report.counters, moved[document])
            assert stored(app) == true(company)
        repeated = app.run("sim", full=True)
    truth = company.truth()
    for report in repeated:
        expected = truth.expected[simulated.mappings[report.stream].document]
        assert report.counters.unchanged == expected.unchanged
        assert report.counters.fetched == expected.fetched
        assert report.counters.filtered == expected.filtered
        assert report.counters.set_aside == expected.set_aside
    assert stored(app) == true(company)


def assert_followed(counters: Counters, moved: Moved) -> None:
    """The boundary of the last visit is read again, so only what is new counts exactly."""
    assert (counters.created, counters.updated) == (moved.created, moved.updated)
    assert counters.stale == 0
    assert counters.unchanged >= moved.touched
    assert counters.filtered >= moved.filtered
    assert counters.set_aside >= moved.set_aside


def stored(app: App) -> tuple[dict[str, int], dict[str, int], dict[str, int]]:
    counts = app.store.reader.counts("default")
    return (
        {name: count["documents"] for name, count in counts.items()},
        {name: count["versions"] for name, count in counts.items()},
        dict(app.store.letters.counts("default")),
    )


def true(company: Company) -> tuple[dict[str, int], dict[str, int], dict[str, int]]:
    truth = company.truth()
    return (
        {name: expected.documents for name, expected in truth.expected.items()},
        {name: expected.versions for name, expected in truth.expected.items()},
        truth.dead_letters,
    )
