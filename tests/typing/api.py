"""What a type checker must see in the public names. It only has to check; nothing runs it.

Each `type: ignore` stands where an error is wanted: an unused one is itself an error.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any, assert_type

from penstock import (
    BankAccountPayload,
    BankTransactionPayload,
    CanonicalBatchIngestResult,
    CanonicalIngestResult,
    Connector,
    Context,
    Gone,
    RouteRequest,
    ingest,
    sync,
)
from penstock.sdk.sync import SyncPage

account: BankAccountPayload = {"name": "Main", "currency": "EUR", "iban": "DE02120300000000202051"}
transaction: BankTransactionPayload = {
    "status": "posted",
    "currency": "EUR",
    "bank_account_id": "acc_1",
    "amount": Decimal("12.50"),
    "transaction_date": "2026-03-01",
}
misspelt: BankAccountPayload = {"name": "Main", "currency": "EUR", "ibann": "DE0"}  # type: ignore[typeddict-unknown-key]
incomplete: BankAccountPayload = {"name": "Main"}  # type: ignore[typeddict-item]
a_float: BankTransactionPayload = {
    "status": "posted",
    "currency": "EUR",
    "bank_account_id": "acc_1",
    "amount": 12.5,  # type: ignore[typeddict-item]
    "transaction_date": "2026-03-01",
}
no_such_status: BankTransactionPayload = {**transaction, "status": "booked"}  # type: ignore[typeddict-item]


def one(key: str) -> None:
    assert_type(
        ingest.canonical("bank_account", account, stream="accounts", idempotency_key=key),
        CanonicalIngestResult,
    )
    ingest.canonical(  # type: ignore[call-overload]
        "bank_account",
        {"name": "Main", "currency": "EUR", "ibann": "DE0"},
        stream="accounts",
        idempotency_key=key,
    )
    ingest.canonical("bank_account", transaction, stream="accounts", idempotency_key=key)  # type: ignore[call-overload]
    ingest.canonical("bank_acount", account, stream="accounts", idempotency_key=key)  # type: ignore[call-overload]
    ingest.canonical("bank_account", account, idempotency_key=key)  # type: ignore[call-overload]


def many(customers: list[dict[str, Any]]) -> None:
    batch = ingest.batch(
        "bank_transaction",
        [transaction],
        stream="transactions",
        idempotency_key=lambda p: f"acme:bank_transaction:{p['transaction_id']}",
        continue_on_error=True,
    )
    assert_type(batch, CanonicalBatchIngestResult)
    assert_type(batch.results, tuple[CanonicalIngestResult, ...])
    ingest.batch("customer", customers, stream="customers", idempotency_key="k")
    ingest.batch("bank_transaction", [account], stream="transactions", idempotency_key="k")  # type: ignore[call-overload]


acme = Connector(key="acme", name="Acme", provider="acme", version="0.1.0")


@acme.mapping("customers", id="id", document="customer")
def customer(record: Mapping[str, Any], context: Context) -> dict[str, Any] | Gone:
    return Gone() if record["deleted"] else {"name": record["name"], **context.facts}


assert_type(customer({"deleted": True}, Context(None, {}, {}, None)), dict[str, Any] | Gone)  # type: ignore[arg-type]


@acme.sync("customers")
def customers(request: RouteRequest) -> SyncPage:
    return sync.page(cursor=request.cursor)


acme.collection("customers", id="id", document="customer")  # type: ignore[call-arg]
