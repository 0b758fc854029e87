"""Payloads as types for editors and type checkers: the two that connectors write by hand most.

The contract decides, not the type: a test holds both together, field by field.
"""

# No `from __future__ import annotations` here: as text, Required would not reach __required_keys__.
from datetime import date, datetime
from decimal import Decimal
from typing import Any, Literal, Required, TypedDict

Amount = str | Decimal
Day = str | date
Moment = str | datetime


class BankAccountPayload(TypedDict, total=False):
    """docs/contracts/bank_account.md"""

    bank_account_id: str | None
    source_version: str | None
    source_updated_at: Moment | None
    external_url: str | None
    subsidiary_id: str | None
    supersedes: list[dict[str, Any]] | None
    metadata: dict[str, str | None] | None
    source_values: dict[str, Any] | None
    name: Required[str]
    currency: Required[str]
    account_type: (
        Literal["checking", "savings", "credit_card", "loan", "processor_balance", "cash", "other"]
        | None
    )
    feed_mode: Literal["authoritative", "none"] | None
    account_id: str | None
    account_code: str | None
    institution_name: str | None
    holder_name: str | None
    institution_id: str | None
    persistent_id: str | None
    mask: str | None
    iban: str | None
    bic: str | None
    routing_number: str | None
    active: bool | None
    opened_on: Day | None
    current_balance: Amount | None
    available_balance: Amount | None
    balance_at: Moment | None


class BankTransactionPayload(TypedDict, total=False):
    """docs/contracts/bank_transaction.md"""

    transaction_id: str | None
    source_version: str | None
    source_updated_at: Moment | None
    external_url: str | None
    subsidiary_id: str | None
    supersedes: list[dict[str, Any]] | None
    metadata: dict[str, str | None] | None
    source_values: dict[str, Any] | None
    status: Required[Literal["pending", "posted", "deleted", "other"]]
    currency: Required[str]
    document_date: Day | None
    effective_date: Day | None
    approval_status: Literal["draft", "pending_approval", "approved", "rejected", "void"] | None
    memo: str | None
    dimensions: dict[str, str | None] | None
    fx: dict[str, Any] | None
    bank_account_id: Required[str]
    amount: Required[Amount]
    transaction_date: Required[Day]
    value_date: Day | None
    authorized_date: Day | None
    description: str | None
    category: str | None
    counterparty_name: str | None
    counterparty_iban: str | None
    reference_number: str | None
    check_number: str | None
    bank_code: str | None
    original_currency: str | None
    original_amount: Amount | None
    pending_transaction_id: str | None
    bank_statement_id: str | None
    balance_after: Amount | None
