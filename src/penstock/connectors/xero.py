"""Xero's Accounting API: bank accounts, customers, sales invoices, their payments, bank rows.

One connection reads one organisation (Xero: tenant). `access_token` is a bearer token with the
scopes accounting.settings.read, accounting.contacts.read and accounting.transactions.read; Xero's
tokens live for 30 minutes, and renewing them by OAuth comes with a later release. Where a token
opens several organisations, the setting `tenant_id` says which one is meant.

What is left out is left out by a named rule, see KEPT: ledger accounts, contacts that never bought,
bills, and payments other than those for sales invoices. A contact that becomes a customer without
being edited is found by `run --full`.

Xero's bank rows hold money spent, received and transferred, but no invoice payments, so they do
not explain a bank account on their own; its `feed_mode` therefore stays at `none`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any

from penstock import (
    Account,
    Bearer,
    Connector,
    Context,
    PageNumber,
    Permissions,
    RouteRequest,
    Since,
    Stream,
    countries,
    money,
    times,
)

Record = dict[str, Any]
Payload = dict[str, Any]

API = "/api.xro/2.0"

xero = Connector(
    key="xero",
    name="Xero",
    provider="xero",
    version="0.1.0",
    base_url="{settings.base_url}",
    settings={
        "type": "object",
        "required": ["base_url", "access_token"],
        "properties": {
            "base_url": {"type": "string", "format": "uri", "default": "https://api.xero.com"},
            "tenant_id": {"type": "string", "minLength": 1},
            "access_token": {"type": "string", "x-secret": True},
        },
    },
    auth=Bearer(secret="access_token"),  # noqa: S106 - the name of a setting
    # A base_url on this machine is reached only by a connection made with --allow-loopback.
    permissions=Permissions(
        http=["https://api.xero.com/*", "{settings.base_url}/*"],
        documents={
            "bank_account": ["write"],
            "customer": ["write"],
            "invoice": ["write"],
            "payment": ["write"],
            "bank_transaction": ["write"],
        },
    ),
    streams=[
        Stream("accounts", mode="poll", schedule="0 * * * *"),
        Stream("contacts", mode="poll", schedule="*/15 * * * *"),
        Stream("invoices", mode="poll", schedule="*/15 * * * *"),
        Stream("payments", mode="poll", schedule="*/15 * * * *"),
        Stream("bank_transactions", mode="poll", schedule="0 * * * *"),
    ],
)

TENANT = {"Xero-tenant-id": "{account.id}"}
# https://developer.xero.com/documentation/api/accounting/requests-and-responses
PAGES = PageNumber(size_param="pageSize", size=100, pages="pagination.pageCount")
CHANGED = Since(header="If-Modified-Since", field="UpdatedDateUTC", format="%Y-%m-%dT%H:%M:%S")

# Every listing is asked for in the order of its ids. Records change while pages are read; in the
# order of their change one would move to the end and pull another over a page border unseen. Ids
# stay, nothing ever leaves a listing (voided and archived records remain), so a new record can only
# push others to a later page, where they are read twice.
CONTACTS = {"includeArchived": True, "summaryOnly": False, "order": "ContactID ASC"}
# unitdp: without it unit prices arrive rounded to two places.
INVOICES = {"includeArchived": True, "summaryOnly": False, "unitdp": 4, "order": "InvoiceID ASC"}
PAYMENTS = {"order": "PaymentID ASC"}
BANK_TRANSACTIONS = {"order": "BankTransactionID ASC"}

BANK_ACCOUNT_TYPE = {"BANK": "checking", "CREDITCARD": "credit_card", "PAYPAL": "processor_balance"}

# A status that is not listed goes on as it is: the contract refuses it, nobody guesses.
INVOICE_STATUS = {
    "DRAFT": "draft",
    "SUBMITTED": "draft",
    "AUTHORISED": "open",
    "PAID": "paid",
    "VOIDED": "void",
    "DELETED": "deleted",
}
APPROVAL = {
    "DRAFT": "draft",
    "SUBMITTED": "pending_approval",
    "AUTHORISED": "approved",
    "PAID": "approved",
}
PAYMENT_STATUS = {"AUTHORISED": "completed", "DELETED": "deleted"}
# The contract's bank rows are booked or gone; that Xero calls one voided stays in source_values.
TRANSACTION_STATUS = {"AUTHORISED": "posted", "DELETED": "deleted", "VOIDED": "deleted"}
DIRECTION = {"RECEIVE": 1, "SPEND": -1}
"""First word of a bank row's type to the sign of its amount; what follows (OVERPAYMENT, PREPAYMENT,
TRANSFER) says what the money was for, not where it went."""

TAX_KIND = {
    "AU": "gst",
    "NZ": "gst",
    "SG": "gst",
    "GB": "vat",
    "IE": "vat",
    "ZA": "vat",
    "US": "sales",
}
"""What the organisation's country calls its tax, for the countries of Xero's own editions.

Elsewhere it is `other`, which is flagged for a person, because posting looks at the kind.
"""

TERMS = {
    "DAYSAFTERBILLDATE": "{} days after the invoice date",
    "DAYSAFTERBILLMONTH": "{} days after the end of the invoice month",
    "OFCURRENTMONTH": "day {} of the invoice month",
    "OFFOLLOWINGMONTH": "day {} of the month after the invoice",
}
RATE_DIGITS = Decimal("1E-12")
"""A canonical decimal has at most twelve digits after its point."""


@xero.discover
def organisation(request: RouteRequest) -> list[Account]:
    """The organisations the token opens, told in full where it is one."""
    tenants = request.http.get("/connections").json()
    tenants = [tenant for tenant in tenants if tenant["tenantType"] == "ORGANISATION"]
    wanted = request.settings.get("tenant_id")
    chosen = [tenant for tenant in tenants if wanted in (None, tenant["tenantId"])]
    if wanted and not chosen:
        names = ", ".join(f"{t['tenantId']} ({t['tenantName']})" for t in tenants) or "none"
        raise ValueError(f"tenant_id {wanted} is no organisation of this token; it opens: {names}")
    if len(chosen) > 1:
        return [Account(tenant["tenantId"], tenant["tenantName"]) for tenant in chosen]
    return [described(request, tenant["tenantId"]) for tenant in chosen]


def described(request: RouteRequest, tenant_id: str) -> Account:
    answer = request.http.get(f"{API}/Organisation", headers={"Xero-tenant-id": tenant_id})
    (found,) = answer.json()["Organisations"]
    return Account(
        id=tenant_id,
        name=found["Name"],
        currency=found["BaseCurrency"],
        facts={
            "organisation_id": found["OrganisationID"],
            "country": found.get("CountryCode"),
            # A Windows zone in capitals (NEWZEALANDSTANDARDTIME), no IANA name; Xero's documents
            # carry calendar days, so nothing here needs to convert by it.
            "timezone": found.get("Timezone"),
        },
    )


# Which records are kept -------------------------------------------------------------------------


def is_bank_account(account: Record) -> bool:
    """BANK; the other types are accounts of the ledger alone."""
    return bool(account["Type"] == "BANK")


def is_customer(contact: Record) -> bool:
    """Xero sets the mark when a contact gets its first sales invoice, credit note or receipt."""
    return contact.get("IsCustomer") is True


def is_sale(invoice: Record) -> bool:
    """ACCREC; the other type, ACCPAY, is a bill from a supplier."""
    return bool(invoice["Type"] == "ACCREC")


def is_customer_payment(payment: Record) -> bool:
    """Money for a sales invoice; the other types pay bills, or pay credit back."""
    return bool(payment["PaymentType"] == "ACCRECPAYMENT")


KEPT: Mapping[str, Callable[[Record], bool]] = {
    "accounts": is_bank_account,
    "contacts": is_customer,
    "invoices": is_sale,
    "payments": is_customer_payment,
}
"""Stream to the rule its records must meet, else they are filtered. Bank rows are kept, all."""


# Bank accounts ----------------------------------------------------------------------------------


@xero.collection(
    "accounts",
    path=f"{API}/Accounts",
    headers=TENANT,
    records="Accounts",
    id="AccountID",
    since=CHANGED,
    document="bank_account",
)
def bank_account(record: Record) -> Payload | None:
    """In Xero a bank account is an account of the ledger, so both have one id."""
    if not is_bank_account(record):
        return None
    number = "".join(filter(str.isalnum, record.get("BankAccountNumber") or ""))
    return {
        "bank_account_id": record["AccountID"],
        "name": record["Name"],
        "currency": record.get("CurrencyCode"),
        "account_type": BANK_ACCOUNT_TYPE.get(record.get("BankAccountType", "BANK"), "other"),
        "account_id": record["AccountID"],
        "account_code": record.get("Code"),
        "mask": number[-4:],
        "active": record.get("Status", "ACTIVE") == "ACTIVE",
        "source_updated_at": updated(record),
    }


# Customers --------------------------------------------------------------------------------------


@xero.collection(
    "contacts",
    path=f"{API}/Contacts",
    params=CONTACTS,
    headers=TENANT,
    records="Contacts",
    id="ContactID",
    pages=PAGES,
    since=CHANGED,
    document="customer",
)
def customer(record: Record) -> Payload | None:
    if not is_customer(record):
        return None
    status = record.get("ContactStatus", "ACTIVE")
    return {
        "customer_id": record["ContactID"],
        "name": record["Name"],
        "email": record.get("EmailAddress"),
        "phone": phone(record, "DEFAULT"),
        "active": status == "ACTIVE",
        "erasure_requested": status == "GDPRREQUEST",
        "merged_into_id": record.get("MergedToContactID"),
        "currency": record.get("DefaultCurrency"),
        "tax_ids": [{"value": record["TaxNumber"]}] if record.get("TaxNumber") else [],
        "address": address(record, "STREET"),
        "billing_address": address(record, "POBOX"),
        "contacts": people(record),
        "category_ids": [group["ContactGroupID"] for group in record.get("ContactGroups") or ()],
        **payment_terms(record),
        "metadata": {
            "contact_number": record.get("ContactNumber"),
            "account_number": record.get("AccountNumber"),
            "company_number": record.get("CompanyNumber"),
        },
        "source_updated_at": updated(record),
    }


def phone(record: Record, kind: str) -> str | None:
    for found in record.get("Phones") or ():
        if found.get("PhoneType") == kind and found.get("PhoneNumber"):
            parts = (found.get(f"Phone{part}") for part in ("CountryCode", "AreaCode", "Number"))
            return " ".join(part for part in parts if part)
    return None


def address(record: Record, kind: str) -> Payload | None:
    """The address of that kind. Xero's country is free text: a code is one, the rest stays text."""
    for found in record.get("Addresses") or ():
        if found.get("AddressType") == kind:
            country = found.get("Country")
            code = countries.code(country)
            last = (found.get("AddressLine3"), found.get("AddressLine4"))
            return {
                "line1": found.get("AddressLine1"),
                "line2": found.get("AddressLine2"),
                "line3": ", ".join(line for line in last if line),
                "city": found.get("City"),
                "region": found.get("Region"),
                "postal_code": found.get("PostalCode"),
                "country": code,
                "text": None if code else country,
            }
    return None


def people(record: Record) -> list[Payload]:
    """The primary person with the direct phones, then the others."""
    first = {**person(record), "phone": phone(record, "MOBILE") or phone(record, "DDI")}
    others = [person(other) for other in record.get("ContactPersons") or ()]
    named = [first] if first["name"] or first["phone"] else []
    return named + [other for other in others if any(other.values())]


def person(record: Record) -> Payload:
    names = (record.get("FirstName"), record.get("LastName"))
    return {
        "name": " ".join(name for name in names if name),
        "email": record.get("EmailAddress"),
    }


def payment_terms(record: Record) -> Payload:
    """Sales terms as a sentence, and as net days where they are that."""
    terms = (record.get("PaymentTerms") or {}).get("Sales") or {}
    if terms.get("Type") not in TERMS:
        return {}
    days = terms["Day"] if terms["Type"] == "DAYSAFTERBILLDATE" else None
    return {
        "payment_terms": TERMS[terms["Type"]].format(terms["Day"]),
        "payment_terms_days": days,
    }


# Sales invoices ---------------------------------------------------------------------------------


@xero.collection(
    "invoices",
    path=f"{API}/Invoices",
    params=INVOICES,
    headers=TENANT,
    records="Invoices",
    id="InvoiceID",
    pages=PAGES,
    since=CHANGED,
    document="invoice",
)
def invoice(record: Record, context: Context) -> Payload | None:
    if not is_sale(record):
        return None
    contact = record.get("Contact") or {}
    currency, on = record.get("CurrencyCode"), day(record, "Date")
    rate = foreign_rate(record, currency, context)
    return {
        "invoice_id": record["InvoiceID"],
        "customer_id": contact.get("ContactID"),
        "customer_name": contact.get("Name"),
        "document_number": record.get("InvoiceNumber"),
        "status": invoice_status(record),
        "approval_status": APPROVAL.get(record["Status"]),
        "currency": currency,
        "fx": fx(rate, currency, context, on),
        "document_date": on,
        "due_date": day(record, "DueDate"),
        "memo": record.get("Reference"),
        # SubTotal is without tax whatever LineAmountTypes says; line discounts are in it already.
        "subtotal": amount(record.get("SubTotal")),
        "tax_amount": amount(record.get("TotalTax")),
        "total_amount": amount(record.get("Total")),
        "prices_include_tax": {"Inclusive": True, "Exclusive": False}.get(
            record.get("LineAmountTypes", "")
        ),
        # https://developer.xero.com/documentation/api-guides/rounding-in-xero
        "tax_rounding": "per_line",
        "line_items": [
            invoice_line(line, record, tax_kind(context)) for line in record.get("LineItems") or ()
        ],
        "reported_amount_due": amount(record.get("AmountDue")),
        "reported_amount_paid": amount(record.get("AmountPaid")),
        "source_updated_at": updated(record),
        "source_values": {"xero": {"CurrencyRate": amount(rate)}},
    }


def invoice_status(record: Record) -> str:
    status: str = record["Status"]
    if status == "AUTHORISED" and (record.get("AmountPaid") or record.get("AmountCredited")):
        return "partially_paid"
    return INVOICE_STATUS.get(status, status)


def invoice_line(line: Record, invoice: Record, kind: str) -> Payload:
    common = {
        "line_ref": line.get("LineItemID"),
        "description": line.get("Description"),
        "dimensions": {option["Name"]: option["Option"] for option in line.get("Tracking") or ()},
    }
    if is_text_only(line):
        return {**common, "line_type": "description", "amount": "0"}
    inclusive = invoice.get("LineAmountTypes") == "Inclusive"
    net = net_amount(line, inclusive)
    return {
        **common,
        "account_id": line.get("AccountID"),
        "account_code": line.get("AccountCode"),
        "quantity": amount(line.get("Quantity")),
        # The contract's price and discount are without tax, and Xero's are not where tax is
        # included; the quotient would seldom be exact, so they are left out there.
        "unit_price": None if inclusive else amount(line.get("UnitAmount")),
        "discount_amount": None if inclusive else discount(line, invoice["CurrencyCode"]),
        "amount": amount(net),
        "tax_lines": line_tax(line, net, kind),
    }


def is_text_only(line: Record) -> bool:
    """A remark between the lines: Xero books nothing for it."""
    return not any(line.get(name) for name in ("AccountCode", "AccountID", "LineAmount"))


def net_amount(line: Record, inclusive: bool) -> Decimal | None:
    """LineAmount is after discount, and holds its tax on an invoice with inclusive prices."""
    if line.get("LineAmount") is None:
        return None
    return Decimal(line["LineAmount"]) - (Decimal(line.get("TaxAmount") or 0) if inclusive else 0)


def discount(line: Record, currency: str) -> str | None:
    """What LineAmount is below quantity times price; Xero states it as an amount or as a rate."""
    if line.get("DiscountAmount"):
        return money.amount(line["DiscountAmount"])
    if not line.get("DiscountRate"):
        return None
    smallest_unit = Decimal(money.minor(1, currency))
    listed = (Decimal(line["Quantity"]) * Decimal(line["UnitAmount"])).quantize(smallest_unit)
    return money.amount(max(listed - Decimal(line["LineAmount"]), Decimal(0)))


def line_tax(line: Record, net: Decimal | None, kind: str) -> list[Payload]:
    tax = line.get("TaxAmount") or 0
    if not tax and line.get("TaxType") in (None, "", "NONE"):
        return []
    return [
        {
            "name": line.get("TaxType"),
            "tax_kind": kind,
            "taxable_amount": amount(net),
            "tax_amount": amount(tax),
        }
    ]


def tax_kind(context: Context) -> str:
    return TAX_KIND.get(context.facts.get("country") or "", "other")


# Money in and out -------------------------------------------------------------------------------


@xero.collection(
    "payments",
    path=f"{API}/Payments",
    params=PAYMENTS,
    headers=TENANT,
    records="Payments",
    id="PaymentID",
    pages=PAGES,
    since=CHANGED,
    document="payment",
)
def payment(record: Record, context: Context) -> Payload | None:
    """A payment of Xero pays one invoice; what is paid too much is an overpayment there."""
    if not is_customer_payment(record):
        return None
    paid, deposit = record.get("Invoice") or {}, record.get("Account") or {}
    currency, on = paid.get("CurrencyCode"), day(record, "Date")
    rate = foreign_rate(record, currency, context)
    received = amount(record.get("Amount"))
    return {
        "payment_id": record["PaymentID"],
        "customer_id": (paid.get("Contact") or {}).get("ContactID"),
        "status": PAYMENT_STATUS.get(record["Status"], record["Status"]),
        "currency": currency,
        "fx": fx(rate, currency, context, on),
        "amount": received,
        "payment_date": on,
        "allocations": [{"invoice_id": paid.get("InvoiceID"), "amount": received}],
        "deposit_to_account_id": deposit.get("AccountID"),
        "deposit_to_account_code": deposit.get("Code"),
        "memo": record.get("Reference"),
        "source_updated_at": updated(record),
        # A batch is one row on the bank statement; its id is what these payments have in common.
        "source_values": {
            "xero": {"CurrencyRate": amount(rate), "BatchPaymentID": record.get("BatchPaymentID")}
        },
    }


@xero.collection(
    "bank_transactions",
    path=f"{API}/BankTransactions",
    params=BANK_TRANSACTIONS,
    headers=TENANT,
    records="BankTransactions",
    id="BankTransactionID",
    pages=PAGES,
    since=CHANGED,
    document="bank_transaction",
)
def bank_transaction(record: Record, context: Context) -> Payload:
    currency, on = record.get("CurrencyCode"), day(record, "Date")
    rate = foreign_rate(record, currency, context)
    return {
        "transaction_id": record["BankTransactionID"],
        "bank_account_id": (record.get("BankAccount") or {}).get("AccountID"),
        "status": TRANSACTION_STATUS.get(record["Status"], record["Status"]),
        "currency": currency,
        "fx": fx(rate, currency, context, on),
        "amount": movement(record),
        "transaction_date": on,
        "counterparty_name": (record.get("Contact") or {}).get("Name"),
        "reference_number": record.get("Reference"),
        "source_updated_at": updated(record),
        "source_values": {
            "xero": {
                "Type": record["Type"],
                "Status": "VOIDED" if record["Status"] == "VOIDED" else None,
                "CurrencyRate": amount(rate),
            }
        },
    }


def movement(record: Record) -> str | None:
    """Total with its sign; a type with another first word is a KeyError, so a dead letter."""
    sign = DIRECTION[record["Type"].partition("-")[0]]
    return None if record.get("Total") is None else money.amount(sign * Decimal(record["Total"]))


# What several of them share ---------------------------------------------------------------------


def amount(value: int | Decimal | None) -> str | None:
    """Xero writes amounts as JSON numbers, which arrive here with all their digits."""
    return None if value is None else money.amount(value)


def updated(record: Record) -> str | None:
    mark = record.get("UpdatedDateUTC")
    return times.instant(mark) if mark else None


def day(record: Record, name: str) -> str | None:
    """A calendar day: as text where Xero prints it so, else behind midnight UTC of that day."""
    value = record.get(f"{name}String") or record.get(name)
    return times.date(value) if value else None


def foreign_rate(record: Record, currency: str | None, context: Context) -> Decimal | None:
    """CurrencyRate as stated, where the document is not in the organisation's own currency."""
    home = context.account.currency if context.account else None
    rate = record.get("CurrencyRate")
    return Decimal(rate) if rate and home and currency != home else None


def fx(
    rate: Decimal | None, currency: str | None, context: Context, on: str | None
) -> Payload | None:
    """Xero's rate turned round.

    Xero states units of the document's currency for one unit of the organisation's: the quote in
    its own example of GET /Quotes/{QuoteID} (Xero-OpenAPI 16.1.0) is in NZD, of 2020-02-01, and
    has 1.547150; on that day one US dollar was 1.547 NZD. The contract wants the other direction.

    The quotient is rounded half-even to the twelve digits a decimal can hold. So it is off by at
    most 5E-13, and an amount must pass ten billion before its converted value moves by half a
    cent; without a rate every foreign document would wait for a person. What Xero stated is kept
    in source_values.
    """
    if rate is None:
        return None
    return {
        "from_currency": currency,
        "to_currency": context.account.currency if context.account else None,
        "rate": money.amount((1 / rate).quantize(RATE_DIGITS)),
        "as_of": on,
    }
