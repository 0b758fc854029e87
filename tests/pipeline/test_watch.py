"""Drift from the provider's page to the store: with its page, its record, and what follows."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx2
import pytest
import zstandard

from penstock import Bearer, Connector, Permissions, Stream, ingest, sync
from penstock.errors import StoreUnavailableError
from penstock.model import times
from penstock.model.connection import StreamState
from penstock.model.drift import DriftPolicy
from penstock.model.run import RunState
from penstock.model.shape import Shape
from penstock.model.unit import LetterState
from penstock.pipeline.letters import Postmaster
from penstock.pipeline.reading import Installation
from penstock.pipeline.stage import Stage
from penstock.pipeline.watch import DriftWatch
from penstock.sdk.loader import load
from penstock.store.rows import StoredDrift
from penstock.upstream import wire
from penstock.vault.redaction import Redactor
from tests.contracts.examples import bent
from tests.pipeline.plant import URL, Plant, Provider, acme, customer, page_of, to_customer
from tests.pipeline.test_reading_process import CONNECTOR

MakePlant = Callable[..., Plant]


def watched(policy: DriftPolicy, **changes: Any) -> Connector:
    """The usual connector, its stream with that policy."""
    connector = acme(**changes)
    connector.streams["customers"] = Stream("customers", mode="poll", drift=policy)
    return connector


def drifts(plant: Plant, *, accepted: bool | None = None) -> list[StoredDrift]:
    return plant.store.shapes.drifts("default", accepted=accepted)


def told(plant: Plant) -> list[tuple[str, str, str]]:
    return [(d.kind, d.path, d.detail) for d in drifts(plant)]


def shape(plant: Plant, stream: str = "customers") -> Shape:
    stored = plant.store.shapes.get("default", "acme-main", stream)
    assert stored is not None
    return Shape.from_bytes(stored)


def standing(plant: Plant) -> StreamState:
    state = plant.store.streams.get("default", "acme-main", "customers")
    assert state is not None
    return state


def archived(plant: Plant, drift: StoredDrift) -> Any:
    """The record that showed it first, from the archived page."""
    assert drift.page_no is not None
    assert drift.page_index is not None
    page = plant.store.reader.page(drift.page_no)
    assert page is not None
    body = zstandard.ZstdDecompressor().decompress(page.body)
    return json.loads(body)["data"][drift.page_index]


def later(number: int, **changes: Any) -> dict[str, Any]:
    """A customer changed after the first run."""
    return customer(number, updated_at=f"2026-03-01T11:00:{number % 60:02d}Z", **changes)


def fill(provider: Provider, number: int = 12, **changes: Any) -> None:
    for n in range(number):
        provider.put(customer(n, tier="free" if n % 3 else "paid", **changes))


def test_what_the_first_enumeration_shows_is_learnt(plant: Plant, provider: Provider) -> None:
    fill(provider)
    provider.put(customer(11, note="only the last page has it"))
    assert plant.run().state is RunState.DONE
    assert drifts(plant) == []
    assert "note" in shape(plant).fields
    assert shape(plant).fields[""].seen == 12
    assert shape(plant).learnt_in == 1


def test_a_new_field_and_a_new_value_are_told_with_their_first_record(
    plant: Plant, provider: Provider
) -> None:
    """DS1: kept raw, told once, and there for a later mapping."""
    fill(provider)
    plant.run()
    provider.put(later(1, tier="free"))
    provider.put(later(2, tier="gold", vat="DE1"))
    began = times.microseconds(plant.clock.now())
    report = plant.run()
    value, field = drifts(plant)
    assert (field.kind, field.path) == ("new_field", "vat")
    assert (value.kind, value.path, value.detail) == ("new_value", "tier", "gold")
    for drift in (field, value):
        assert drift.idempotency_key == "acme:customer:cus_2"
        assert (drift.run_no, drift.first_seen_at) == (report.run_no, began)
        assert archived(plant, drift)["id"] == "cus_2"
    provider.put(later(3, tier="gold", vat="DE2"))
    plant.run()
    assert len(drifts(plant)) == 2
    plant.install(acme(lambda record: to_customer(record) | {"name": record.get("vat", "–")}), b"2")
    plant.run(full=True)
    assert (plant.names()["cus_2"], plant.names()["cus_1"]) == ("DE1", "–")


def test_an_unknown_status_is_other_flagged_and_drift(
    make_plant: MakePlant, provider: Provider
) -> None:
    """DS1: a mapping that knows its statuses makes the unknown one `other`, which is flagged."""
    statuses = {"BOOKED": "posted", "PENDING": "pending"}

    def transaction(record: dict[str, Any]) -> dict[str, Any]:
        return bent(
            "bank_transaction",
            transaction_id=record["id"],
            status=statuses.get(record["status"], "other"),
            source_updated_at=record["updated_at"],
        )

    connector = acme(transaction, document="bank_transaction")
    connector.permissions = Permissions(
        http=[f"{URL}/*"], documents={"bank_transaction": ["write"]}
    )
    plant = make_plant(connector)
    for n in range(10):
        provider.put(customer(n, status="PENDING" if n % 2 else "BOOKED"))
    plant.run()
    provider.put(later(3, status="REVERSED"))
    assert plant.run().counters.updated == 1
    assert told(plant) == [("new_value", "status", "REVERSED")]
    assert plant.payloads("bank_transaction")["cus_3"]["status"] == "other"
    (stored,) = plant.store.reader.find("default", "bank_transaction", "cus_3")
    flags = plant.store.reader.history(stored.document_id)[-1].flags
    assert b"unmapped_value" in (flags or b"")


def test_a_field_that_is_removed_is_told_and_changes_only_what_it_means(
    plant: Plant, provider: Provider
) -> None:
    """DS2: absent, null and empty are three things; a version only for other content."""
    fill(provider, email="ann@acme.test", fax="1")
    plant.run()
    versions = plant.versions()
    for n in range(4):
        provider.put(later(n, tier="free", email="ann@acme.test"))
    plant.run()
    assert told(plant) == [("vanished", "fax", "")]
    unmapped = plant.versions() - versions
    for n in range(4, 11):
        provider.put(later(n, tier="free", fax="1", email=None))
    plant.run()
    assert sorted(told(plant)[1:]) == [("new_field", "fax", ""), ("nulls", "email", "")]
    assert unmapped == 0
    assert plant.versions() == versions + 7
    assert plant.payloads()["cus_5"].get("email") is None


def test_another_type_is_told_and_the_records_it_breaks_are_set_aside(
    plant: Plant, provider: Provider
) -> None:
    """DS3: dead letters, and the others go on."""
    provider.limit = 50
    fill(provider, 40)
    plant.run()
    provider.put(later(1, tier="free", display_name={"first": "Ann"}))
    provider.put(later(2, tier="free"))
    report = plant.run()
    assert report.state is RunState.DONE
    assert told(plant) == [("type_change", "display_name", "object")]
    assert drifts(plant)[0].idempotency_key == "acme:customer:cus_1"
    (letter,) = plant.letters(LetterState.OPEN)
    assert letter.page_no == drifts(plant)[0].page_no
    assert report.counters.rejected == 1


def test_a_record_that_no_mapping_kept_is_looked_at_too(
    make_plant: MakePlant, provider: Provider
) -> None:
    plant = make_plant(acme(lambda record: None))
    fill(provider)
    plant.run()
    provider.put(later(1, tier="free", vat="DE1"))
    plant.run()
    (drift,) = drifts(plant)
    assert (drift.path, drift.idempotency_key) == ("vat", None)
    assert drift.page_no is not None


# ── policies ──


def test_a_warning_is_told_by_the_run_and_the_log(
    plant: Plant, provider: Provider, caplog: pytest.LogCaptureFixture
) -> None:
    fill(provider)
    plant.run()
    provider.put(later(1, tier="free", vat="DE1"))
    report = plant.run()
    assert report.state is RunState.DONE
    (note,) = report.notes
    assert "vat is new (text): 1 of " in note
    assert "penstock drift acme-main customers --accept" in note
    assert "drift.seen stream=customers kind=new_field path=vat" in caplog.text
    assert standing(plant).state == "ok"


def test_what_is_allowed_is_noted_and_waits_for_nobody(
    make_plant: MakePlant, provider: Provider, caplog: pytest.LogCaptureFixture
) -> None:
    plant = make_plant(watched("allow"))
    fill(provider)
    plant.run()
    provider.put(later(1, tier="free", vat="DE1"))
    assert plant.run().notes == ()
    (drift,) = drifts(plant)
    assert drift.accepted_at is not None
    assert drifts(plant, accepted=False) == []
    assert "drift.seen" not in caplog.text


def test_a_stream_that_pauses_keeps_the_page_and_stands_still_until_drift_is_accepted(
    make_plant: MakePlant, provider: Provider
) -> None:
    plant = make_plant(watched("pause"))
    fill(provider)
    plant.run()
    for n in range(1, 6):
        provider.put(later(n, tier="free", display_name="New"))
    provider.put(later(2, tier="free", display_name="New", vat="DE1"))
    report = plant.run()
    assert (report.state, report.reason) == (RunState.FAILED, "paused_by_drift")
    assert report.counters.updated == 3
    assert [plant.names()[f"cus_{n}"] for n in (2, 3, 4)] == ["New", "New", "Customer 4"]
    assert standing(plant).state == "paused_by_drift"
    assert "vat is new" in str(standing(plant).reason)

    asked = len(provider.requests)
    again = plant.run()
    assert again.reason == "paused_by_drift"
    assert len(provider.requests) == asked

    assert plant.store.shapes.accept("default", "acme-main", now=1) == 1
    assert standing(plant).state == "ok"
    assert plant.run().state is RunState.DONE
    assert plant.names()["cus_5"] == "New"


def test_a_stream_whose_worker_died_before_it_said_so_is_paused_all_the_same(
    make_plant: MakePlant, provider: Provider
) -> None:
    plant = make_plant(acme())
    fill(provider)
    plant.run()
    provider.put(later(1, tier="free", vat="DE1"))
    plant.run()
    plant.install(watched("pause"))
    assert standing(plant).state == "ok"
    assert plant.run().reason == "paused_by_drift"


def test_observation_neither_learns_nor_pauses(make_plant: MakePlant, provider: Provider) -> None:
    plant = make_plant(watched("pause"))
    fill(provider)
    plant.run()
    before = shape(plant)
    provider.put(later(1, tier="free", vat="DE1"))
    assert plant.run(observing=True).state is RunState.DONE
    assert (drifts(plant), shape(plant)) == ([], before)


# ── what is written, and when ──


class Commits:
    """Counts the units that carry a shape."""

    def __init__(self, plant: Plant, monkeypatch: pytest.MonkeyPatch) -> None:
        self.shapes = self.units = 0
        commit = plant.store.documents.commit

        def counted(unit: Any) -> None:
            commit(unit)
            self.units += 1
            self.shapes += bool(unit.observed)

        monkeypatch.setattr(plant.store.documents, "commit", counted)


def test_a_shape_that_only_counted_on_is_written_at_the_end(
    plant: Plant, provider: Provider, monkeypatch: pytest.MonkeyPatch
) -> None:
    provider.limit = 1
    fill(provider, 10)
    plant.run()
    for n in range(10):
        provider.put(later(n, tier="free"))
    commits = Commits(plant, monkeypatch)
    seen = plant.run().counters.pages
    assert (commits.units, commits.shapes) == (seen, 1)
    assert shape(plant).recent[""].seen == 10


def test_a_long_enumeration_writes_its_counts_now_and_then(
    plant: Plant, provider: Provider, monkeypatch: pytest.MonkeyPatch
) -> None:
    provider.limit = 1
    fill(provider, 60)
    plant.run()
    for n in range(60):
        provider.put(later(n, tier="free"))
    commits = Commits(plant, monkeypatch)
    plant.run()
    assert commits.shapes == 2


def test_unchanged_records_cost_no_look_and_no_write(
    plant: Plant, provider: Provider, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(provider)
    plant.run()
    before = shape(plant)
    commits = Commits(plant, monkeypatch)
    read: list[Any] = []
    monkeypatch.setattr(plant.store.shapes, "get", lambda *home: read.append(home))
    assert plant.run(full=True).counters.unchanged == 12
    assert (commits.shapes, read) == (0, [])
    monkeypatch.undo()
    assert shape(plant) == before


def test_an_empty_enumeration_learns_nothing(plant: Plant, provider: Provider) -> None:
    plant.run()
    fill(provider)
    plant.run()
    assert drifts(plant) == []
    assert shape(plant).learnt_in == 2


def test_an_enumeration_that_was_broken_off_goes_on_learning(
    plant: Plant, provider: Provider
) -> None:
    fill(provider)
    provider.put(customer(11, note="late"))
    provider.answers = [None, None, httpx2.Response(400)]
    assert plant.run().state is RunState.FAILED
    assert shape(plant).learnt_in is None
    plant.run()
    assert drifts(plant) == []
    assert shape(plant).learnt_in == 2


# ── other ways in ──


def routed(policy: DriftPolicy = "warn") -> Connector:
    """A poll of customers, and events whose route hands customers over."""
    connector = Connector(
        key="acme", name="Acme", provider="acme", version="0.1.0", base_url=URL,
        settings={"type": "object", "properties": {"api_key": {"x-secret": True}}},
        auth=Bearer(secret="api_key"),
        permissions=Permissions(http=[f"{URL}/*"], documents={"customer": ["write", "delete"]}),
        streams=[
            Stream("customers", mode="poll", drift=policy), Stream("events", mode="poll")
        ],
    )  # fmt: skip
    connector.mapping("customers", id="id", document="customer")(to_customer)

    @connector.sync("customers")
    def customers(request: Any) -> Any:
        return sync.page(ingest.records("customers", request.http.get("/c").json()["data"]))

    @connector.sync("events")
    def events(request: Any) -> Any:
        for record in request.http.get("/e").json()["data"]:
            ingest.record("customers", record, gone=record.get("gone", False))
        return sync.page()

    return connector


def test_records_that_a_route_hands_over_are_looked_at(
    make_plant: MakePlant, provider: Provider
) -> None:
    plant = make_plant(routed())
    provider.answers = [page_of(customer(n) for n in range(10))]
    plant.run()
    provider.answers = [page_of([customer(20), customer(21, vat="DE1")])]
    plant.run()
    (drift,) = drifts(plant)
    assert (drift.path, drift.idempotency_key) == ("vat", "acme:customer:cus_21")
    assert drift.page_index == 1


def test_drift_belongs_to_the_stream_whose_mapping_reads_the_record(
    make_plant: MakePlant, provider: Provider
) -> None:
    plant = make_plant(routed("pause"))
    provider.answers = [page_of(customer(n) for n in range(10))]
    plant.run()
    gone = [{"id": f"cus_{n}", "gone": True} for n in range(8)]
    provider.answers = [page_of([*gone, customer(21, vat="DE1")])]
    assert plant.run("events").state is RunState.DONE
    (drift,) = drifts(plant)
    assert (drift.stream, drift.path, drift.page_index) == ("customers", "vat", 8)
    assert plant.store.shapes.get("default", "acme-main", "events") is None
    assert plant.run("customers").reason == "paused_by_drift"


def test_the_process_beside_looks_for_us(tmp_path: Path) -> None:
    provider = Provider(limit=300)
    plant = Plant(tmp_path, provider)
    file = tmp_path / "acme_watched.py"
    file.write_text(CONNECTOR.replace('print("a mapping may print")', "pass"))
    plant.installation = Installation(load(str(file)), plant.connection)
    provider.records = [customer(n) for n in range(3_000)]
    plant.reads_beside = True
    plant.run()
    here = Plant(tmp_path, provider, store=plant.store)
    learnt = shape(plant)
    assert learnt.fields[""].seen >= 10 * 16
    assert set(learnt.fields) == {"", "id", "display_name", "updated_at"}
    provider.records = [
        customer(n, updated_at=f"2026-03-01T10:00:00.{n:04}Z", **({"vat": 1} if n == 2_900 else {}))
        for n in range(3_000)
    ]
    plant.run()
    (drift,) = drifts(here)
    assert (drift.path, drift.idempotency_key) == ("vat", "acme:customer:cus_2900")
    plant.store.close()


def test_a_secret_that_a_provider_repeats_is_in_no_shape_and_no_drift(
    plant: Plant, provider: Provider
) -> None:
    fill(provider)
    plant.run()
    provider.put(
        later(1, tier="canary-secret-of-a-connection", **{"canary-secret-of-a-connection": 1})
    )
    plant.redact = Redactor("canary-secret-of-a-connection")
    plant.run()
    assert len(drifts(plant)) == 2
    assert "canary" not in str(drifts(plant))
    assert b"canary" not in shape(plant).as_bytes()


def test_pages_of_an_update_are_compared_when_they_are_applied(
    make_plant: MakePlant, provider: Provider
) -> None:
    """With "pause" the update is applied to its end: it counts only as a whole."""
    connector = routed("pause")
    del connector.sync_routes["customers"]

    @connector.sync("customers")
    def update(request: Any) -> Any:
        page = request.http.get("/c").json()
        ingest.records("customers", page["data"])
        more = page.get("more")
        return sync.page(cursor=more, has_more=bool(more), hold=True)

    plant = make_plant(connector)
    provider.answers = [page_of(customer(n) for n in range(10))]
    plant.run()
    provider.answers = [
        page_of([customer(20, vat="DE1")], more="2"),
        page_of([customer(21)], more="3"),
        page_of([customer(22)]),
    ]
    assert plant.run().reason == "paused_by_drift"
    (drift,) = drifts(plant)
    assert drift.idempotency_key == "acme:customer:cus_20"
    assert {"cus_20", "cus_21", "cus_22"} <= plant.names().keys()


def test_a_page_that_was_not_committed_was_never_seen(
    plant: Plant, provider: Provider, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(provider)
    plant.run()
    provider.put(later(1, tier="free", vat="DE1"))
    before = shape(plant)

    def unavailable(unit: Any) -> None:
        raise StoreUnavailableError("the disk is full")

    with monkeypatch.context() as broken:
        broken.setattr(plant.store.documents, "commit", unavailable)
        report = plant.run()
    assert (report.reason, report.notes) == ("store_unavailable", ())
    assert (drifts(plant), shape(plant)) == ([], before)
    plant.run()
    assert told(plant) == [("new_field", "vat", "")]


def test_what_one_thread_could_not_commit_the_next_one_tells(
    plant: Plant, provider: Provider
) -> None:
    """Threads share what is known: a page taken back is taken out of it again."""
    fill(provider)
    plant.run()
    watch = DriftWatch(
        plant.store.shapes, plant.installation.loaded.connector,
        "default", "acme-main", "customers", 2,
    )  # fmt: skip
    stage = Stage(0, Postmaster("default", "acme-main", "customers"))
    raw = json.dumps(later(1, vat="DE1")).encode()
    stage.raws[0] = raw
    stage.look("customers").places.append(0)
    stage.look("customers").add([raw], wire.decode_records([raw]))
    seen: list[str] = []

    def fail_to_commit() -> None:
        with watch.page(stage, last=False) as (observed,):
            seen.extend(one.drift.path for one in observed.drifts)
            raise StoreUnavailableError("the disk is full")

    for _ in range(2):
        with pytest.raises(StoreUnavailableError):
            fail_to_commit()
    assert seen == ["vat", "vat"]
    assert watch.notes == ()
