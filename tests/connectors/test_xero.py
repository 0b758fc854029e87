"""Xero: one joinery's books, pulled over loopback through the whole pipeline."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from penstock import Account, Context
from penstock.app import App, check
from penstock.config import Settings
from penstock.connectors import xero
from penstock.errors import (
    EgressDeniedError,
    RouteFailedError,
    SettingsError,
    UpstreamError,
)
from penstock.model.outcome import Counters
from tests.database import url_in

from .serving import IDS, TENANT, TOKEN, Books, served

FIXTURES = Path(__file__).parent / "xero"
KEY = b64encode(bytes(32)).decode()
OTHER = "22222222-3333-4444-8555-666666666666"


@dataclass
class Desk:
    """A workspace connected to the books."""

    app: App
    books: Books

    def run(self, *, full: bool = False) -> dict[str, Counters]:
        reports = self.app.run("books", full=full)
        assert {report.stream: report.message for report in reports if report.failed} == {}
        assert all(report.counters.balanced for report in reports)
        return {report.stream: report.counters for report in reports}

    def payload(self, document_type: str, source_id: str) -> dict[str, Any]:
        return self.story(document_type, source_id).payload

    def story(self, document_type: str, source_id: str) -> Any:
        return self.app.read.document(source_id, document_type).document

    def ids(self, document_type: str) -> set[str]:
        return {view.source_id for view in self.app.read.documents(document_type).items}


@pytest.fixture
def books() -> Books:
    return Books.read(FIXTURES)


@pytest.fixture
def app(backend: str, tmp_path: Path) -> Iterator[App]:
    with App.open(Settings(database=url_in(tmp_path), master_key=KEY)) as opened:
        yield opened


@pytest.fixture
def desk(app: App, books: Books) -> Iterator[Desk]:
    with served(books) as url:
        connect(app, url)
        yield Desk(app, books)


def connect(app: App, url: str, token: str = TOKEN, **settings: str) -> Any:
    return app.connect(
        "xero",
        "books",
        {"base_url": url, **settings},
        {"access_token": token},
        allow_loopback=True,
    )


def context(home: str | None = "NZD", country: str = "NZ") -> Context:
    facts = {"country": country}
    account = Account(TENANT, "Kowhai Joinery Ltd", currency=home, facts=facts)
    return Context(account, facts, {}, datetime(2026, 3, 9, tzinfo=UTC))


def test_the_declaration_has_no_findings():
    assert check("xero") == []


# The organisation -------------------------------------------------------------------------------


def test_a_connection_belongs_to_the_one_organisation_of_its_token(app, books):
    with served(books) as url:
        account = connect(app, url).account
    assert account == Account(
        id=TENANT,
        name="Kowhai Joinery Ltd",
        currency="NZD",
        facts={
            "organisation_id": "b2c885a9-0001-4a00-9b6e-6c2bf60b1a2b",
            "country": "NZ",
            "timezone": "NEWZEALANDSTANDARDTIME",
        },
    )


def test_of_several_organisations_the_setting_names_one(app, books):
    books.tenants.append({**books.tenants[0], "tenantId": OTHER, "tenantName": "Second Ltd"})
    with served(books) as url:
        with pytest.raises(SettingsError, match=rf"2 accounts: {TENANT}.*{OTHER} \(Second Ltd\)"):
            connect(app, url)
        assert connect(app, url, tenant_id=TENANT).account.id == TENANT


def test_an_organisation_the_token_does_not_open_is_refused_by_name(app, books):
    with (
        served(books) as url,
        pytest.raises(RouteFailedError, match=rf"it opens: {TENANT} \(Kowhai Joinery\)"),
    ):
        connect(app, url, tenant_id=OTHER)


def test_an_expired_token_stops_the_connection(app, books):
    with served(books) as url, pytest.raises(UpstreamError) as caught:
        connect(app, url, token="expired-token")
    assert caught.value.status == 401


def test_this_machine_is_reached_only_when_the_connection_says_so(app, books):
    with served(books) as url, pytest.raises(EgressDeniedError, match="--allow-loopback"):
        app.connect("xero", "books", {"base_url": url}, {"access_token": TOKEN})
    assert books.asked == []


# One run ----------------------------------------------------------------------------------------


def test_every_record_becomes_a_document_a_dead_letter_or_is_filtered_by_name(desk):
    counts = desk.run()
    told = {s: (c.fetched, c.created, c.filtered, c.set_aside) for s, c in counts.items()}
    assert told == {
        "accounts": (3, 2, 1, 0),
        "contacts": (3, 2, 1, 0),
        "invoices": (7, 5, 1, 1),
        "payments": (4, 2, 2, 0),
        "bank_transactions": (6, 5, 0, 1),
    }
    filtered = {
        (rule.__name__, record[IDS[stream.title()]])
        for stream, rule in xero.KEPT.items()
        for record in desk.books.records[stream.title()]
        if not rule(record)
    }
    assert filtered == {
        ("is_bank_account", "acc-sales"),
        ("is_customer", "con-timber"),
        ("is_sale", "bill-1"),
        ("is_customer_payment", "pay-bill"),
        ("is_customer_payment", "pay-refund"),
    }
    assert desk.ids("invoice").isdisjoint({"bill-1", "inv-crooked"})


def test_dead_letters_say_what_is_wrong(desk):
    desk.run()
    letters = {letter.idempotency_key: letter for letter in desk.app.read.letters().items}
    assert set(letters) == {"xero:invoice:inv-crooked", "xero:bank_transaction:txn-odd"}
    crooked = letters["xero:invoice:inv-crooked"]
    assert crooked.reason == "totals_mismatch"
    assert {error["path"] for error in crooked.errors} == {"/subtotal"}
    assert letters["xero:bank_transaction:txn-odd"].reason == "mapping_error"
    assert "'REVALUE'" in letters["xero:bank_transaction:txn-odd"].message


def test_every_request_names_the_organisation_and_asks_for_whole_records(desk):
    desk.run()
    asked = {a.path.rpartition("/")[2]: a for a in desk.books.asked if a.path != "/connections"}
    assert all(a.headers["xero-tenant-id"] == TENANT for a in asked.values())
    assert all(a.headers["accept"] == "application/json" for a in asked.values())
    assert asked["Invoices"].query == {
        "page": "1",
        "pageSize": "100",
        "order": "InvoiceID ASC",
        "unitdp": "4",
        "summaryOnly": "false",
        "includeArchived": "true",
    }


def test_pages_are_read_to_the_last(desk):
    template = desk.books.records["Contacts"][0]
    desk.books.records["Contacts"] = [
        {**template, "ContactID": f"con-{number:03}"} for number in range(200)
    ]
    counts = desk.run()["contacts"]
    assert (counts.pages, counts.fetched, counts.created) == (2, 200, 200)


# The documents ----------------------------------------------------------------------------------


def test_a_customer_with_how_to_reach_them(desk):
    desk.run()
    assert desk.payload("customer", "con-ridgeway") == {
        "customer_id": "con-ridgeway",
        "name": "Ridgeway Homes",
        "email": "accounts@ridgeway.example",
        "phone": "64 3 555 0100",
        "currency": "NZD",
        "tax_ids": [{"value": "071-138-054"}],
        "address": {"line1": "4 Quay St", "city": "Nelson", "country": "NZ"},
        "billing_address": {
            "line1": "PO Box 9",
            "line3": "Stoke, Mail Centre",
            "city": "Nelson",
            "postal_code": "7011",
            "text": "New Zealand",
        },
        "contacts": [
            {"name": "Mere Tane", "email": "accounts@ridgeway.example", "phone": "021 555 011"},
            {"name": "Jo Low", "email": "jo@ridgeway.example"},
        ],
        "payment_terms": "20 days after the invoice date",
        "payment_terms_days": 20,
        "category_ids": ["grp-trade"],
        "metadata": {"contact_number": "R-17"},
        "source_updated_at": "2026-02-26T10:00:00Z",
    }


def test_an_archived_customer_stays_known_with_its_survivor(desk):
    desk.run()
    assert desk.payload("customer", "con-old") == {
        "customer_id": "con-old",
        "name": "Ridgeway Homes (old)",
        "active": False,
        "merged_into_id": "con-ridgeway",
        "source_updated_at": "2026-02-26T10:00:01Z",
    }


def test_an_invoice_with_discount_tax_and_a_remark(desk):
    desk.run()
    found = desk.payload("invoice", "inv-2001")
    assert [line.pop("line_ref") for line in found["line_items"]] == ["lin-1", "lin-2", "lin-3"]
    assert found == {
        "invoice_id": "inv-2001",
        "customer_id": "con-ridgeway",
        "customer_name": "Ridgeway Homes",
        "document_number": "INV-2001",
        "memo": "PO 88",
        "status": "partially_paid",
        "approval_status": "approved",
        "currency": "NZD",
        "document_date": "2026-03-02",
        "due_date": "2026-03-22",
        "subtotal": "489.50",
        "tax_amount": "73.43",
        "total_amount": "562.93",
        "reported_amount_due": "262.93",
        "reported_amount_paid": "300.00",
        "prices_include_tax": False,
        "tax_rounding": "per_line",
        "line_items": [
            {
                "description": "Oak shelf",
                "quantity": "10",
                "unit_price": "45.5",
                "discount_amount": "45.50",
                "amount": "409.50",
                "account_id": "acc-sales",
                "account_code": "200",
                "dimensions": {"Region": "South"},
                "tax_lines": [tax("409.50", "61.43")],
            },
            {
                "description": "Delivery",
                "quantity": "1",
                "unit_price": "80",
                "amount": "80.00",
                "account_code": "260",
                "tax_lines": [tax("80.00", "12.00")],
            },
            {
                "description": "Delivered to the site office",
                "line_type": "description",
                "amount": "0.00",
            },
        ],
        "source_updated_at": "2026-03-03T01:06:40Z",
    }


def test_prices_with_tax_become_net_lines(desk):
    desk.run()
    found = desk.payload("invoice", "inv-2002")
    assert (found["subtotal"], found["tax_amount"], found["total_amount"]) == (
        "230.00",
        "34.50",
        "264.50",
    )
    assert found["prices_include_tax"] is True
    assert found["status"] == "paid"
    assert found["document_date"] == "2026-03-03"
    assert [(line["amount"], line["tax_lines"]) for line in found["line_items"]] == [
        ("200.00", [tax("200.00", "30.00")]),
        ("30.00", [tax("30.00", "4.50")]),
    ]
    assert all("unit_price" not in line for line in found["line_items"])


def test_a_foreign_invoice_carries_its_rate_the_contracts_way_round(desk):
    desk.run()
    found = desk.payload("invoice", "inv-2003")
    # 0.64 US dollars for one New Zealand dollar: 1,200 USD are 1,875 NZD, not 768.
    assert found["fx"] == {
        "from_currency": "USD",
        "to_currency": "NZD",
        "rate": "1.5625",
        "as_of": "2026-03-04",
    }
    assert Decimal(found["total_amount"]) * Decimal(found["fx"]["rate"]) == 1875
    assert found["source_values"] == {"xero": {"CurrencyRate": "0.640000"}}
    assert found["status"] == "open"
    assert "tax_lines" not in found["line_items"][0]


@pytest.mark.parametrize(
    ("source_id", "status", "lifecycle"),
    [("inv-draft", "draft", "draft"), ("inv-deleted", "deleted", "deleted")],
)
def test_invoices_that_are_not_in_force(desk, source_id, status, lifecycle):
    desk.run()
    story = desk.story("invoice", source_id)
    assert (story.status, story.lifecycle) == (status, lifecycle)


def test_a_payment_settles_its_invoice(desk):
    desk.run()
    assert desk.payload("payment", "pay-1") == {
        "payment_id": "pay-1",
        "customer_id": "con-ridgeway",
        "status": "completed",
        "currency": "NZD",
        "amount": "300.00",
        "payment_date": "2026-03-05",
        "allocations": [{"invoice_id": "inv-2001", "amount": "300.00"}],
        "deposit_to_account_id": "acc-cheque",
        "deposit_to_account_code": "090",
        "memo": "Part payment",
        "source_values": {"xero": {"BatchPaymentID": "bat-1"}},
        "source_updated_at": "2026-03-05T08:40:00Z",
    }
    removed = desk.story("payment", "pay-2")
    assert (removed.status, removed.lifecycle) == ("deleted", "deleted")
    assert removed.payload["fx"]["rate"] == "1.538461538462"


def test_bank_rows_have_the_account_holders_sign(desk):
    desk.run()
    rows = {
        row.source_id: (row.payload["amount"], row.lifecycle, row.payload["bank_account_id"])
        for row in desk.app.read.documents("bank_transaction").items
    }
    assert rows == {
        "txn-in": ("57.50", "open", "acc-cheque"),
        "txn-out": ("-12.00", "open", "acc-cheque"),
        "txn-from": ("-400.00", "open", "acc-cheque"),
        "txn-to": ("400.00", "open", "acc-card"),
        "txn-voided": ("-9.99", "deleted", "acc-cheque"),
    }
    voided = desk.payload("bank_transaction", "txn-voided")
    assert voided["source_values"] == {"xero": {"Status": "VOIDED", "Type": "SPEND"}}


def test_a_bank_account_shows_four_digits_of_its_number(desk):
    desk.run()
    assert desk.payload("bank_account", "acc-cheque") == {
        "bank_account_id": "acc-cheque",
        "name": "Business Cheque",
        "currency": "NZD",
        "account_id": "acc-cheque",
        "account_code": "090",
        "mask": "9000",
        "source_updated_at": "2026-02-25T06:13:20Z",
    }
    card = desk.payload("bank_account", "acc-card")
    assert (card["account_type"], card["active"]) == ("credit_card", False)


def tax(taxable: str, tax_amount: str) -> dict[str, str]:
    return {
        "name": "OUTPUT2",
        "tax_kind": "gst",
        "taxable_amount": taxable,
        "tax_amount": tax_amount,
    }


# The next run -----------------------------------------------------------------------------------


def test_a_second_full_run_changes_nothing(desk):
    first = desk.run()
    second = desk.run(full=True)
    for stream, counts in second.items():
        assert counts.fetched == first[stream].fetched
        assert counts.unchanged == first[stream].created
        assert (counts.created, counts.updated, counts.stale) == (0, 0, 0)


def test_the_second_run_asks_for_changes_only(desk):
    desk.run()
    assert all("if-modified-since" not in asked.headers for asked in desk.books.asked)
    counts = desk.run()["invoices"]
    # The newest invoice is of 06:40:00.5; the bound is cut to the second, so it comes once more.
    asked = desk.books.last_asked("Invoices")
    assert asked.headers["if-modified-since"] == "2026-03-03T06:40:00"
    assert (counts.fetched, counts.unchanged) == (1, 1)


def test_voiding_an_invoice_is_its_next_version(desk):
    desk.run()
    desk.books.change(
        "Invoices",
        "inv-2003",
        Status="VOIDED",
        AmountDue=Decimal("0.00"),
        LineItems=[],
        UpdatedDateUTC="/Date(1772900000000+0000)/",
    )
    counts = desk.run()["invoices"]
    assert (counts.fetched, counts.updated) == (1, 1)
    story = desk.story("invoice", "inv-2003")
    assert (story.version, story.status, story.lifecycle) == (2, "void", "void")
    assert story.payload["total_amount"] == "1200.00"


def test_archiving_a_customer_is_its_next_version(desk):
    desk.run()
    desk.books.change(
        "Contacts",
        "con-ridgeway",
        ContactStatus="ARCHIVED",
        UpdatedDateUTC="/Date(1772900000000+0000)/",
    )
    assert desk.run()["contacts"].updated == 1
    assert desk.payload("customer", "con-ridgeway")["active"] is False


def test_a_mended_invoice_closes_its_dead_letter(desk):
    desk.run()
    line = desk.books.records["Invoices"][5]["LineItems"][0]
    desk.books.change(
        "Invoices",
        "inv-crooked",
        LineItems=[{**line, "UnitAmount": Decimal("100"), "LineAmount": Decimal("100.00")}],
        UpdatedDateUTC="/Date(1772900000000+0000)/",
    )
    assert desk.run()["invoices"].created == 1
    assert desk.payload("invoice", "inv-crooked")["subtotal"] == "100.00"
    assert desk.app.read.letters(stream="invoices").items == ()


# Mappings, by themselves ------------------------------------------------------------------------


def foreign(rate: str, currency: str = "USD") -> dict[str, Any]:
    return {
        "Type": "ACCREC",
        "InvoiceID": "inv-9",
        "Status": "AUTHORISED",
        "Contact": {"ContactID": "con-1"},
        "CurrencyCode": currency,
        "CurrencyRate": Decimal(rate),
        "DateString": "2020-02-01T00:00:00",
    }


def test_the_direction_of_the_rate_is_that_of_xeros_own_example():
    """1.547150 on a document in NZD, on the day one US dollar was 1.547 NZD."""
    made = xero.invoice(foreign("1.547150", "NZD"), context(home="USD", country="US"))
    assert made["fx"]["rate"] == "0.646349739844"


@pytest.mark.parametrize("home", ["USD", None])
def test_no_rate_where_nothing_is_converted_or_nobody_knows_into_what(home):
    made = xero.invoice(foreign("1.000000"), context(home=home))
    assert made["fx"] is None
    assert made["source_values"] == {"xero": {"CurrencyRate": None}}


def test_a_rounded_rate_moves_no_cent_of_an_invoice_below_ten_billion():
    total = Decimal("9999999999.99")
    for stated in ("0.657100", "1.333333", "15873.015873", "0.000077"):
        rate = Decimal(xero.invoice(foreign(stated), context())["fx"]["rate"])
        assert abs(total * rate - total / Decimal(stated)) < Decimal("0.005")


@pytest.mark.parametrize(
    ("settled", "status"),
    [
        ({"AmountPaid": Decimal("0.00"), "AmountCredited": Decimal("0.00")}, "open"),
        ({"AmountPaid": Decimal("0.01")}, "partially_paid"),
        ({"AmountPaid": Decimal("0.00"), "AmountCredited": Decimal("5.00")}, "partially_paid"),
    ],
)
def test_an_invoice_is_partially_paid_by_money_or_by_credit(settled, status):
    assert xero.invoice({**foreign("1"), **settled}, context())["status"] == status


def test_a_state_xero_may_invent_is_handed_on_for_the_contract_to_refuse():
    made = xero.invoice({**foreign("1"), "Status": "PENDINGREVIEW"}, context())
    assert made["status"] == "PENDINGREVIEW"


@pytest.mark.parametrize(
    ("country", "kind"),
    [("NZ", "gst"), ("GB", "vat"), ("US", "sales"), ("KE", "other")],
)
def test_the_kind_of_tax_follows_the_organisations_country(country, kind):
    line = {"LineAmount": Decimal("10.00"), "TaxAmount": Decimal("1.00"), "AccountCode": "200"}
    made = xero.invoice({**foreign("1"), "LineItems": [line]}, context(country=country))
    assert made["line_items"][0]["tax_lines"][0]["tax_kind"] == kind


@pytest.mark.parametrize(
    ("line", "discount"),
    [
        ({"DiscountRate": Decimal("33.33")}, "6.67"),
        ({"DiscountAmount": Decimal("6.67")}, "6.67"),
        ({"DiscountRate": Decimal("0.00")}, None),
        ({}, None),
    ],
)
def test_a_discount_is_what_the_line_is_below_its_price(line, discount):
    full = {
        "Quantity": Decimal("3"),
        "UnitAmount": Decimal("6.6690"),
        "LineAmount": Decimal("13.34"),
    }
    made = xero.invoice({**foreign("1"), "LineItems": [full | line]}, context())
    assert made["line_items"][0]["discount_amount"] == discount


@pytest.mark.parametrize(
    ("terms", "told", "days"),
    [
        ({"Day": 20, "Type": "DAYSAFTERBILLDATE"}, "20 days after the invoice date", 20),
        ({"Day": 5, "Type": "OFFOLLOWINGMONTH"}, "day 5 of the month after the invoice", None),
    ],
)
def test_payment_terms_are_net_days_only_where_they_are(terms, told, days):
    contact = {"ContactID": "c", "Name": "C", "IsCustomer": True, "PaymentTerms": {"Sales": terms}}
    made = xero.customer(contact)
    assert (made["payment_terms"], made["payment_terms_days"]) == (told, days)


def test_a_privacy_request_is_passed_on():
    contact = {"ContactID": "c", "Name": "C", "IsCustomer": True, "ContactStatus": "GDPRREQUEST"}
    made = xero.customer(contact)
    assert (made["erasure_requested"], made["active"]) == (True, False)
