"""Everything the company knows right now, and what moved since somebody last looked."""

from __future__ import annotations

from collections.abc import Callable, Sized
from datetime import datetime

from penstock.simulator.bank import BankAccount, BankTransaction
from penstock.simulator.parties import Customer
from penstock.simulator.record import DOCUMENTS, R, Record
from penstock.simulator.sales import Invoice, Payment


class Books:
    """Current records by kind and id, in order of their first appearance."""

    def __init__(self) -> None:
        self.customers: dict[str, Customer] = {}
        self.bank_accounts: dict[str, BankAccount] = {}
        self.invoices: dict[str, Invoice] = {}
        self.payments: dict[str, Payment] = {}
        self.bank_transactions: dict[str, BankTransaction] = {}

        self._moved: dict[tuple[str, str], tuple[Record, datetime]] = {}

    def __len__(self) -> int:
        """Records of all kinds."""
        shelves: tuple[Sized, ...] = (
            self.customers,
            self.bank_accounts,
            self.invoices,
            self.payments,
            self.bank_transactions,
        )
        return sum(len(shelf) for shelf in shelves)

    def put(self, shelf: dict[str, R], record: R, at: datetime) -> R:
        """Keep a record, new or changed, as of a moment of the company's calendar."""
        shelf[record.id] = record
        self._moved[record.document, record.id] = (record, at)
        return record

    def take_moved(self) -> list[tuple[Record, datetime]]:
        """Records put since the last call, each once, in its last state."""
        moved = sorted(self._moved.values(), key=lambda item: DOCUMENTS.index(item[0].document))
        self._moved = {}
        return moved

    def account_for(self, currency: str) -> BankAccount:
        return next(a for a in self.bank_accounts.values() if a.currency == currency)


Free = Callable[[Record], bool]
"""Whether a record may be edited now: it is neither faulty nor sandbox data."""
