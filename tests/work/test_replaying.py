"""Replaying dead letters: what is reported is what the store holds, and parents are found again."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx2
import pytest

from penstock import Context
from penstock.errors import StoreUnavailableError
from penstock.model.run import RunState
from penstock.model.unit import LetterState, UnitOfWork
from penstock.sdk.connector import Connector
from penstock.store.rows import StoredLetter
from tests.pipeline.plant import Plant, Provider, acme, customer, empty, raw_page, to_customer
from tests.pipeline.test_replay import by_code, mended, replay_all
from tests.work.test_children import Bank, family, owners

# ── an answer that is lost on its way ──


@pytest.fixture
def plant(tmp_path: Path) -> Plant:
    """Two customers set aside, and the mapping mended."""
    provider = Provider([customer(1), customer(2)])
    plant = Plant(tmp_path, provider, acme(by_code))
    plant.run()
    plant.install(acme(mended), code=b"2")
    return plant


def losing(
    plant: Plant, monkeypatch: pytest.MonkeyPatch, *, committed: bool, answers: int = 1
) -> list[UnitOfWork]:
    """The first commits end with an error, after they happened or before. The units so lost."""
    commit = plant.store.documents.commit
    lost: list[UnitOfWork] = []

    def faulty(unit: UnitOfWork) -> None:
        if len(lost) == answers:
            return commit(unit)
        if committed:
            commit(unit)
        lost.append(unit)
        raise StoreUnavailableError("the connection broke")

    monkeypatch.setattr(plant.store.documents, "commit", faulty)
    return lost


def test_a_letter_whose_commit_happened_counts_as_replayed(
    plant: Plant, monkeypatch: pytest.MonkeyPatch
) -> None:
    lost = losing(plant, monkeypatch, committed=True)
    report = replay_all(plant)
    assert len(lost) == 1
    assert (report.letters, report.replayed, report.still_open) == (2, 2, 0)
    assert report.messages == ()
    assert (report.counters.created, report.counters.pages) == (2, 2)
    run = plant.store.runs.list("default")[0]
    assert (run.counters, run.state) == (report.counters, RunState.DONE)
    assert {letter.state for letter in plant.letters(state=None)} == {LetterState.REPLAYED}


def test_a_letter_whose_commit_did_not_happen_stays_open_and_says_why(
    plant: Plant, monkeypatch: pytest.MonkeyPatch
) -> None:
    lost = losing(plant, monkeypatch, committed=False)
    report = replay_all(plant)
    assert len(lost) == 1
    assert (report.letters, report.replayed, report.still_open) == (2, 1, 1)
    assert report.messages == ("the connection broke",)
    assert (report.counters.created, len(plant.letters())) == (1, 1)


def test_a_record_refused_again_stays_open_though_its_commit_gave_no_answer(
    plant: Plant, monkeypatch: pytest.MonkeyPatch
) -> None:
    plant.install(acme(by_code), code=b"3")
    lost = losing(plant, monkeypatch, committed=True)
    report = replay_all(plant)
    assert len(lost) == 1
    assert (report.replayed, report.still_open) == (0, 2)
    assert report.counters.mapping_errors == 2
    assert {letter.attempts for letter in plant.letters()} == {2}


# ── below a parent ──


def unready(record: dict[str, Any], context: Context) -> dict[str, Any]:
    raise KeyError("not written yet")


@pytest.fixture
def bank() -> Bank:
    bank = Bank([customer(n) for n in (1, 2)])
    bank.add(1, 1)
    bank.add(2, 1)
    return bank


def set_aside(folder: Path, bank: Bank) -> Plant:
    """A payment below each of two customers, both refused."""
    plant = Plant(folder, bank, family(unready))
    plant.run("customers")
    assert plant.run("payments").counters.mapping_errors == 2
    return plant


def parents_of(plant: Plant, letters: list[StoredLetter]) -> set[str]:
    found = [plant.store.reader.document(letter.parent_id or b"") for letter in letters]
    return {document.source_id for document in found if document is not None}


def test_a_letter_of_a_child_is_replayed_with_its_own_parent(tmp_path: Path, bank: Bank) -> None:
    plant = set_aside(tmp_path, bank)
    assert parents_of(plant, plant.letters()) == {"cus_1", "cus_2"}
    bank.asked.clear()
    plant.install(family(), code=b"2")
    report = replay_all(plant)
    assert (report.replayed, report.still_open, report.counters.created) == (2, 0, 2)
    assert owners(plant) == {"pay_1_1": "cus_1", "pay_2_1": "cus_2"}
    assert bank.asked == []


def test_the_parent_is_the_one_that_the_store_knows_today(tmp_path: Path, bank: Bank) -> None:
    def named(record: dict[str, Any], context: Context) -> dict[str, Any]:
        assert context.parent is not None
        seen.append((context.parent["name"], context.parent["source_updated_at"]))
        return {}

    seen: list[tuple[str, str]] = []
    plant = set_aside(tmp_path, bank)
    bank.customers[0] |= {"display_name": "Renamed", "updated_at": "2026-03-01T10:00:00Z"}
    plant.run("customers")
    plant.install(family(named), code=b"2")
    assert replay_all(plant).still_open == 2
    assert ("Renamed", "2026-03-01T10:00:00Z") in seen


def test_what_is_still_bad_keeps_its_parent(tmp_path: Path, bank: Bank) -> None:
    plant = set_aside(tmp_path, bank)
    before = {letter.letter_id: letter.parent_id for letter in plant.letters()}
    assert replay_all(plant).still_open == 2
    assert {letter.letter_id: letter.parent_id for letter in plant.letters()} == before
    assert {letter.attempts for letter in plant.letters()} == {2}


def test_the_same_bad_record_below_two_parents_is_two_letters(tmp_path: Path, bank: Bank) -> None:
    """One record for each parent may come of it, as Emit(…, id=…) can name them."""
    bank.payments["cus_2"] = bank.payments["cus_1"]
    plant = set_aside(tmp_path, bank)
    assert parents_of(plant, plant.letters()) == {"cus_1", "cus_2"}


def test_a_collection_that_has_no_parent_any_more_is_replayed_without(
    tmp_path: Path, bank: Bank
) -> None:
    def alone(record: dict[str, Any], context: Context) -> None:
        seen.append(context.parent)

    seen: list[Any] = []
    plant = set_aside(tmp_path, bank)
    plant.install(orphaned(alone), code=b"2")
    assert replay_all(plant).replayed == 2
    assert seen == [None, None]


def orphaned(mapping: Callable[..., Any]) -> Connector:
    connector = empty("customers", "payments", documents=("customer", "payment"))
    connector.collection("customers", path="/customers", id="id", document="customer")(to_customer)
    connector.collection("payments", path="/payments", id="id", document="payment")(mapping)
    return connector


def test_a_page_that_cannot_be_read_is_a_letter_of_its_parent(tmp_path: Path, bank: Bank) -> None:
    """The good page of another parent does not close it, the next good one of its own does."""
    broken = {"cus_1", "cus_2"}

    def garbling(request: httpx2.Request) -> httpx2.Response:
        if request.url.path.split("/")[2:3] and request.url.path.split("/")[2] in broken:
            return raw_page("{")
        return bank(request)

    plant = Plant(tmp_path, bank, family(at_once=1))
    plant.run("customers")
    plant.provider = garbling
    plant.run("payments")
    assert parents_of(plant, plant.letters()) == {"cus_1", "cus_2"}
    broken.remove("cus_2")
    plant.run("payments")
    assert parents_of(plant, plant.letters()) == {"cus_1"}
    broken.clear()
    plant.run("payments")
    assert plant.letters() == []
