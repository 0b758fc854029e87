"""Mollie: HAL, where the next page is a link in the body, `_links.next.href`, null at the end.

Lists run from the newest to the oldest and know no filter; a payment changes its status for weeks.
So every run reads all, which costs next to nothing where nothing changed. Money is an object of a
text and its currency.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from penstock import Bearer, Connector, NextUrl, Permissions, Since, Stream, times
from penstock.testing import Answer, Sent, put_through

from .server import Line, joined

mollie = Connector(
    key="mollie",
    name="Mollie",
    provider="mollie",
    version="0.1.0",
    base_url="https://api.mollie.com/v2",
    settings={
        "type": "object",
        "required": ["api_key"],
        "properties": {"api_key": {"type": "string", "x-secret": True}},
    },
    auth=Bearer(secret="api_key"),
    permissions=Permissions(
        http=["https://api.mollie.com/*"],
        documents={"customer": ["write"], "payment": ["write"]},
    ),
    streams=[
        Stream("customers", mode="poll", schedule="0 * * * *"),
        Stream("payments", mode="poll", schedule="*/30 * * * *"),
    ],
)

PAYMENT_STATUS = {
    "open": "pending",
    "pending": "pending",
    "authorized": "pending",
    "paid": "completed",
    "expired": "canceled",
}
METHOD = {"creditcard": "credit_card", "banktransfer": "wire", "directdebit": "ach"}


@mollie.collection(
    "customers",
    path="/customers",
    params={"limit": 250},
    records="_embedded.customers",
    id="id",
    pages=NextUrl("_links.next.href"),
    since=Since(field="createdAt"),
    document="customer",
)
def customer(record):
    return {
        "customer_id": record["id"],
        "name": record["name"] or record["email"],
        "email": record["email"],
    }


@mollie.collection(
    "payments",
    path="/payments",
    params={"limit": 250},
    records="_embedded.payments",
    id="id",
    pages=NextUrl("_links.next.href"),
    since=Since(field="createdAt"),
    document="payment",
)
def payment(record):
    fee = record.get("applicationFee", {}).get("amount", {}).get("value")
    paid_at = record.get("paidAt")
    return {
        "payment_id": record["id"],
        "customer_id": record.get("customerId"),
        # A status we do not know goes on as it is: the contract refuses it, nobody guesses.
        "status": PAYMENT_STATUS.get(record["status"], record["status"]),
        "currency": record["amount"]["currency"],
        "amount": record["amount"]["value"],
        "fee_amount": fee,
        "payment_method": record["method"],
        "payment_method_type": METHOD.get(record["method"], "other"),
        "payment_date": times.date(paid_at or record["createdAt"]),
        "paid_at": paid_at,
    }


# The provider ------------------------------------------------------------------------------------

MONDAY = datetime(2026, 3, 2, 10, tzinfo=UTC)
HOST = "api.mollie.com"


@dataclass
class PaperMollie:
    """host: where its links lead."""

    customers: list[dict[str, Any]] = field(default_factory=list)
    payments: list[dict[str, Any]] = field(default_factory=list)
    size: int = 3
    host: str = HOST

    def __call__(self, sent: Sent) -> Answer:
        assert sent.headers["host"] == HOST, "credentials went astray"
        assert sent.headers["authorization"] == "Bearer test-api_key"
        assert set(sent.params) <= {"limit", "from"}
        kind = sent.path.rpartition("/")[2]
        rows = sorted(getattr(self, kind), key=lambda row: str(row["createdAt"]), reverse=True)
        ids = [row["id"] for row in rows]
        start = ids.index(sent.params["from"]) if "from" in sent.params else 0
        page, behind = rows[start : start + self.size], ids[start + self.size :]
        url = f"https://{self.host}{sent.path}?from={behind[0]}&limit=250" if behind else None
        following = {"href": url, "type": "application/hal+json"} if url else None
        links = {"self": {"href": f"https://{HOST}{sent.path}"}, "next": following}
        return Answer.of({"count": len(page), "_embedded": {kind: page}, "_links": links})


def a_payment(number: int, **changes: Any) -> dict[str, Any]:
    return {
        "resource": "payment",
        "id": f"tr_{number}",
        "createdAt": (MONDAY - timedelta(hours=number)).isoformat(),
        "paidAt": None,
        "status": "open",
        "customerId": "cst_1",
        "method": "ideal",
        "amount": {"value": f"{number}.05", "currency": "EUR"},
        **changes,
    }


def a_customer(number: int) -> dict[str, Any]:
    made = (MONDAY - timedelta(days=number)).isoformat()
    return {"id": f"cst_{number}", "name": None, "email": f"{number}@acme.test", "createdAt": made}


@pytest.fixture
def bank() -> PaperMollie:
    return PaperMollie(
        customers=[a_customer(n) for n in range(1, 5)],
        payments=[a_payment(n) for n in range(1, 9)],
    )


@pytest.fixture
def line(bank: PaperMollie) -> Iterator[Line]:
    with joined(mollie, bank) as line:
        yield line


def test_links_are_followed_to_their_end(line):
    assert line.pull("payments").counters.created == 8
    asked = [sent.params for sent in line.asked()]
    assert [params.get("from") for params in asked] == [None, "tr_4", "tr_7"]
    assert {params["limit"] for params in asked} == {"250"}
    assert line.pull("customers").counters.created == 4


def test_money_is_what_the_provider_wrote(line, bank):
    bank.payments.append(a_payment(9, amount={"value": "1000", "currency": "JPY"}))
    line.pull("payments")
    stored = line.payloads("payment", "payment_id")
    assert (stored["tr_3"]["amount"], stored["tr_3"]["currency"]) == ("3.05", "EUR")
    assert (stored["tr_9"]["amount"], stored["tr_9"]["currency"]) == ("1000", "JPY")


def test_an_old_payment_that_is_paid_weeks_later(line, bank):
    line.pull("payments")
    bank.payments[7].update(status="paid", paidAt="2026-03-02T10:00:30+00:00")
    report = line.pull("payments")
    assert (report.counters.updated, report.counters.unchanged) == (1, 7)
    assert line.payloads("payment", "payment_id")["tr_8"]["status"] == "completed"


def test_a_payment_that_comes_while_the_list_is_read(line, bank):
    """From the newest to the oldest, by id: nothing shifts."""
    line.pull("payments")
    bank.payments.append(a_payment(0))
    bank.payments[-1]["amount"]["value"] = "7.00"
    assert line.pull("payments").counters.created == 1


def test_an_unknown_status_is_a_dead_letter_and_the_rest_is_stored(line, bank):
    bank.payments[2]["status"] = "levitating"
    report = line.pull("payments")
    assert (report.counters.created, report.counters.rejected) == (7, 1)


def test_a_link_to_another_host_ends_the_run(line, bank):
    bank.host = "api.mollie.example"
    report = line.run("payments")
    assert report.failed
    assert "api.mollie.example" in str(report.message)
    assert len(line.asked()) == 1


def test_it_survives_its_provider(bank):
    put_through(mollie, "payments", bank)
