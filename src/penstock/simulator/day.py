"""One more day: what changes between two visits of a reader."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime
from random import Random

from penstock.simulator import chance, dealings
from penstock.simulator.books import Books, Free
from penstock.simulator.record import R
from penstock.simulator.sales import Invoice

_ONE_IN = 100
"""Of every kind about one record in so many is new, and about as many are edited."""


def live(books: Books, rng: Random, now: datetime, free: Free) -> None:
    """Let one day pass that ends at `now`; only records that are `free` are edited."""
    _pending_settles(books, rng, now, free)
    _customers_move(books, rng, now, free)
    _invoices_change(books, rng, now, free)
    _payments_come(books, rng, now, free)
    _business_goes_on(books, rng, now)


def few(rng: Random, candidates: Iterable[R], of: int) -> list[R]:
    """At least one of the candidates where there is any, about one for every hundred of `of`."""
    chosen_from = list(candidates)
    return rng.sample(chosen_from, min(len(chosen_from), _part(of)))


def _part(of: int) -> int:
    return max(1, of // _ONE_IN)


def _pending_settles(books: Books, rng: Random, now: datetime, free: Free) -> None:
    payments = [
        p
        for p in books.payments.values()
        if p.state == "pending" and free(p) and _takes_payments(books.invoices[p.invoice], free)
    ]
    for payment in few(rng, payments, len(books.payments)):
        state = "succeeded" if rng.random() < 0.8 else "failed"
        dealings.settle_payment(books, payment, now, state)
    transactions = [t for t in books.bank_transactions.values() if t.state == "pending" and free(t)]
    for transaction in few(rng, transactions, len(books.bank_transactions)):
        dealings.book_pending(books, transaction, now)


def _customers_move(books: Books, rng: Random, now: datetime, free: Free) -> None:
    for customer in few(rng, filter(free, books.customers.values()), len(books.customers)):
        books.put(books.customers, replace(customer, street=chance.address(rng)), now)


def _invoices_change(books: Books, rng: Random, now: datetime, free: Free) -> None:
    """Some unpaid invoices get one line more, drafts are sent with it, and one is cancelled."""
    unpaid = [
        i
        for i in books.invoices.values()
        if i.state in ("open", "draft") and not i.paid and free(i)
    ]
    chosen = rng.sample(unpaid, min(len(unpaid), 1 + _part(len(books.invoices))))
    for invoice in chosen[1:]:
        customer = books.customers[invoice.customer]
        line = chance.line(rng, f"{invoice.id}_{len(invoice.lines) + 1}", customer)
        longer = replace(invoice, state="open", lines=(*invoice.lines, line))
        books.put(books.invoices, longer, now)
    for invoice in chosen[:1]:
        books.put(books.invoices, replace(invoice, state="void"), now)


def _payments_come(books: Books, rng: Random, now: datetime, free: Free) -> None:
    payable = [i for i in books.invoices.values() if _takes_payments(i, free)]
    for invoice in few(rng, payable, len(books.payments)):
        due = invoice.total - invoice.paid
        state = rng.choices(("succeeded", "pending"), (90, 10))[0]
        dealings.receive_payment(books, rng, invoice, due, at=now, state=state)


def _takes_payments(invoice: Invoice, free: Free) -> bool:
    return invoice.state in ("open", "part_paid") and free(invoice)


def _business_goes_on(books: Books, rng: Random, now: datetime) -> None:
    for _ in range(_part(len(books.customers))):
        dealings.win_customer(books, rng, now)
    customers = list(books.customers.values())
    for _ in range(_part(len(books.invoices))):
        dealings.issue_invoice(books, rng, rng.choice(customers), now)
    for _ in range(_part(len(books.bank_transactions))):
        dealings.spend(books, rng, now)
