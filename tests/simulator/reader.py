"""A reader that shares no code with the simulator or the connector: urllib, json and Decimal.

It walks the API and judges every record by rules written down here once more, so that the
company's truth is compared with a second opinion.
"""

from __future__ import annotations

import json
import re
import urllib.error
import urllib.parse
import urllib.request
from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

DIGITS = {"EUR": 2, "USD": 2, "GBP": 2, "JPY": 0}
TWICE = "given twice"
DOCUMENTS = {
    "customers": "customer",
    "bank_accounts": "bank_account",
    "invoices": "invoice",
    "payments": "payment",
    "bank_transactions": "bank_transaction",
}


class Refused(Exception):
    """This record is a dead letter; the argument is its reason code."""


@dataclass
class Reader:
    url: str
    token: str

    def get(self, path: str, /, **params: Any) -> tuple[int, bytes]:
        query = urllib.parse.urlencode(params)
        headers = {"Authorization": f"Bearer {self.token}"} if self.token else {}
        request = urllib.request.Request(f"{self.url}{path}?{query}", headers=headers)
        try:
            with urllib.request.urlopen(request, timeout=10) as answer:
                return answer.status, answer.read()
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.read()

    def page(self, collection: str, /, **params: Any) -> dict[str, Any]:
        status, body = self.get(f"/{collection}", **params)
        assert status == 200, body
        return decode(body)

    def pages(self, collection: str, /, **params: Any) -> list[dict[str, Any]]:
        found = [self.page(collection, **params)]
        while found[-1]["has_more"]:
            found.append(self.page(collection, **params, cursor=found[-1]["next_cursor"]))
        assert found[-1]["next_cursor"] is None
        return found

    def walk(self, collection: str, /, **params: Any) -> list[dict[str, Any]]:
        """All records, page by page."""
        return [record for page in self.pages(collection, **params) for record in page["data"]]


@dataclass
class Recount:
    """What we make of one collection ourselves."""

    fetched: int = 0
    filtered: int = 0
    dead_letters: Counter[str] = field(default_factory=Counter)
    facts: dict[str, dict[str, str]] = field(default_factory=dict)


def recount(document: str, records: list[dict[str, Any]]) -> Recount:
    found = Recount(fetched=len(records))
    for record in records:
        if record.get("test"):
            found.filtered += 1
            continue
        try:
            facts = FACTS[document](record)
        except Refused as refused:
            found.dead_letters[str(refused)] += 1
        else:
            assert record["id"] not in found.facts
            found.facts[record["id"]] = facts
    return found


def accepted(document: str, records: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """Id to content without its stamp, of the records that become documents."""
    good = recount(document, records).facts
    return {
        record["id"]: {name: value for name, value in record.items() if name != "updated_at"}
        for record in records
        if record["id"] in good
    }


def decode(body: bytes) -> Any:
    return json.loads(body, parse_float=Decimal, object_pairs_hook=_members)


def _members(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    return members if len(members) == len(pairs) else members | {TWICE: True}


def _customer(record: dict[str, Any]) -> dict[str, str]:
    name = record["display_name"]
    _demand(name, "missing_field")
    _demand(len(name) <= 255, "limit_exceeded")
    return {
        "customer_id": record["id"],
        "name": name,
        "email": record["email"],
        "currency": record["currency"],
        "entity_type": {"business": "company", "person": "individual"}[record["kind"]],
    }


def _bank_account(record: dict[str, Any]) -> dict[str, str]:
    return {
        "bank_account_id": record["id"],
        "name": record["label"],
        "currency": record["currency"],
        "current_balance": str(record["balance"]),
        "balance_at": _utc(record["balance_at"]),
    }


def _invoice(record: dict[str, Any]) -> dict[str, str]:
    total, currency = record["total"], record["currency"]
    _demand(isinstance(total, str), "invalid_type")
    _demand(re.fullmatch(r"\d+(\.\d+)?", total), "invalid_format")
    _demand(_is_day(record["due_date"]), "invalid_format")
    _demand(record["state"] in {"draft", "open", "part_paid", "paid", "void"}, "invalid_enum")
    _demand(currency in DIGITS, "invalid_currency")
    _demand(len(total.partition(".")[2]) <= DIGITS[currency], "scale_exceeds_currency")
    net, tax = Decimal(record["net"]), Decimal(record["tax"])
    _demand(net + tax == Decimal(total), "totals_mismatch")
    assert sum(Decimal(line["net"]) for line in record["lines"]) == net
    assert sum(Decimal(line["tax"]["amount"]) for line in record["lines"]) == tax
    return {
        "invoice_id": record["id"],
        "customer_id": record["customer"],
        "status": record["state"].replace("part_paid", "partially_paid"),
        "currency": currency,
        "document_date": record["issue_date"],
        "tax_amount": record["tax"],
        "total_amount": total,
    }


def _payment(record: dict[str, Any]) -> dict[str, str]:
    _demand(len(record["id"]) <= 255, "invalid_idempotency_key")
    _demand(record["amount"] is not None, "mapping_error")
    _demand(record["amount"] > 0, "out_of_range")
    digits = DIGITS[record["currency"]]
    assert record["amount"] - record["fee"] == record["net"]
    received = datetime.fromisoformat(record["received_at"])
    return {
        "payment_id": record["id"],
        "customer_id": record["customer"],
        "invoice_id": record["invoice"],
        "status": record["state"].replace("succeeded", "completed"),
        "currency": record["currency"],
        "amount": f"{Decimal(record['amount']).scaleb(-digits):.{digits}f}",
        "fee_amount": f"{Decimal(record['fee']).scaleb(-digits):.{digits}f}",
        "payment_date": record["received_at"][:10],
        "paid_at": _utc(received.timestamp()),
    }


def _bank_transaction(record: dict[str, Any]) -> dict[str, str]:
    _demand(TWICE not in record, "malformed_payload")
    _demand("\0" not in record["text"], "invalid_text")
    return {
        "transaction_id": record["id"],
        "bank_account_id": record["account"],
        "status": record["state"].replace("booked", "posted"),
        "currency": record["currency"],
        "amount": str(record["amount"]),
        "transaction_date": _utc(record["at"])[:10],
        "description": record["text"],
    }


FACTS = {
    "customer": _customer,
    "bank_account": _bank_account,
    "invoice": _invoice,
    "payment": _payment,
    "bank_transaction": _bank_transaction,
}


def _demand(holds: object, reason: str) -> None:
    if not holds:
        raise Refused(reason)


def _is_day(text: str) -> bool:
    try:
        date.fromisoformat(text)
    except ValueError:
        return False
    return True


def _utc(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
