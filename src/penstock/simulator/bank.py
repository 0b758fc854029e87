"""Bank accounts and their transactions, as the company knows them and as its API shows them.

The API speaks of money as JSON numbers (-12.50, or -1250 in yen) and of time as Unix seconds.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any, ClassVar

from penstock.simulator.calendar import rfc3339, unix


@dataclass(frozen=True, slots=True)
class BankAccount:
    """balance: of the booked transactions on top of what the account began with."""

    document: ClassVar[str] = "bank_account"
    test: ClassVar[bool] = False

    id: str
    label: str
    currency: str
    ending: str
    opened: datetime
    balance: Decimal
    balance_at: datetime

    def shape(self, updated_at: datetime) -> dict[str, Any]:
        """The record as the API delivers it."""
        return {
            "id": self.id,
            "label": self.label,
            "type": "current",
            "currency": self.currency,
            "ending": self.ending,
            "opened_at": rfc3339(self.opened),
            "balance": self.balance,
            "balance_at": unix(self.balance_at),
            "updated_at": rfc3339(updated_at),
        }

    def facts(self) -> dict[str, str]:
        """What a reader must have understood, in canonical names and forms."""
        return {
            "bank_account_id": self.id,
            "name": self.label,
            "currency": self.currency,
            "current_balance": str(self.balance),
            "balance_at": rfc3339(self.balance_at),
        }


@dataclass(frozen=True, slots=True)
class BankTransaction:
    """amount: positive when money enters the account. state: pending or booked."""

    document: ClassVar[str] = "bank_transaction"
    test: ClassVar[bool] = False
    canonical_status: ClassVar[dict[str, str]] = {"booked": "posted"}

    id: str
    account: str
    state: str
    currency: str
    amount: Decimal
    at: datetime
    text: str
    counterparty: str

    def shape(self, updated_at: datetime) -> dict[str, Any]:
        """The record as the API delivers it; even updated_at is in Unix seconds here."""
        return {
            "id": self.id,
            "account": self.account,
            "state": self.state,
            "currency": self.currency,
            "amount": self.amount,
            "at": unix(self.at),
            "text": self.text,
            "counterparty": self.counterparty,
            "updated_at": unix(updated_at),
        }

    def facts(self) -> dict[str, str]:
        """What a reader must have understood, in canonical names and forms."""
        return {
            "transaction_id": self.id,
            "bank_account_id": self.account,
            "status": self.canonical_status.get(self.state, self.state),
            "currency": self.currency,
            "amount": str(self.amount),
            "transaction_date": self.at.date().isoformat(),
            "description": self.text,
        }
