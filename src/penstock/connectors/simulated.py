"""The simulated company of `python -m penstock.simulator`: five collections, nothing but mappings.

Its API writes money in three ways and time in two, so the three helpers have their use:
decimal text passes as it is, minor units go through `money.minor`, JSON numbers through
`money.amount`, and every instant through `times.instant`.
"""

from __future__ import annotations

from typing import Any

from penstock import (
    Account,
    Bearer,
    Connector,
    Cursor,
    Permissions,
    RouteRequest,
    Since,
    Stream,
    money,
    times,
)

Record = dict[str, Any]
Payload = dict[str, Any]

simulated = Connector(
    key="simulated",
    name="Simulated company",
    provider="simulated",
    version="0.1.0",
    base_url="{settings.base_url}",
    settings={
        "type": "object",
        "required": ["base_url", "api_key"],
        "properties": {
            "base_url": {"type": "string", "format": "uri"},
            "api_key": {"type": "string", "x-secret": True},
            "page_size": {"type": "integer", "minimum": 1, "maximum": 1000, "default": 200},
        },
    },
    auth=Bearer(secret="api_key"),  # noqa: S106 - the name of a setting
    permissions=Permissions(
        http=["http://127.0.0.1/*"],
        documents={
            "customer": ["write"],
            "bank_account": ["write"],
            "invoice": ["write"],
            "payment": ["write"],
            "bank_transaction": ["write"],
        },
    ),
    streams=[
        Stream("customers", mode="poll", schedule="*/15 * * * *"),
        Stream("bank_accounts", mode="poll", schedule="0 * * * *"),
        Stream("invoices", mode="poll", schedule="*/15 * * * *"),
        Stream("payments", mode="poll", schedule="*/15 * * * *"),
        Stream("bank_transactions", mode="poll", schedule="0 * * * *"),
    ],
)

PAGE = {"limit": "{settings.page_size}"}
PAGES = Cursor("next_cursor", param="cursor")
CHANGED = Since(param="updated_since", until="updated_before", field="updated_at")
CHANGED_UNIX = Since(
    param="updated_since", until="updated_before", field="updated_at", format="unix"
)

INVOICE_STATUS = {"part_paid": "partially_paid"}
PAYMENT_STATUS = {"succeeded": "completed"}
TRANSACTION_STATUS = {"booked": "posted"}
PAYMENT_METHOD = {"card": "credit_card", "transfer": "wire"}
ACCOUNT_TYPE = {"current": "checking"}


@simulated.discover
def account(request: RouteRequest) -> Account:
    """Whose data the token opens."""
    found = request.http.get("/account").json()
    return Account(
        id=found["id"],
        name=found["name"],
        currency=found["home_currency"],
        timezone=found["timezone"],
    )


@simulated.collection(
    "customers",
    path="/customers",
    params=PAGE,
    records="data",
    id="id",
    pages=PAGES,
    since=CHANGED,
    document="customer",
)
def customer(record: Record) -> Payload | None:
    if record["test"]:  # sandbox data stays out of the books
        return None
    address = record["address"]
    return {
        "customer_id": record["id"],
        "name": record["display_name"],
        "entity_type": "company" if record["kind"] == "business" else "individual",
        "email": record["email"],
        "currency": record["currency"],
        "payment_terms_days": record["terms_days"],
        "tax_ids": [{"value": record["vat_id"]}] if record["vat_id"] else [],
        "billing_address": {
            "line1": address["street"],
            "city": address["city"],
            "postal_code": address["zip"],
            "country": address["country"],
        },
        "source_updated_at": record["updated_at"],
    }


@simulated.collection(
    "bank_accounts",
    path="/bank_accounts",
    params=PAGE,
    records="data",
    id="id",
    pages=PAGES,
    since=CHANGED,
    document="bank_account",
)
def bank_account(record: Record) -> Payload:
    return {
        "bank_account_id": record["id"],
        "name": record["label"],
        "account_type": ACCOUNT_TYPE.get(record["type"], "other"),
        "currency": record["currency"],
        "mask": record["ending"],
        "opened_on": times.date(record["opened_at"]),
        "current_balance": money.amount(record["balance"]),
        "balance_at": times.instant(record["balance_at"], unit="s"),
        "source_updated_at": record["updated_at"],
    }


@simulated.collection(
    "invoices",
    path="/invoices",
    params=PAGE,
    records="data",
    id="id",
    pages=PAGES,
    since=CHANGED,
    document="invoice",
)
def invoice(record: Record) -> Payload | None:
    if record["test"]:
        return None
    return {
        "invoice_id": record["id"],
        "customer_id": record["customer"],
        "document_number": record["number"],
        # A state we do not know goes on as it is: the contract refuses it, nobody guesses.
        "status": INVOICE_STATUS.get(record["state"], record["state"]),
        "currency": record["currency"],
        "document_date": record["issue_date"],
        "due_date": record["due_date"],
        "subtotal": record["net"],
        "tax_amount": record["tax"],
        "total_amount": record["total"],
        "reported_amount_paid": record["paid"],
        "reported_amount_due": record["due"],
        "line_items": [invoice_line(line) for line in record["lines"]],
        "source_updated_at": record["updated_at"],
    }


def invoice_line(line: Record) -> Payload:
    return {
        "line_ref": line["id"],
        "description": line["title"],
        "quantity": line["quantity"],
        "unit_price": line["unit_price"],
        "discount_amount": line["discount"],
        "amount": line["net"],
        "tax_lines": [
            {
                "name": line["tax"]["name"],
                "tax_kind": "vat",
                "rate_percent": line["tax"]["rate"],
                "taxable_amount": line["net"],
                "tax_amount": line["tax"]["amount"],
            }
        ],
    }


@simulated.collection(
    "payments",
    path="/payments",
    params=PAGE,
    records="data",
    id="id",
    pages=PAGES,
    since=CHANGED,
    document="payment",
)
def payment(record: Record) -> Payload | None:
    if record["test"]:
        return None
    currency = record["currency"]
    return {
        "payment_id": record["id"],
        "customer_id": record["customer"],
        "invoice_id": record["invoice"],
        "status": PAYMENT_STATUS.get(record["state"], record["state"]),
        "currency": currency,
        "amount": money.minor(record["amount"], currency),
        "fee_amount": money.minor(record["fee"], currency),
        "net_amount": money.minor(record["net"], currency),
        "payment_method": record["method"],
        "payment_method_type": PAYMENT_METHOD.get(record["method"], "other"),
        "payment_date": times.date(record["received_at"]),
        "paid_at": times.instant(record["received_at"]),
        "source_updated_at": record["updated_at"],
    }


@simulated.collection(
    "bank_transactions",
    path="/bank_transactions",
    params=PAGE,
    records="data",
    id="id",
    pages=PAGES,
    since=CHANGED_UNIX,
    document="bank_transaction",
)
def bank_transaction(record: Record) -> Payload:
    return {
        "transaction_id": record["id"],
        "bank_account_id": record["account"],
        "status": TRANSACTION_STATUS.get(record["state"], record["state"]),
        "currency": record["currency"],
        "amount": money.amount(record["amount"]),
        "transaction_date": times.date(record["at"], unit="s"),
        "description": record["text"],
        "counterparty_name": record["counterparty"],
        "source_updated_at": times.instant(record["updated_at"], unit="s"),
    }
