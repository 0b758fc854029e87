"""Plaid: one cursor for ever, updates that count only as a whole, records that are taken back.

/transactions/sync tells what was added, modified and removed since a cursor. Where something moves
while its pages are read, the whole update begins again from the cursor it started with.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

import pytest

from penstock import (
    ApiKey,
    Connector,
    Later,
    Permissions,
    Rate,
    Reauth,
    Restart,
    Stream,
    ingest,
    money,
    sync,
)
from penstock.testing import Answer, Sent, put_through

from .server import Line, joined

SECRET = {"type": "string", "x-secret": True}
MUTATION = "TRANSACTIONS_SYNC_MUTATION_DURING_PAGINATION"


def verdict(response):
    """Plaid puts its errors into the bodies of 400s."""
    code = response.json().get("error_code") if response.status == 400 else None
    if code == MUTATION:
        return Restart()
    if code == "PRODUCT_NOT_READY":
        return Later(600)
    if code == "ITEM_LOGIN_REQUIRED":
        return Reauth("the bank asks its customer to log in again")
    return None


plaid = Connector(
    key="plaid",
    name="Plaid",
    provider="plaid",
    version="0.1.0",
    base_url="https://{settings.environment}.plaid.com",
    settings={
        "type": "object",
        "required": ["client_id", "secret", "access_token"],
        "properties": {
            "environment": {"enum": ["production", "sandbox"], "default": "production"},
            "client_id": {"type": "string"},
            "secret": SECRET,
            "access_token": SECRET,
        },
    },
    auth=[ApiKey(secret=name, json=name) for name in ("client_id", "secret", "access_token")],
    verdict=verdict,
    rate=Rate(50, per=60),
    permissions=Permissions(
        http=["https://*.plaid.com/*", "https://{settings.environment}.plaid.com/*"],
        documents={"bank_transaction": ["write", "delete"], "bank_account": ["write"]},
    ),
    streams=[
        Stream("accounts", mode="poll", schedule="0 6 * * *"),
        Stream("transactions", mode="poll", schedule="0 */4 * * *"),
    ],
)


@plaid.collection(
    "accounts",
    method="POST",
    path="/accounts/get",
    json={},
    safe=True,
    records="accounts",
    id="account_id",
    document="bank_account",
)
def bank_account(record):
    return {
        "bank_account_id": record["account_id"],
        "name": record["name"],
        "currency": record["balances"]["iso_currency_code"],
        "account_type": "credit_card" if record["type"] == "credit" else "checking",
        "mask": record["mask"],
    }


@plaid.mapping("transactions", id="transaction_id", document="bank_transaction")
def bank_transaction(record):
    return {
        "transaction_id": record["transaction_id"],
        "bank_account_id": record["account_id"],
        "amount": money.amount(-record["amount"]),  # Plaid: positive leaves the account
        "currency": record["iso_currency_code"],
        "status": "pending" if record["pending"] else "posted",
        "pending_transaction_id": record["pending_transaction_id"],
        "transaction_date": record["date"],
        "description": record["name"],
    }


@plaid.sync("transactions")
def transactions(request):
    asked = {"cursor": request.cursor or "", "count": 500}
    update = request.http.post("/transactions/sync", json=asked, safe=True).json()
    ingest.records("transactions", update["added"] + update["modified"])
    ingest.records("transactions", update["removed"], gone=True)
    return sync.page(cursor=update["next_cursor"], has_more=update["has_more"], hold=True)


# The provider ------------------------------------------------------------------------------------


@dataclass
class PaperPlaid:
    """A log of what happened; a cursor is a place in it, a page `size` of its lines.

    moves_at: requests, counted from 1, that find the log moved since their update began.
    """

    log: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    size: int = 2
    moves_at: range = range(0)
    error: str | None = None
    asked: int = 0

    def __call__(self, sent: Sent) -> Answer:
        self.asked += 1
        for name in ("client_id", "secret", "access_token"):
            assert sent.json[name]
        if self.error or self.asked in self.moves_at:
            return Answer.of({"error_code": self.error or MUTATION}, status=400)
        if sent.path == "/accounts/get":
            balances = {"current": Decimal("10.5"), "iso_currency_code": "EUR"}
            account = {"account_id": "acc_1", "name": "Giro", "type": "depository", "mask": "0000"}
            return Answer.of({"accounts": [account | {"balances": balances}]})
        start = int(sent.json["cursor"] or 0)
        end = min(start + self.size, len(self.log))
        page: dict[str, Any] = {"added": [], "modified": [], "removed": []}
        for kind, record in self.log[start:end]:
            page[kind].append(record)
        return Answer.of(page | {"next_cursor": str(end), "has_more": end < len(self.log)})


def a_row(number: int, **changes: Any) -> dict[str, Any]:
    return {
        "transaction_id": f"tx_{number}",
        "account_id": "acc_1",
        "amount": Decimal("12.30"),
        "iso_currency_code": "EUR",
        "pending": False,
        "pending_transaction_id": None,
        "date": "2026-03-01",
        "name": f"Coffee {number}",
        **changes,
    }


SETTINGS = {"client_id": "client-1"}


@pytest.fixture
def bank() -> PaperPlaid:
    return PaperPlaid([("added", a_row(n)) for n in range(1, 6)])


@pytest.fixture
def line(bank: PaperPlaid) -> Iterator[Line]:
    with joined(plaid, bank, settings=SETTINGS) as line:
        yield line


def cursors(line: Line) -> list[str]:
    return [sent.json["cursor"] for sent in line.asked()]


def rows(line: Line) -> dict[str, dict[str, Any]]:
    return line.payloads("bank_transaction", "transaction_id")


def test_money_that_leaves_the_account_is_negative(line, bank):
    bank.log.append(("added", a_row(6, amount=Decimal("-2000"))))
    report = line.pull("transactions")
    assert report.counters.created == 6
    assert (rows(line)["tx_1"]["amount"], rows(line)["tx_6"]["amount"]) == ("-12.30", "2000.00")
    assert cursors(line) == ["", "2", "4"]


def test_the_cursor_outlives_the_run(line, bank):
    line.pull("transactions")
    assert line.kit.checkpoint("transactions")[0] == "5"
    line.asked()
    bank.log.append(("modified", a_row(3, name="Coffee and cake")))
    report = line.pull("transactions")
    assert cursors(line) == ["5"]
    assert (report.counters.fetched, report.counters.updated) == (1, 1)
    assert rows(line)["tx_3"]["description"] == "Coffee and cake"
    assert line.pull("transactions").counters.fetched == 0
    assert cursors(line) == ["6"]


def test_a_pending_row_is_taken_back_when_it_is_posted(line, bank):
    bank.log.append(("added", a_row(6, pending=True)))
    line.pull("transactions")
    bank.log.append(("removed", {"transaction_id": "tx_6", "account_id": "acc_1"}))
    bank.log.append(("added", a_row(7, pending_transaction_id="tx_6")))
    line.pull("transactions")
    assert "tx_6" not in rows(line)
    assert rows(line)["tx_7"]["pending_transaction_id"] == "tx_6"


def test_an_update_that_moved_begins_again_and_leaves_no_trace(line, bank):
    line.pull("transactions")
    line.asked()
    bank.log += [("added", a_row(n)) for n in range(6, 11)]
    bank.moves_at = range(bank.asked + 3, bank.asked + 4)
    report = line.pull("transactions")
    assert cursors(line) == ["5", "7", "9", "5", "7", "9"]
    assert (report.counters.fetched, report.counters.created) == (5, 5)
    assert line.kit.checkpoint("transactions")[0] == "10"


def test_an_update_that_never_holds_still_stores_nothing(line, bank):
    line.pull("transactions")
    bank.log += [("added", a_row(n)) for n in range(6, 10)]
    bank.moves_at = range(bank.asked + 2, bank.asked + 100, 2)
    report = line.run("transactions")
    assert report.reason == "cursor_expired"
    assert "5 times" in str(report.message)
    assert len(rows(line)) == 5
    bank.moves_at = range(0)
    assert line.pull("transactions").counters.created == 4
    assert len(rows(line)) == 9


def test_half_an_update_waits_for_the_other_half(bank):
    """Its pages are kept, not asked for again, and show themselves all at once."""
    with joined(plaid, bank, settings=SETTINGS, fault="outage", at=3) as line:
        assert line.run("transactions").reason == "upstream_unavailable"
        assert rows(line) == {}
        line.provider.calm()
        line.kit.clock.advance(7200)
        line.asked()
        assert line.pull("transactions").counters.created == 5
        assert cursors(line) == ["4"]


def test_a_bank_that_wants_its_customer_needs_a_person(line, bank):
    line.pull("transactions")
    bank.error = "ITEM_LOGIN_REQUIRED"
    report = line.run("transactions")
    assert report.reason == "needs_reauth"
    assert "log in again" in str(report.message)
    assert len(rows(line)) == 5


def test_a_bank_that_is_not_ready_is_asked_in_ten_minutes(line, bank):
    bank.error = "PRODUCT_NOT_READY"
    assert line.run("transactions").state == "parked"
    bank.error = None
    line.kit.clock.advance(600)
    assert line.pull("transactions").counters.created == 5


def test_a_full_run_takes_the_log_from_its_beginning(line):
    line.pull("transactions")
    line.asked()
    assert line.pull("transactions", full=True).counters.unchanged == 5
    assert cursors(line)[0] == ""


def test_credentials_go_in_the_body_and_stay_out_of_the_checkpoint(line):
    assert line.pull("accounts").counters.created == 1
    line.pull("transactions")
    assert all("authorization" not in sent.headers for sent in line.asked())
    assert line.kit.checkpoint("transactions")[0] == "5"
    (account,) = line.kit.documents("bank_account")
    assert (account["name"], account["mask"]) == ("Giro", "0000")


def test_it_survives_its_provider(bank):
    put_through(plaid, "transactions", bank, settings=SETTINGS)
