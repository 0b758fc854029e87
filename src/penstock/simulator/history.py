"""The half year before the company is opened: the records it starts with."""

from __future__ import annotations

from datetime import datetime, timedelta
from decimal import Decimal
from random import Random

from penstock.simulator import chance, dealings
from penstock.simulator.books import Books
from penstock.simulator.calendar import FOUNDED, OPENED
from penstock.simulator.currencies import DIGITS, rounded

FEWEST_RECORDS = 20
_CUSTOMER_SHARE, _INVOICE_SHARE, _PAYMENT_SHARE = 12, 36, 22
"""Percent of all records; bank accounts are one for each currency, transactions the rest."""


def live_through(books: Books, rng: Random, records: int) -> None:
    """Fill empty books with exactly `records` records. Raises ValueError below FEWEST_RECORDS."""
    if records < FEWEST_RECORDS:
        raise ValueError(f"a company has at least {FEWEST_RECORDS} records, not {records}")
    _open_accounts(books, rng)
    _win_customers(books, rng, max(3, records * _CUSTOMER_SHARE // 100))
    _issue_invoices(books, rng, records * _INVOICE_SHARE // 100)
    _receive_payments(books, rng, records * _PAYMENT_SHARE // 100)
    _spend(books, rng, records)


def _moment(position: int, of: int) -> datetime:
    """The position-th of `of` moments spread evenly over the half year, on a whole minute."""
    at = FOUNDED + (OPENED - FOUNDED) * position / of
    return at.replace(second=0, microsecond=0)


def _open_accounts(books: Books, rng: Random) -> None:
    for currency in DIGITS:
        account = chance.bank_account(rng, currency, FOUNDED)
        books.put(books.bank_accounts, account, FOUNDED)


def _win_customers(books: Books, rng: Random, count: int) -> None:
    for i in range(count):
        dealings.win_customer(books, rng, _moment(i, count))


def _issue_invoices(books: Books, rng: Random, count: int) -> None:
    customers = list(books.customers.values())
    for i in range(count):
        at = _moment(i, count)
        already_there = max(3, len(customers) * i // count)
        dealings.issue_invoice(books, rng, customers[rng.randrange(already_there)], at)


def _receive_payments(books: Books, rng: Random, count: int) -> None:
    """Old invoices are paid first, so that the open ones are the young ones."""
    for invoice in list(books.invoices.values()):
        if invoice.state != "open":
            continue
        issued = datetime.combine(invoice.issued, OPENED.timetz())
        for amount in _instalments(rng, invoice.total, invoice.currency):
            if len(books.payments) == count:
                return
            at = min(OPENED, issued + timedelta(minutes=rng.randint(60, 30 * 24 * 60)))
            state = rng.choices(("succeeded", "pending", "failed"), (94, 3, 3))[0]
            dealings.receive_payment(books, rng, invoice, amount, at=at, state=state)


def _instalments(rng: Random, total: Decimal, currency: str) -> tuple[Decimal, ...]:
    """Mostly one payment, sometimes two that add up to the total."""
    first = rounded(total / 3, currency)
    return (first, total - first) if rng.random() < 0.1 else (total,)


def _spend(books: Books, rng: Random, records: int) -> None:
    missing = records - len(books)
    for i in range(missing):
        dealings.spend(books, rng, _moment(i, missing))
