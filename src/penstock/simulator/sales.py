"""Invoices and payments, as the company knows them and as its API shows them.

The API speaks of invoices in decimal text with tax on each line, and of payments in whole minor
units (cents; yen for a Japanese customer) with times in the offset of the payment desk.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import Any, ClassVar

from penstock.simulator.calendar import OFFICE, rfc3339
from penstock.simulator.currencies import rounded, to_minor


@dataclass(frozen=True, slots=True)
class Line:
    """One line of an invoice. discount is already known when the tax is taken."""

    id: str
    title: str
    quantity: int
    unit_price: Decimal
    discount: Decimal
    tax_rate: Decimal

    def net(self, currency: str) -> Decimal:
        return rounded(self.quantity * self.unit_price - self.discount, currency)

    def tax(self, currency: str) -> Decimal:
        return rounded(self.net(currency) * self.tax_rate / 100, currency)

    def shape(self, currency: str) -> dict[str, Any]:
        return {
            "id": self.id,
            "title": self.title,
            "quantity": str(self.quantity),
            "unit_price": str(self.unit_price),
            "discount": str(self.discount),
            "net": str(self.net(currency)),
            "tax": {
                "name": f"VAT {self.tax_rate} %",
                "rate": str(self.tax_rate),
                "amount": str(self.tax(currency)),
            },
        }


@dataclass(frozen=True, slots=True)
class Invoice:
    """state: draft, open, part_paid, paid or void, in the provider's words."""

    document: ClassVar[str] = "invoice"
    canonical_status: ClassVar[dict[str, str]] = {"part_paid": "partially_paid"}

    id: str
    number: str
    customer: str
    state: str
    currency: str
    issued: date
    due: date
    lines: tuple[Line, ...]
    paid: Decimal
    test: bool

    @property
    def net(self) -> Decimal:
        return sum((line.net(self.currency) for line in self.lines), rounded(0, self.currency))

    @property
    def tax(self) -> Decimal:
        return sum((line.tax(self.currency) for line in self.lines), rounded(0, self.currency))

    @property
    def total(self) -> Decimal:
        return self.net + self.tax

    def shape(self, updated_at: datetime) -> dict[str, Any]:
        """The record as the API delivers it."""
        net, tax = self.net, self.tax
        return {
            "id": self.id,
            "number": self.number,
            "customer": self.customer,
            "state": self.state,
            "currency": self.currency,
            "issue_date": self.issued.isoformat(),
            "due_date": self.due.isoformat(),
            "lines": [line.shape(self.currency) for line in self.lines],
            "net": str(net),
            "tax": str(tax),
            "total": str(net + tax),
            "paid": str(self.paid),
            "due": str(net + tax - self.paid),
            "test": self.test,
            "updated_at": rfc3339(updated_at),
        }

    def facts(self) -> dict[str, str]:
        """What a reader must have understood, in canonical names and forms."""
        return {
            "invoice_id": self.id,
            "customer_id": self.customer,
            "status": self.canonical_status.get(self.state, self.state),
            "currency": self.currency,
            "document_date": self.issued.isoformat(),
            "tax_amount": str(self.tax),
            "total_amount": str(self.total),
        }


@dataclass(frozen=True, slots=True)
class Payment:
    """state: pending, succeeded or failed, in the provider's words."""

    document: ClassVar[str] = "payment"
    canonical_status: ClassVar[dict[str, str]] = {"succeeded": "completed"}

    id: str
    customer: str
    invoice: str
    state: str
    currency: str
    amount: Decimal
    fee: Decimal
    method: str
    received: datetime
    test: bool

    def shape(self, updated_at: datetime) -> dict[str, Any]:
        """The record as the API delivers it: amounts in minor units."""
        amount, fee = (to_minor(v, self.currency) for v in (self.amount, self.fee))
        return {
            "id": self.id,
            "customer": self.customer,
            "invoice": self.invoice,
            "state": self.state,
            "currency": self.currency,
            "amount": amount,
            "fee": fee,
            "net": amount - fee,
            "method": self.method,
            "received_at": rfc3339(self.received.astimezone(OFFICE)),
            "test": self.test,
            "updated_at": rfc3339(updated_at),
        }

    def facts(self) -> dict[str, str]:
        """What a reader must have understood, in canonical names and forms."""
        return {
            "payment_id": self.id,
            "customer_id": self.customer,
            "invoice_id": self.invoice,
            "status": self.canonical_status.get(self.state, self.state),
            "currency": self.currency,
            "amount": str(self.amount),
            "fee_amount": str(self.fee),
            "payment_date": self.received.astimezone(OFFICE).date().isoformat(),
            "paid_at": rfc3339(self.received),
        }
