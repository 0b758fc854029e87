"""Draws: a random generator in, one plausible record out.

Every draw takes the generator as an argument and nothing else that varies, so a seed decides
everything. Names reach beyond ASCII and amounts beyond two digits because real ones do.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from decimal import Decimal
from random import Random

from penstock.simulator.bank import BankAccount, BankTransaction
from penstock.simulator.currencies import from_minor, rounded
from penstock.simulator.parties import Customer
from penstock.simulator.sales import Invoice, Line, Payment

_PLACES = (
    ("EUR", "DE", "Kiel", "24103", "Hafenstraße", "GmbH", ("19", "7")),
    ("EUR", "DE", "Köln", "50667", "Domgasse", "OHG", ("19", "7")),
    ("EUR", "FR", "Besançon", "25000", "rue des Granges", "SARL", ("20", "5.5")),
    ("GBP", "GB", "Bristol", "BS1 4DJ", "Queen Square", "Ltd", ("20", "0")),
    ("USD", "US", "Austin", "78701", "Congress Avenue", "Inc.", ("8.25",)),
    ("JPY", "JP", "大阪市", "530-0001", "梅田", "株式会社", ("10", "8")),
)
_WEIGHTS = (30, 20, 15, 15, 15, 5)
_NAMES = ("Nordlicht", "Kestrel", "Åkerblom", "Ferrum", "Oak & Sons", "Lumière", "Müller", "星野")
_TRADES = ("Optik", "Print", "Werkstatt", "Logistics", "Atelier", "Foods", "Marine", "Studio")
_GOODS = ("Consulting, hour", "Licence, month", "Lamp, 10 pieces", "Spare parts", "Freight")
_COSTS = ("Office rent", "Payroll", "Electricity", "Cloud servers", "Insurance", "Train tickets")
_CARD_FEE = Decimal("0.029")
_TAX_RATES = {country: rates for _, country, _, _, _, _, rates in _PLACES}


def customer(rng: Random, number: int, joined: datetime) -> Customer:
    """The second customer always pays in yen and the third is always sandbox data."""
    place = _PLACES[-1] if number == 2 else rng.choices(_PLACES, _WEIGHTS)[0]
    currency, country, city, postal_code, street, form, _ = place
    name = f"{rng.choice(_NAMES)} {rng.choice(_TRADES)} {number}"
    business = rng.random() < 0.85
    return Customer(
        id=f"cus_{number:06d}",
        name=f"{name} {form}" if business else name,
        email=f"accounts.{number}@customer.example",
        business=business,
        currency=currency,
        street=f"{street} {rng.randint(1, 180)}",
        city=city,
        postal_code=postal_code,
        country=country,
        vat_id=f"{country}{rng.randint(10**8, 10**9 - 1)}" if business else None,
        terms_days=rng.choice((0, 14, 30, 30, 60)),
        joined=joined,
        test=number == 3 or rng.random() < 0.015,
    )


def address(rng: Random) -> str:
    """A new street and number, for a customer who moves within the city."""
    return f"{rng.choice(('Mill Lane', 'Rosenweg', 'quai Vauban'))} {rng.randint(1, 99)}"


def bank_account(rng: Random, currency: str, opened: datetime) -> BankAccount:
    return BankAccount(
        id=f"acc_{currency.lower()}",
        label=f"{currency} operating account",
        currency=currency,
        ending=f"{rng.randint(0, 9999):04d}",
        opened=opened,
        balance=rounded(rng.randint(5_000, 50_000), currency),
        balance_at=opened,
    )


def invoice(rng: Random, number: int, customer: Customer, issued: datetime) -> Invoice:
    """A draft now and then, otherwise open; 1 to 4 lines."""
    invoice_id = f"inv_{number:06d}"
    return Invoice(
        id=invoice_id,
        number=f"{issued.year}-{number:06d}",
        customer=customer.id,
        state=rng.choices(("open", "draft", "void"), (92, 5, 3))[0],
        currency=customer.currency,
        issued=issued.date(),
        due=issued.date() + timedelta(days=customer.terms_days),
        lines=tuple(
            line(rng, f"{invoice_id}_{n}", customer) for n in range(1, rng.randint(1, 4) + 1)
        ),
        paid=rounded(0, customer.currency),
        test=customer.test,
    )


def line(rng: Random, line_id: str, customer: Customer) -> Line:
    currency = customer.currency
    price = from_minor(rng.randint(250, 90_000), currency)
    quantity = rng.randint(1, 12)
    discount = rounded(price * quantity / 20, currency) if rng.random() < 0.2 else Decimal(0)
    return Line(
        id=line_id,
        title=rng.choice(_GOODS),
        quantity=quantity,
        unit_price=price,
        discount=rounded(discount, currency),
        tax_rate=Decimal(rng.choice(_TAX_RATES[customer.country])),
    )


def payment(
    rng: Random, number: int, invoice: Invoice, amount: Decimal, *, received: datetime, state: str
) -> Payment:
    """Card payments bear a fee, bank transfers none."""
    method = rng.choice(("card", "transfer"))
    fee = amount * _CARD_FEE if method == "card" else Decimal(0)
    return Payment(
        id=f"pay_{number:06d}",
        customer=invoice.customer,
        invoice=invoice.id,
        state=state,
        currency=invoice.currency,
        amount=amount,
        fee=rounded(fee, invoice.currency),
        method=method,
        received=received,
        test=invoice.test,
    )


def cost(rng: Random, number: int, account: BankAccount, at: datetime) -> BankTransaction:
    """Money going out; a few are still pending."""
    text = rng.choice(_COSTS)
    return BankTransaction(
        id=f"txn_{number:06d}",
        account=account.id,
        state="pending" if rng.random() < 0.04 else "booked",
        currency=account.currency,
        amount=-from_minor(rng.randint(500, 400_000), account.currency),
        at=at,
        text=f"{text} {at:%B %Y}",
        counterparty=f"{text} supplier",
    )
