"""Payloads of a small company, complete and right, for tests to bend."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

from penstock.contracts import registry
from penstock.contracts.accepted import Accepted
from penstock.model.rejection import Rejection

GOLDEN = Path(__file__).parent / "golden"
GOLDEN_NAMES = sorted(path.stem for path in GOLDEN.glob("*.json"))
ACCEPTED_NAMES = [name for name in GOLDEN_NAMES if name != "invoice_rejected"]


def golden(name: str) -> dict[str, Any]:
    return json.loads((GOLDEN / f"{name}.json").read_text())


INVOICE = {
    "invoice_id": "inv_1",
    "customer_id": "cus_1",
    "status": "open",
    "currency": "EUR",
    "document_date": "2026-03-02",
    "total_amount": "120.00",
    "line_items": [{"amount": "100.00"}, {"amount": "20.00"}],
}
PAYMENT = {
    "payment_id": "pay_1",
    "customer_id": "cus_1",
    "status": "completed",
    "currency": "EUR",
    "amount": "200.00",
    "payment_date": "2026-03-05",
}
BANK_TRANSACTION = {
    "transaction_id": "txn_1",
    "bank_account_id": "ba_1",
    "status": "posted",
    "currency": "EUR",
    "amount": "-12.00",
    "transaction_date": "2026-03-09",
}
CUSTOMER = {"customer_id": "cus_1", "name": "Nordlicht GmbH"}
BANK_ACCOUNT = {"bank_account_id": "ba_1", "name": "Operating", "currency": "EUR"}
EXAMPLES = {
    "customer": CUSTOMER,
    "bank_account": BANK_ACCOUNT,
    "invoice": INVOICE,
    "payment": PAYMENT,
    "bank_transaction": BANK_TRANSACTION,
}


def invoice(**changes: Any) -> dict[str, Any]:
    return bent("invoice", **changes)


def payment(**changes: Any) -> dict[str, Any]:
    return bent("payment", **changes)


def bent(document_type: str, **changes: Any) -> dict[str, Any]:
    """The example with these members set; `...` takes one away."""
    payload = copy.deepcopy(EXAMPLES[document_type]) | changes
    return {name: value for name, value in payload.items() if value is not ...}


def examine(document_type: str, payload: Any, **call: Any) -> Accepted | Rejection:
    return registry.contract(document_type).examine(payload, **call)


def accepted(document_type: str, payload: Any, **call: Any) -> Accepted:
    result = examine(document_type, payload, **call)
    assert isinstance(result, Accepted), result
    return result


def kept(document_type: str, payload: Any, **call: Any) -> dict[str, Any]:
    """The normal form."""
    return json.loads(accepted(document_type, payload, **call).content)


def reasons(document_type: str, payload: Any, **call: Any) -> list[tuple[str, str, str | None]]:
    """(code, path, invariant) of every error, [] for an accepted payload."""
    result = examine(document_type, payload, **call)
    if isinstance(result, Accepted):
        return []
    return [(error.code, error.path, error.invariant) for error in result.errors]


def flagged(document_type: str, payload: Any, **call: Any) -> list[tuple[str, str, str | None]]:
    """(code, path, invariant) of every flag of an accepted payload."""
    found = accepted(document_type, payload, **call).flags
    return [(flag.code, flag.path, flag.invariant) for flag in found]
