"""Collections below each parent: a checkpoint for every one, and none stops the others."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx2
import pytest

from penstock import Context, Cursor, Since, Stream
from penstock.errors import ConnectorError
from penstock.model import times
from penstock.model.shape import Shape
from penstock.model.standing import Condition
from penstock.sdk.connector import Connector
from penstock.sdk.loader import load
from penstock.sdk.verify import check
from penstock.work.sources import polls
from penstock.work.stop import Stop
from tests.pipeline.plant import Plant, customer, empty, page_of, to_customer


@dataclass
class Bank:
    """Customers, and below each of them payments in pages of two."""

    customers: list[dict[str, Any]] = field(default_factory=list)
    payments: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    broken: set[str] = field(default_factory=set)
    asked: list[str] = field(default_factory=list)

    def __call__(self, request: httpx2.Request) -> httpx2.Response:
        self.asked.append(request.url.path)
        if request.url.path == "/customers":
            return page_of(self.customers, next_cursor=None)
        owner, start = request.url.path.split("/")[2], int(request.url.params.get("cursor", "0"))
        if owner in self.broken and start:
            return httpx2.Response(422, text="no more of this one")
        since = request.url.params.get("updated_since", "")
        rows = [r for r in self.payments.get(owner, []) if r["updated_at"] >= since]
        following = str(start + 2) if start + 2 < len(rows) else None
        return page_of(rows[start : start + 2], next_cursor=following)

    def add(self, owner: int, *payments: int) -> None:
        rows = self.payments.setdefault(f"cus_{owner}", [])
        rows += [
            {
                "id": f"pay_{owner}_{n}",
                "updated_at": f"2026-03-01T0{n % 10}:00:00Z",
                "amount": "10.00",
            }
            for n in payments
        ]


def family(mapping: Callable[..., Any] | None = None, **declared: Any) -> Connector:
    connector = empty("customers", "payments", documents=("customer", "payment"))
    connector.collection(
        "customers", path="/customers", records="data", id="id", document="customer"
    )(to_customer)

    def payment(record: dict[str, Any], context: Context) -> dict[str, Any]:
        assert context.parent is not None
        return {
            "payment_id": record["id"],
            "amount": record["amount"],
            "currency": "EUR",
            "status": "completed",
            "payment_date": "2026-03-01",
            "customer_id": context.parent["customer_id"],
            "source_updated_at": record["updated_at"],
        }

    connector.collection(
        "payments",
        parent="customers",
        path="/customers/{parent.customer_id}/payments",
        records="data",
        id="id",
        document="payment",
        pages=Cursor("next_cursor", param="cursor"),
        since=Since(param="updated_since", field="updated_at"),
        **declared,
    )(mapping or payment)
    return connector


@pytest.fixture
def bank() -> Bank:
    bank = Bank([customer(n) for n in (1, 2, 3)])
    bank.add(1, 1, 2, 3)
    bank.add(2, 1)
    return bank


def plant_of(folder: Path, bank: Bank, **declared: Any) -> Plant:
    plant = Plant(folder, bank, family(**declared))
    plant.run("customers")
    bank.asked.clear()
    return plant


def owners(plant: Plant) -> dict[str, str]:
    return {key: payload["customer_id"] for key, payload in plant.payloads("payment").items()}


def test_every_parent_s_list_is_read_and_the_mapping_sees_the_parent(
    tmp_path: Path, bank: Bank
) -> None:
    plant = plant_of(tmp_path, bank)
    report = plant.run("payments")
    assert (report.state, report.counters.created, report.counters.pages) == ("done", 4, 4)
    assert owners(plant) == {
        "pay_1_1": "cus_1",
        "pay_1_2": "cus_1",
        "pay_1_3": "cus_1",
        "pay_2_1": "cus_2",
    }


def test_each_parent_has_a_watermark_of_its_own(tmp_path: Path, bank: Bank) -> None:
    plant = plant_of(tmp_path, bank)
    plant.run("payments")
    rows = [r for r in plant.store.streams.list("default", "acme-main") if r.partition]
    marks = sorted(times.write(times.moment(r.watermark)) for r in rows if r.watermark)
    assert marks == ["2026-03-01T01:00:00Z", "2026-03-01T03:00:00Z"]
    assert len(rows) == 3
    bank.add(2, 5)
    assert plant.run("payments").counters.created == 1


def test_one_that_fails_leaves_the_others_alone_and_goes_on_where_it_stopped(
    tmp_path: Path, bank: Bank
) -> None:
    bank.broken.add("cus_1")
    plant = plant_of(tmp_path, bank)
    failed = plant.run("payments")
    assert (failed.reason, failed.counters.created) == ("parents_failed", 3)
    assert "1 of the parents in customers could not be pulled" in str(failed.message)
    assert "422" in str(failed.message)
    (row,) = [
        r
        for r in plant.store.streams.list("default")
        if r.state == Condition.FAILED and r.partition
    ]
    assert "422" in str(row.reason)

    bank.broken.clear()
    bank.asked.clear()
    mended = plant.run("payments")
    assert (mended.state, mended.counters.created) == ("done", 1)
    assert bank.asked.count("/customers/cus_1/payments") == 1, "it began again at its first page"
    assert not [r for r in plant.store.streams.list("default") if r.state == Condition.FAILED]


def test_only_changed_parents_are_asked_where_that_is_declared(tmp_path: Path, bank: Bank) -> None:
    plant = plant_of(tmp_path, bank, parents="changed")
    plant.run("payments")
    assert len(bank.asked) == 4
    bank.asked.clear()
    plant.run("payments")
    assert bank.asked == []

    bank.customers[1]["display_name"] = "Changed"
    plant.run("customers")
    bank.asked.clear()
    plant.run("payments")
    assert bank.asked == ["/customers/cus_2/payments"]
    bank.asked.clear()
    plant.run("payments", full=True)
    assert len(set(bank.asked)) == 3


def test_an_unfinished_parent_is_asked_again_though_it_did_not_change(
    tmp_path: Path, bank: Bank
) -> None:
    plant = plant_of(tmp_path, bank, parents="changed")
    plant.run("payments")
    bank.broken.add("cus_1")
    bank.add(1, 4, 5, 6)
    bank.customers[0]["display_name"] = "Changed"
    plant.run("customers")
    assert plant.run("payments").reason == "parents_failed"
    bank.broken.clear()
    bank.asked.clear()
    plant.run("payments")
    assert set(bank.asked) == {"/customers/cus_1/payments"}
    assert len(owners(plant)) == 7


def test_what_ends_one_for_all_ends_the_run(tmp_path: Path, bank: Bank) -> None:
    """A limit is the connection's, not the parent's: nobody goes on asking."""
    plant = plant_of(tmp_path, bank, at_once=1)
    inner = bank.__call__

    def limited(request: httpx2.Request) -> httpx2.Response:
        if request.url.path.endswith("/payments"):
            bank.asked.append(request.url.path)
            return httpx2.Response(429, headers={"retry-after": "600"})
        return inner(request)

    plant.provider = limited
    report = plant.run("payments")
    assert (report.state, report.reason) == ("parked", "rate_limited")
    assert len(bank.asked) < 3


def test_a_stop_ends_the_run_between_two_parents(tmp_path: Path, bank: Bank) -> None:
    """Also where no parent has a second page."""
    bank.customers = [customer(number) for number in range(10)]
    plant = plant_of(tmp_path, bank, at_once=1)
    stop = Stop()

    def stop_after_the_first() -> None:
        stop.between_pages()
        if bank.asked:
            stop.ask()

    plant.between_pages = stop_after_the_first
    report = plant.run("payments")
    assert (report.state, report.reason) == ("parked", "stopped")
    assert 0 < len(bank.asked) < 10


def test_a_parent_s_name_is_escaped_in_the_path(tmp_path: Path, bank: Bank) -> None:
    bank.customers = [customer(1) | {"id": "a/b"}]
    plant = Plant(tmp_path, bank, family())
    plant.run("customers")
    paths: list[bytes] = []

    def look(request: httpx2.Request) -> httpx2.Response:
        paths.append(request.url.raw_path)
        return page_of([], next_cursor=None)

    plant.provider = look
    plant.run("payments")
    assert paths == [b"/customers/a%2Fb/payments"]


def test_observing_reads_them_all_and_keeps_nothing(tmp_path: Path, bank: Bank) -> None:
    plant = plant_of(tmp_path, bank)
    report = plant.run("payments", observing=True)
    assert report.counters.created == 4
    assert plant.payloads("payment") == {}
    assert not plant.store.streams.list("default", "acme-main")[1].watermark


def test_parents_run_before_their_children() -> None:
    connector = empty("payments", "customers", documents=("customer", "payment"))
    connector.collection("customers", path="/c", id="id", document="customer")(to_customer)
    connector.collection(
        "payments", parent="customers", path="/p/{parent.id}", id="id", document="payment"
    )(to_customer)
    assert polls(connector) == ["customers", "payments"]


@pytest.mark.parametrize(
    ("declared", "why"),
    [
        ({"parents": "some"}, "parents='some' must be one of all, changed"),
        ({"at_once": 0}, "at_once must be a whole number from 1 to 32"),
        ({"at_once": 33}, "at_once must be a whole number from 1 to 32"),
        ({"deletes": "absent"}, "needs one list of all records"),
    ],
)
def test_what_cannot_be_is_refused_at_once(declared: dict[str, Any], why: str) -> None:
    with pytest.raises(ConnectorError, match=why):
        family(**declared)


@pytest.mark.parametrize(
    ("was", "becomes", "why"),
    [
        ('parent="customers"', 'parent="nobody"', "is no stream with a mapping"),
        ('parent="customers", ', "", "stands in a declaration without a parent"),
    ],
)
def test_check_finds_a_parent_that_is_none(
    tmp_path: Path, was: str, becomes: str, why: str
) -> None:
    source = """
from penstock import Connector, Permissions, Stream

acme = Connector(key="acme", name="Acme", provider="acme", version="0.1.0",
                 base_url="https://api.acme.test",
                 permissions=Permissions(http=["https://api.acme.test/*"],
                                         documents={"customer": ["write"]}),
                 streams=[Stream("customers", mode="poll"), Stream("notes", mode="poll")])

@acme.collection("customers", path="/customers", id="id", document="customer")
def customer(record):
    return record

@acme.collection("notes", parent="customers", path="/customers/{parent.id}/notes", id="id",
                 document="customer")
def note(record):
    return record
"""
    file = tmp_path / "acme.py"
    file.write_text(source)
    assert check(str(file)) == []
    assert load(str(file)).connector.mappings["notes"].endpoint is not None
    file.write_text(source.replace(was, becomes))
    (finding,) = check(str(file))
    assert why in finding.message


def test_a_scheduled_full_run_reads_every_parent_once(tmp_path: Path, bank: Bank) -> None:
    plant = plant_of(tmp_path, bank, parents="changed")
    streams = plant.installation.loaded.connector.streams
    streams["payments"] = Stream("payments", mode="poll", full="0 3 * * *")
    kinds = []
    for hours in (0, 1, 20, 1, 24):
        plant.clock.advance(hours * 3600)
        bank.asked.clear()
        kinds.append((plant.run("payments").kind, len(bank.asked)))
    assert kinds == [("poll", 4), ("poll", 0), ("full", 4), ("poll", 0), ("full", 4)]


def test_check_finds_a_completion_without_a_mapping(tmp_path: Path) -> None:
    file = tmp_path / "acme.py"
    file.write_text(
        """
from penstock import Connector, Permissions, Stream

acme = Connector(key="acme", name="Acme", provider="acme", version="0.1.0",
                 base_url="https://api.acme.test",
                 permissions=Permissions(http=["https://api.acme.test/*"]),
                 streams=[Stream("notes", mode="poll")])

@acme.sync("notes")
def notes(request):
    return None

@acme.complete("notes")
def note(request, record):
    return record
"""
    )
    (finding,) = check(str(file))
    assert "the completion of notes has no mapping behind it" in finding.message
    assert finding.line == 13


def test_the_lists_of_all_parents_have_one_shape_that_the_whole_run_learns(
    tmp_path: Path, bank: Bank
) -> None:
    """A field that only one parent's records have is no drift, nor is it one after a broken run."""
    bank.payments["cus_1"][2]["note"] = "only here, behind the page that breaks"
    bank.broken.add("cus_1")
    plant = plant_of(tmp_path, bank)
    plant.run("payments")
    assert shape_of(plant).learnt_in is None
    bank.broken.clear()
    report = plant.run("payments")
    assert shape_of(plant).learnt_in == report.run_no
    assert plant.store.shapes.drifts("default") == []
    bank.add(2, 7)
    bank.payments["cus_2"][-1]["iban"] = "DE1"
    (note,) = plant.run("payments").notes
    assert "iban is new" in note
    (drift,) = plant.store.shapes.drifts("default")
    assert (drift.path, drift.idempotency_key) == ("iban", "acme:payment:pay_2_7")


def test_drift_in_one_list_pauses_all_of_them(tmp_path: Path, bank: Bank) -> None:
    plant = plant_of(tmp_path, bank)
    connector = plant.installation.loaded.connector
    connector.streams["payments"] = Stream("payments", "poll", drift="pause")
    plant.run("payments")
    bank.add(2, 7)
    bank.payments["cus_2"][-1]["iban"] = "DE1"
    assert plant.run("payments").reason == "paused_by_drift"
    asked = len(bank.asked)
    assert plant.run("payments").reason == "paused_by_drift"
    assert len(bank.asked) == asked
    plant.store.shapes.accept("default", "acme-main", now=1)
    rows = plant.store.streams.list("default", "acme-main")
    assert Condition.PAUSED_BY_DRIFT not in {row.state for row in rows}
    assert plant.run("payments").state == "done"


def shape_of(plant: Plant) -> Shape:
    stored = plant.store.shapes.get("default", "acme-main", "payments")
    assert stored is not None
    return Shape.from_bytes(stored)
