"""What a company does: win customers, issue invoices, receive payments, spend money.

Each verb draws what is left to chance and puts everything it moves into the books, so a payment
also changes its invoice, reaches the bank and moves the balance.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from decimal import Decimal
from random import Random

from penstock.simulator import chance
from penstock.simulator.bank import BankTransaction
from penstock.simulator.books import Books
from penstock.simulator.parties import Customer
from penstock.simulator.sales import Invoice, Payment


def win_customer(books: Books, rng: Random, at: datetime) -> Customer:
    number = len(books.customers) + 1
    return books.put(books.customers, chance.customer(rng, number, at), at)


def issue_invoice(books: Books, rng: Random, customer: Customer, at: datetime) -> Invoice:
    number = len(books.invoices) + 1
    return books.put(books.invoices, chance.invoice(rng, number, customer, at), at)


def receive_payment(
    books: Books, rng: Random, invoice: Invoice, amount: Decimal, *, at: datetime, state: str
) -> Payment:
    """state: pending, succeeded or failed; only money that came moves invoice and bank."""
    number = len(books.payments) + 1
    payment = chance.payment(rng, number, invoice, amount, received=at, state=state)
    books.put(books.payments, payment, at)
    if state == "succeeded":
        _credit(books, payment, at)
    return payment


def settle_payment(books: Books, payment: Payment, at: datetime, state: str) -> None:
    """A pending payment becomes succeeded or failed."""
    settled = books.put(books.payments, replace(payment, state=state), at)
    if state == "succeeded":
        _credit(books, settled, at)


def spend(books: Books, rng: Random, at: datetime) -> BankTransaction:
    account = rng.choice(list(books.bank_accounts.values()))
    number = len(books.bank_transactions) + 1
    transaction = chance.cost(rng, number, account, at)
    _record_transaction(books, transaction, at)
    return transaction


def book_pending(books: Books, transaction: BankTransaction, at: datetime) -> None:
    """A pending bank transaction is booked, on the day it happens."""
    _record_transaction(books, replace(transaction, state="booked", at=at), at)


def _credit(books: Books, payment: Payment, at: datetime) -> None:
    invoice = books.invoices[payment.invoice]
    paid = invoice.paid + payment.amount
    state = "paid" if paid >= invoice.total else "part_paid"
    books.put(books.invoices, replace(invoice, paid=paid, state=state), at)
    if not payment.test:
        _record_transaction(books, _receipt(books, payment, at), at)


def _receipt(books: Books, payment: Payment, at: datetime) -> BankTransaction:
    number = len(books.bank_transactions) + 1
    return BankTransaction(
        id=f"txn_{number:06d}",
        account=books.account_for(payment.currency).id,
        state="booked",
        currency=payment.currency,
        amount=payment.amount - payment.fee,
        at=at,
        text=f"Payment {payment.id} for {payment.invoice}",
        counterparty=books.customers[payment.customer].name,
    )


def _record_transaction(books: Books, transaction: BankTransaction, at: datetime) -> None:
    books.put(books.bank_transactions, transaction, at)
    if transaction.state == "booked":
        account = books.bank_accounts[transaction.account]
        books.put(
            books.bank_accounts,
            replace(
                account,
                balance=account.balance + transaction.amount,
                balance_at=max(account.balance_at, transaction.at),
            ),
            at,
        )
