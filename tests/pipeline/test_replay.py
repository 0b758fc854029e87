"""Dead letters once more: what today's mapping and contract make of the stored record."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from penstock import ingest, sync
from penstock.app import App
from penstock.config import Settings
from penstock.errors import UsageError
from penstock.model.outcome import Counters
from penstock.model.run import RunKind
from penstock.model.unit import LetterState
from penstock.pipeline.replay import Replayer
from penstock.pipeline.unit import UnitWriter
from penstock.sdk.connector import Connector
from penstock.store.rows import StoredLetter
from penstock.work import replaying
from tests.connectors.serving import served
from tests.database import KEY, url_in
from tests.pipeline.plant import (
    Plant,
    Provider,
    acme,
    customer,
    empty,
    errors_of,
    raw_page,
    to_customer,
)

MakePlant = Callable[..., Plant]


def by_code(record: dict[str, Any]) -> dict[str, Any]:
    """A mapping that fits only records with a code."""
    return to_customer(record) | {"name": record["code"]}


def mended(record: dict[str, Any]) -> dict[str, Any]:
    return to_customer(record) | {"name": record.get("code") or record["display_name"]}


def replay_all(plant: Plant, **choice: Any) -> replaying.ReplayReport:
    """As `penstock dead-letters replay` does it."""
    asked = {"letter": None, "connection": None, "stream": None, "reason": None} | choice
    letters = replaying.choose(plant.store, "default", **asked)
    writer = UnitWriter(plant.store.documents, plant.store.documents.commit)
    return replaying.run(
        plant.store,
        letters,
        lambda _: Replayer(plant.installation, writer, plant.clock),
        plant.clock,
    )


def the_letter(plant: Plant, state: LetterState | None = LetterState.OPEN) -> StoredLetter:
    (letter,) = plant.letters(state=state)
    return letter


def test_a_mended_mapping_makes_the_document_and_closes_the_letter(
    provider: Provider, make_plant: MakePlant
) -> None:
    plant = make_plant(acme(by_code))
    provider.records = [customer(1)]
    plant.run()
    assert the_letter(plant).reason == "mapping_error"
    asked = len(provider.requests)

    plant.install(acme(mended), code=b"2")
    report = replay_all(plant)
    assert (report.letters, report.replayed, report.still_open, report.skipped) == (1, 1, 0, 0)
    assert report.counters == Counters(pages=1, fetched=1, submitted=1, created=1)
    assert plant.names() == {"cus_1": "Customer 1"}
    assert plant.letters() == []
    closed = the_letter(plant, state=None)
    assert closed.state is LetterState.REPLAYED
    assert closed.closed_by is not None
    assert len(provider.requests) == asked


def test_letter_and_document_are_one_transaction(
    provider: Provider, make_plant: MakePlant, monkeypatch: pytest.MonkeyPatch
) -> None:
    plant = make_plant(acme(by_code))
    provider.records = [customer(1)]
    plant.run()
    plant.install(acme(mended), code=b"2")
    units: list[Any] = []
    monkeypatch.setattr(plant.store.documents, "commit", units.append)
    plant.replay(the_letter(plant))
    (unit,) = units
    (version,), (closed,) = unit.versions, unit.closed
    assert version.idempotency_key == "acme:customer:cus_1"
    assert (closed.letter_id, closed.state) == (
        the_letter(plant).letter_id,
        LetterState.REPLAYED,
    )


def test_a_replayed_record_is_the_one_a_later_page_brings(
    provider: Provider, make_plant: MakePlant
) -> None:
    plant = make_plant(acme(by_code))
    provider.records = [customer(1)]
    plant.run()
    plant.install(acme(mended), code=b"2")
    replay_all(plant)
    assert plant.run(full=True).counters.unchanged == 1
    assert plant.versions() == 1


def test_what_is_still_bad_stays_open_with_one_attempt_more(
    plant: Plant, provider: Provider
) -> None:
    provider.records = [customer(1, display_name=5)]
    plant.run()
    report = replay_all(plant)
    assert (report.replayed, report.still_open) == (0, 1)
    assert report.counters.rejected == 1
    letter = the_letter(plant)
    assert (letter.attempts, letter.state) == (2, LetterState.OPEN)
    assert plant.names() == {}


def test_the_latest_reasons_are_kept(provider: Provider, make_plant: MakePlant) -> None:
    plant = make_plant(acme(by_code))
    provider.records = [customer(1)]
    plant.run()
    plant.install(acme(lambda r: to_customer(r) | {"email": 5}), code=b"2")
    replay_all(plant)
    letter = the_letter(plant)
    assert errors_of(letter) == [("invalid_type", "/email")]
    assert letter.reason == "invalid_type"
    assert letter.attempts == 2


def test_a_record_that_is_filtered_now_closes_its_letter(
    provider: Provider, make_plant: MakePlant
) -> None:
    plant = make_plant(acme(by_code))
    provider.records = [customer(1)]
    plant.run()
    plant.install(acme(lambda record: None), code=b"2")
    report = replay_all(plant)
    assert report.counters == Counters(pages=1, fetched=1, filtered=1)
    assert report.replayed == 1
    assert plant.names() == {}
    assert the_letter(plant, state=None).state is LetterState.REPLAYED


def test_an_old_letter_does_not_overwrite_what_came_later(
    provider: Provider, make_plant: MakePlant
) -> None:
    """The letter's record has no id where it stands, so the newer record did not close it."""
    plant = make_plant(acme(id=lambda record: record["number"]))
    provider.answers = [raw_page(json.dumps(customer(1, display_name="Old")))]
    plant.run()
    assert the_letter(plant).reason == "mapping_error"
    plant.install(acme(), code=b"2")
    provider.records = [customer(1, display_name="New", updated_at="2026-03-01T10:00:00Z")]
    plant.run()
    report = replay_all(plant)
    assert (report.replayed, report.counters.stale) == (1, 1)
    assert plant.names() == {"cus_1": "New"}
    assert plant.letters() == []


def submitting(payloads: list[Any]) -> Connector:
    """A route that hands over payloads of its own making."""
    connector = empty("customers")

    def route(request: Any) -> Any:
        answer = ingest.batch(
            "customer",
            payloads,
            stream="customers",
            continue_on_error=True,
            idempotency_key=lambda p: f"acme:customer:{p['customer_id']}",
        )
        return sync.page(answer)

    connector.sync("customers")(route)
    return connector


def test_a_submitted_payload_meets_the_contract_again(make_plant: MakePlant) -> None:
    bad = to_customer(customer(1)) | {"name": 5}
    plant = make_plant(submitting([bad]))
    plant.run()
    before = the_letter(plant)
    assert (before.raw, json.loads(before.payload or b"")) == (None, bad)
    report = replay_all(plant)
    assert (report.replayed, report.still_open) == (0, 1)
    assert the_letter(plant).attempts == 2
    assert errors_of(the_letter(plant)) == errors_of(before)


def test_a_submitted_payload_that_passes_now_becomes_its_document(make_plant: MakePlant) -> None:
    """As after a release that accepts what the last one refused."""
    plant = make_plant(submitting([to_customer(customer(1)) | {"name": 5}]))
    plant.run()
    letter = the_letter(plant)
    good = replace(letter, payload=json.dumps(to_customer(customer(1))).encode())
    assert plant.replay(good).created == 1
    assert plant.names() == {"cus_1": "Customer 1"}
    assert plant.letters() == []
    assert the_letter(plant, state=None).state is LetterState.REPLAYED


def test_a_letter_that_holds_a_whole_page_says_what_to_do(plant: Plant, provider: Provider) -> None:
    provider.answers = [raw_page("{")]
    plant.run()
    letter = the_letter(plant)
    with pytest.raises(UsageError, match="run the stream again: penstock run acme-main customers"):
        plant.replay(letter)
    report = replay_all(plant)
    assert (report.letters, report.skipped, report.replayed) == (1, 1, 0)
    assert "whole response" in report.messages[0]
    assert the_letter(plant).attempts == 1


def test_letters_are_chosen_by_stream_and_reason(provider: Provider, make_plant: MakePlant) -> None:
    plant = make_plant(acme(by_code))
    provider.records = [customer(1), customer(2, code=5), customer(3)]
    plant.run()
    assert plant.reasons() == {"mapping_error": 2, "invalid_type": 1}
    plant.install(acme(mended), code=b"2")
    assert replay_all(plant, stream="invoices").letters == 0
    assert replay_all(plant, connection="other").letters == 0
    assert replay_all(plant, reason="mapping_error").replayed == 2
    assert plant.reasons() == {"invalid_type": 1}
    assert replay_all(plant, stream="customers").still_open == 1
    chosen = the_letter(plant)
    assert replay_all(plant, letter=chosen.letter_id).still_open == 1
    assert the_letter(plant).attempts == 3


def test_a_closed_or_unknown_letter_is_not_replayed(
    provider: Provider, make_plant: MakePlant
) -> None:
    plant = make_plant(acme(by_code))
    provider.records = [customer(1)]
    plant.run()
    plant.install(acme(mended), code=b"2")
    letter = the_letter(plant)
    replay_all(plant, letter=letter.letter_id)
    with pytest.raises(UsageError, match="closed already"):
        replay_all(plant, letter=letter.letter_id)
    with pytest.raises(UsageError, match="no such dead letter"):
        replay_all(plant, letter=b"0" * len(letter.letter_id))


def test_a_replay_is_a_run_with_counters_of_its_own(
    provider: Provider, make_plant: MakePlant
) -> None:
    plant = make_plant(acme(by_code))
    provider.records = [customer(1), customer(2)]
    plant.run()
    plant.install(acme(mended), code=b"2")
    report = replay_all(plant)
    run = plant.store.runs.list("default")[0]
    assert run.kind is RunKind.REPLAY
    assert run.counters == report.counters
    assert report.as_json()["counters"]["created"] == 2
    closed = plant.letters(state=None)
    assert len(closed) == 2


FILE = """
from penstock import Connector, Permissions, Stream

acme = Connector(
    key="acme", name="Acme", provider="acme", version="0.1.0", base_url="{settings.base_url}",
    settings={"type": "object", "properties": {"base_url": {"type": "string"}}},
    permissions=Permissions(http=["http://127.0.0.1/*"], documents={"customer": ["write"]}),
    streams=[Stream("customers", mode="poll")])


@acme.collection("customers", path="/customers", records="data", id="id", document="customer")
def customer(record):
    return {"customer_id": record["id"], "name": record["name"]}
"""


def test_a_mended_file_is_what_the_application_replays_with(backend: str, tmp_path: Path) -> None:
    file = tmp_path / "acme.py"
    file.write_text(FILE)
    page = json.dumps({"data": [customer(1), customer(2, name=5)]}).encode()
    with App.open(Settings(database=url_in(tmp_path), master_key=KEY)) as app:
        with served(lambda asked: (200, page)) as url:
            app.connect(str(file), "acme-main", {"base_url": url}, {})
            app.run("acme-main")
        file.write_text(FILE.replace('record["name"]', 'record["display_name"]'))
        assert app.replay(stream="invoices").letters == 0
        assert app.replay(reason="invalid_text").letters == 0
        report = app.replay(stream="customers", reason="mapping_error")
        assert (report.letters, report.replayed) == (1, 1)
        assert app.replay(connection="acme-main").counters.created == 1
        assert app.replay().letters == 0
