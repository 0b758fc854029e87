"""Every error and warning of section 5 that these types know: broken, and just kept."""

from __future__ import annotations

from datetime import date
from typing import Any

import pytest

from tests.contracts.examples import bent, flagged, reasons


def line(amount: str = "100.00", **more: Any) -> dict[str, Any]:
    return {"amount": amount, **more}


def tax(amount: str, **more: Any) -> dict[str, Any]:
    return {"tax_amount": amount, **more}


def taxed(**more: Any) -> dict[str, Any]:
    """120.00 = 100.00 + 20.00 tax on the line."""
    return {"line_items": [line(tax_lines=[tax("20.00")])], **more}


def ref(document_type: str, source_id: str, **more: Any) -> dict[str, Any]:
    return {"document_type": document_type, "source_id": source_id, **more}


def fx(source: str = "EUR", target: str = "USD", rate: str = "1.1") -> dict[str, Any]:
    return {"from_currency": source, "to_currency": target, "rate": rate}


# Each row reads: (invariant, code, path, type, what breaks it, what just keeps it)
ERRORS = [
    (
        "I-F1",
        "invalid_type",
        "/total_amount",
        "invoice",
        {"total_amount": 120},
        {"total_amount": "120"},
    ),
    (
        "I-F1",
        "invalid_format",
        "/total_amount",
        "invoice",
        {"total_amount": "120,00"},
        {"total_amount": "120.0"},
    ),
    (
        "I-F1",
        "invalid_format",
        "/line_items/0/quantity",
        "invoice",
        {"line_items": [line("120.00", quantity="1e2")]},
        {"line_items": [line("120.00", quantity="100")]},
    ),
    (
        "I-F2",
        "invalid_format",
        "/document_date",
        "invoice",
        {"document_date": "2026-02-29"},
        {"document_date": "2024-02-29"},
    ),
    (
        "I-F2",
        "invalid_format",
        "/document_date",
        "invoice",
        {"document_date": "1969-12-31"},
        {"document_date": "1970-01-01"},
    ),
    (
        "I-F2",
        "invalid_format",
        "/issued_at",
        "invoice",
        {"issued_at": "2026-03-02T10:00:00"},
        {"issued_at": "2026-03-02T10:00:00Z"},
    ),
    ("I-F3", "invalid_currency", "/currency", "invoice", {"currency": "EUX"}, {"currency": "USD"}),
    (
        "I-F4",
        "scale_exceeds_currency",
        "/total_amount",
        "invoice",
        {"total_amount": "120.001"},
        {"total_amount": "120.000"},
    ),
    ("I-F5", "missing_field", "/invoice_id", "invoice", {"invoice_id": " "}, {"invoice_id": "1"}),
    ("I-F5", "invalid_type", "/customer_id", "invoice", {"customer_id": 7}, {"customer_id": "7"}),
    (
        "I-F5",
        "invalid_format",
        "/customer_id",
        "invoice",
        {"customer_id": "7 "},
        {"customer_id": "7 a"},
    ),
    (
        "I-F6",
        "unknown_field",
        "/invoice_total",
        "invoice",
        {"invoice_total": "1"},
        {"source_values": {"acme": {"invoice_total": "1"}}},
    ),
    ("I-F6", "reserved_field", "/source_id", "invoice", {"source_id": "inv_1"}, {}),
    (
        "I-F6",
        "reserved_field",
        "/line_items/0/line_key",
        "invoice",
        {"line_items": [line("120.00", line_key="k")]},
        {"line_items": [line("120.00")]},
    ),
    (
        "I-F7",
        "invalid_enum",
        "/status",
        "invoice",
        {"status": "overdue"},
        {"status": "partially_paid"},
    ),
    (
        "I-F8",
        "limit_exceeded",
        "/document_number",
        "invoice",
        {"document_number": "x" * 101},
        {"document_number": "x" * 100},
    ),
    (
        "I-F8",
        "limit_exceeded",
        "/metadata",
        "invoice",
        {"metadata": {str(n): "v" for n in range(51)}},
        {"metadata": {str(n): "v" for n in range(50)}},
    ),
    (
        "I-F8",
        "out_of_range",
        "/line_items/0/line_number",
        "invoice",
        {"line_items": [line("120.00", line_number=0)]},
        {"line_items": [line("120.00", line_number=1)]},
    ),
    (
        "I-F8",
        "out_of_range",
        "/payment_terms_days",
        "customer",
        {"payment_terms_days": 3651},
        {"payment_terms_days": 3650},
    ),
    (
        "I-F8",
        "out_of_range",
        "/line_items/0/tax_lines/0/rate_percent",
        "invoice",
        {"line_items": [line(tax_lines=[tax("20.00", rate_percent="1000.1")])]},
        {"line_items": [line(tax_lines=[tax("20.00", rate_percent="1000")])]},
    ),
    (
        "I-F8",
        "out_of_range",
        "/line_items/0/tax_lines/0/recoverable_percent",
        "invoice",
        {"line_items": [line(tax_lines=[tax("20.00", recoverable_percent="100.01")])]},
        {"line_items": [line(tax_lines=[tax("20.00", recoverable_percent="99.99")])]},
    ),
    ("I-F9", "invalid_text", "/memo", "invoice", {"memo": "a\x0bb"}, {"memo": "a\tb\r\nc"}),
    (
        "I-S1",
        "out_of_range",
        "/total_amount",
        "invoice",
        {"total_amount": "-0.01", "line_items": [line("-0.01")]},
        {"total_amount": "-0.00", "line_items": [line("0")]},
    ),
    ("I-S1", "out_of_range", "/amount", "payment", {"amount": "0.00"}, {"amount": "0.01"}),
    (
        "I-S1",
        "out_of_range",
        "/line_items/0/tax_lines/0/tax_amount",
        "invoice",
        {
            "total_amount": "98.00",
            "line_items": [line(tax_lines=[tax("-2.00", taxable_amount="10.00")])],
        },
        {
            "total_amount": "98.00",
            "line_items": [line(tax_lines=[tax("-2.00", taxable_amount="-10.00")])],
        },
    ),
    (
        "I-S1",
        "out_of_range",
        "/original_amount",
        "bank_transaction",
        {"original_currency": "JPY", "original_amount": "2000"},
        {"original_currency": "JPY", "original_amount": "-2000"},
    ),
    (
        "I-L1",
        "totals_mismatch",
        "/subtotal",
        "invoice",
        {"subtotal": "120.01", "total_amount": "120.01"},
        {"subtotal": "120.00"},
    ),
    (
        "I-L3",
        "missing_field",
        "/line_items",
        "invoice",
        {"line_items": []},
        {"line_items": [], "status": "draft"},
    ),
    (
        "I-L4",
        "invariant_violation",
        "/line_items/1/line_number",
        "invoice",
        {"line_items": [line(line_number=2), line("20.00")]},
        {"line_items": [line(line_number=3), line("20.00")]},
    ),
    (
        "I-L4",
        "invariant_violation",
        "/line_items/1/line_ref",
        "invoice",
        {"line_items": [line(line_ref="a"), line("20.00", line_ref="a")]},
        {"line_items": [line(line_ref="a"), line("20.00", line_ref="b")]},
    ),
    (
        "I-L5",
        "invariant_violation",
        "/line_items/1/amount",
        "invoice",
        {"line_items": [line(), line("20.00", line_type="description")]},
        {"line_items": [line("120.00"), line("0", line_type="description")]},
    ),
    (
        "I-L5",
        "invariant_violation",
        "/line_items/1/amount",
        "invoice",
        {"line_items": [line(), line("20.00", line_type="discount")]},
        {"line_items": [line("140.00"), line("-20.00", line_type="discount")]},
    ),
    (
        "I-T1",
        "totals_mismatch",
        "/total_amount",
        "invoice",
        {"total_amount": "120.01"},
        {"total_amount": "120.01", "rounding_amount": "0.01"},
    ),
    ("I-T1", "totals_mismatch", "/total_amount", "invoice", taxed(total_amount="100.00"), taxed()),
    (
        "I-T2",
        "totals_mismatch",
        "/tax_amount",
        "invoice",
        taxed(tax_amount="19.99", total_amount="119.99"),
        taxed(tax_amount="20.00"),
    ),
    (
        "I-T4",
        "invariant_violation",
        "/tax_lines",
        "invoice",
        taxed(tax_lines=[tax("0.00")]),
        {"line_items": [line()], "tax_lines": [tax("20.00")]},
    ),
    (
        "I-D3",
        "invariant_violation",
        "/line_items/0/service_end_date",
        "invoice",
        {
            "line_items": [
                line("120.00", service_start_date="2026-02-02", service_end_date="2026-02-01")
            ]
        },
        {
            "line_items": [
                line("120.00", service_start_date="2026-02-01", service_end_date="2026-02-01")
            ]
        },
    ),
    (
        "I-D4",
        "missing_field",
        "/document_date",
        "invoice",
        {"document_date": None},
        {"document_date": None, "issued_at": "2026-03-02T10:00:00Z"},
    ),
    (
        "I-A1",
        "invariant_violation",
        "/allocations",
        "payment",
        {
            "allocations": [
                {"invoice_id": "i", "amount": "150.00"},
                {"invoice_id": "j", "amount": "50.01"},
            ]
        },
        {
            "allocations": [
                {"invoice_id": "i", "amount": "150.00"},
                {"invoice_id": "j", "amount": "50.00"},
            ]
        },
    ),
    (
        "I-A2",
        "missing_field",
        "/allocations/0/document_amount",
        "payment",
        {"allocations": [{"invoice_id": "i", "amount": "1.00", "currency": "USD"}]},
        {
            "allocations": [
                {
                    "invoice_id": "i",
                    "amount": "900.00",
                    "currency": "USD",
                    "document_amount": "200.00",
                }
            ]
        },
    ),
    (
        "I-A2",
        "invariant_violation",
        "/allocations/0/document_amount",
        "payment",
        {"allocations": [{"invoice_id": "i", "amount": "1.00", "document_amount": "1.00"}]},
        {"allocations": [{"invoice_id": "i", "amount": "1.00", "currency": "EUR"}]},
    ),
    (
        "I-A5",
        "missing_field",
        "/allocations/0/invoice_id",
        "payment",
        {"allocations": [{"amount": "1.00"}]},
        {"allocations": [{"invoice_id": "i", "amount": "1.00"}]},
    ),
    (
        "I-A5",
        "invariant_violation",
        "/allocations/0/target",
        "payment",
        {"allocations": [{"amount": "1.00", "invoice_id": "i", "target": ref("invoice", "i")}]},
        {"allocations": [{"amount": "1.00", "target": ref("invoice", "i")}]},
    ),
    (
        "I-A5",
        "invariant_violation",
        "/allocations/0/target/document_type",
        "payment",
        {"allocations": [{"amount": "1.00", "target": ref("vendor_bill", "b")}]},
        {"allocations": [{"amount": "1.00", "target": ref("journal_entry", "b")}]},
    ),
    (
        "I-A6",
        "invariant_violation",
        "/sales_receipt_id",
        "payment",
        {"sales_receipt_id": "s", "invoice_id": "i"},
        {"sales_receipt_id": "s"},
    ),
    (
        "I-P1",
        "missing_field",
        "/settlement_amount",
        "payment",
        {"settlement_currency": "USD"},
        {"settlement_currency": "USD", "settlement_amount": "9.00"},
    ),
    (
        "I-P1",
        "invariant_violation",
        "/settlement_amount",
        "payment",
        {"settlement_amount": "200.00"},
        {"settlement_currency": "EUR"},
    ),
    (
        "I-P2",
        "totals_mismatch",
        "/net_amount",
        "payment",
        {"fee_amount": "6.10", "net_amount": "193.91"},
        {"fee_amount": "6.10", "net_amount": "193.90"},
    ),
    (
        "I-P3",
        "totals_mismatch",
        "/fee_amount",
        "payment",
        {"fee_amount": "6.10", "fee_details": [{"amount": "6.00"}]},
        {"fee_amount": "6.10", "fee_details": [{"amount": "6.00"}, {"amount": "0.10"}]},
    ),
    (
        "I-B4",
        "invariant_violation",
        "/pending_transaction_id",
        "bank_transaction",
        {"pending_transaction_id": "p", "status": "pending"},
        {"pending_transaction_id": "p"},
    ),
    (
        "I-X1",
        "invariant_violation",
        "/fx/from_currency",
        "invoice",
        {"fx": fx("USD", "EUR")},
        {"fx": fx()},
    ),
    (
        "I-X1",
        "invariant_violation",
        "/fx/to_currency",
        "invoice",
        {"fx": fx("EUR", "EUR")},
        {"fx": fx()},
    ),
    (
        "I-X1",
        "out_of_range",
        "/fx/rate",
        "invoice",
        {"fx": fx(rate="0.0")},
        {"fx": fx(rate="0.0001")},
    ),
    (
        "I-R2",
        "invariant_violation",
        "/parent_id",
        "customer",
        {"parent_id": "cus_1"},
        {"parent_id": "c"},
    ),
    (
        "I-R2",
        "invariant_violation",
        "/merged_into_id",
        "customer",
        {"merged_into_id": "cus_1"},
        {"merged_into_id": "cus_2"},
    ),
    (
        "I-R2",
        "invariant_violation",
        "/pending_transaction_id",
        "bank_transaction",
        {"pending_transaction_id": "txn_1"},
        {"pending_transaction_id": "txn_0"},
    ),
    (
        "I-R2",
        "invariant_violation",
        "/supersedes/1",
        "invoice",
        {"supersedes": [ref("invoice", "inv_0"), ref("invoice", "inv_1")]},
        {"supersedes": [ref("payment", "inv_1"), ref("invoice", "inv_1", connection_id="old")]},
    ),
    (
        "I-R5",
        "invariant_violation",
        "/category_ids/1",
        "customer",
        {"category_ids": ["a", "a"]},
        {"category_ids": ["a", "A"]},
    ),
    (
        "I-R5",
        "invariant_violation",
        "/deposit_to_bank_account_id",
        "payment",
        {"deposit_to_account_id": "a", "deposit_to_bank_account_id": "b"},
        {"deposit_to_account_code": "a", "deposit_to_bank_account_id": "b"},
    ),
    (
        "I-R5",
        "missing_field",
        "/currency",
        "customer",
        {"credit_limit": "1.00"},
        {"credit_limit": "1.00", "currency": "EUR"},
    ),
    (
        "I-R5",
        "missing_field",
        "/balance_at",
        "bank_account",
        {"current_balance": "1.00"},
        {"current_balance": "1.00", "balance_at": "2026-03-02T10:00:00Z"},
    ),
    (
        "I-R5",
        "missing_field",
        "/original_currency",
        "bank_transaction",
        {"original_amount": "-1.00"},
        {"original_amount": "-1.00", "original_currency": "EUR"},
    ),
    (
        "I-R5",
        "missing_field",
        "/original_amount",
        "bank_transaction",
        {"original_currency": "USD"},
        {"original_amount": "-1.00", "original_currency": "USD"},
    ),
    (None, "missing_field", "/customer_id", "invoice", {"customer_id": ...}, {}),
    (
        None,
        "missing_field",
        "/line_items/1/amount",
        "invoice",
        {"line_items": [line("120.00"), {"description": "x"}]},
        {"line_items": [line("120.00"), line("0", description="x")]},
    ),
    (
        None,
        "missing_field",
        "/contacts/0/name",
        "customer",
        {"contacts": [{"role": "AP"}]},
        {"contacts": [{"phone": "1"}]},
    ),
    (None, "invalid_type", "/line_items", "invoice", {"line_items": line()}, {}),
    (
        None,
        "invalid_type",
        "/line_items/0",
        "invoice",
        {"line_items": [None, line("120.00")]},
        {"line_items": [line("120.00")]},
    ),
    (
        None,
        "invalid_type",
        "/prices_include_tax",
        "invoice",
        {"prices_include_tax": 1},
        {"prices_include_tax": True},
    ),
    (
        None,
        "invalid_type",
        "/metadata/a",
        "invoice",
        {"metadata": {"a": 1}},
        {"metadata": {"a": "1"}},
    ),
    (
        None,
        "invalid_format",
        "/external_url",
        "invoice",
        {"external_url": "ftp://x"},
        {"external_url": "http://x"},
    ),
    (
        None,
        "invalid_format",
        "/billing_address/country",
        "invoice",
        {"billing_address": {"country": "UK"}},
        {"billing_address": {"country": "GB"}},
    ),
]

WARNINGS = [
    (
        "I-F3",
        "withdrawn_currency",
        "/currency",
        "invoice",
        {"currency": "BGN"},
        {"currency": "EUR"},
    ),
    ("I-F7", "unmapped_value", "/status", "invoice", {"status": "other"}, {"status": "paid"}),
    (
        "I-F7",
        "unmapped_value",
        "/line_items/0/line_type",
        "invoice",
        {"line_items": [line("120.00", line_type="other")]},
        {"line_items": [line("120.00", line_type="fee")]},
    ),
    (
        "I-F7",
        "unmapped_value",
        "/line_items/0/tax_lines/0/tax_kind",
        "invoice",
        {"line_items": [line(tax_lines=[tax("20.00", tax_kind="other")])]},
        {"line_items": [line(tax_lines=[tax("20.00", tax_kind="gst")])]},
    ),
    (
        "I-L2",
        "line_price_mismatch",
        "/line_items/0/quantity",
        "invoice",
        {"line_items": [line("120.00", quantity="3", unit_price="40.0017")]},
        {"line_items": [line("120.00", quantity="3", unit_price="40.0016")]},
    ),
    (
        "I-L2",
        "line_price_mismatch",
        "/line_items/0/quantity",
        "invoice",
        {"line_items": [line("120.00", quantity="3", unit_price="50")]},
        {"line_items": [line("120.00", quantity="3", unit_price="50", discount_amount="30.00")]},
    ),
    (
        "I-T3",
        "large_rounding",
        "/rounding_amount",
        "invoice",
        {"rounding_amount": "-1.01", "total_amount": "118.99"},
        {"rounding_amount": "-1.00", "total_amount": "119.00"},
    ),
    (
        "I-T5",
        "tax_rate_mismatch",
        "/line_items",
        "invoice",
        {"line_items": [line(tax_lines=[tax("20.00", taxable_amount="99.97", rate_percent="20")])]},
        {"line_items": [line(tax_lines=[tax("20.00", taxable_amount="99.98", rate_percent="20")])]},
    ),
    (
        "I-T5",
        "tax_rate_mismatch",
        "/tax_lines",
        "invoice",
        {
            "line_items": [line()],
            "tax_lines": [
                tax("10.00", taxable_amount="50.03", rate_percent="20"),
                tax("10.00", taxable_amount="50.03", rate_percent="20"),
            ],
        },
        {
            "line_items": [line()],
            "tax_lines": [
                tax("10.00", taxable_amount="50.03", rate_percent="20"),
                tax("10.00", taxable_amount="50.02", rate_percent="20"),
            ],
        },
    ),
    (
        "I-D1",
        "due_before_issue",
        "/due_date",
        "invoice",
        {"due_date": "2026-03-01"},
        {"due_date": "2026-03-02"},
    ),
    (
        "I-P4",
        "missing_party",
        "/customer_id",
        "payment",
        {"customer_id": None},
        {"customer_id": "c"},
    ),
    ("I-B5", "zero_amount", "/amount", "bank_transaction", {"amount": "0"}, {"amount": "0.01"}),
]


def named(cases):
    ids = [f"{case[0]}-{case[1]}-{case[2]}" for case in cases]
    return pytest.mark.parametrize(
        ("invariant", "code", "path", "document_type", "broken", "kept"), cases, ids=ids
    )


@named(ERRORS)
def test_an_error_is_found_where_it_is_and_not_beside_it(
    invariant, code, path, document_type, broken, kept
):
    assert reasons(document_type, bent(document_type, **broken)) == [(code, path, invariant)]
    assert reasons(document_type, bent(document_type, **kept)) == []


@named(WARNINGS)
def test_a_warning_becomes_a_flag(invariant, code, path, document_type, broken, kept):
    assert flagged(document_type, bent(document_type, **broken)) == [(code, path, invariant)]
    assert flagged(document_type, bent(document_type, **kept)) == []


def test_a_document_dated_over_two_days_ahead_is_flagged():
    day = date(2026, 3, 2)
    ahead = [("future_dated", "/document_date", "I-D2")]
    assert flagged("invoice", bent("invoice", document_date="2026-03-05"), observed_on=day) == ahead
    assert flagged("invoice", bent("invoice", document_date="2026-03-04"), observed_on=day) == []
    assert flagged("invoice", bent("invoice", document_date="2099-03-04")) == []


def test_another_source_id_of_the_call_wins_and_is_flagged():
    mismatch = [("source_id_mismatch", "/invoice_id", "I-F5")]
    assert flagged("invoice", bent("invoice"), source_id="inv_2") == mismatch
    assert flagged("invoice", bent("invoice"), source_id="inv_1") == []
    assert reasons("invoice", bent("invoice", invoice_id=...), source_id="inv_2") == []


@pytest.mark.parametrize("status", ["void", "deleted"])
def test_a_void_or_deleted_document_may_have_been_zeroed(status):
    zeroed = {"status": status, "total_amount": "0.00", "line_items": [], "subtotal": "9.00"}
    assert reasons("invoice", bent("invoice", **zeroed)) == []
    assert reasons("payment", bent("payment", status=status, amount="0")) == []
    assert reasons("payment", bent("payment", status=status, amount="-1")) == [
        ("out_of_range", "/amount", "I-S1")
    ]
    no_date = {"status": status, "document_date": None}
    assert reasons("invoice", bent("invoice", **no_date)) == [
        ("missing_field", "/document_date", "I-D4")
    ]


def test_a_status_that_failed_is_neither_void_nor_deleted():
    found = reasons("payment", bent("payment", status="voided", amount="0"))
    assert found == [("out_of_range", "/amount", "I-S1"), ("invalid_enum", "/status", "I-F7")]


def test_withheld_and_reverse_charged_tax_is_no_part_of_the_total():
    memoranda = [tax("5.00", tax_kind="withholding"), tax("7.00", tax_kind="reverse_charge")]
    counted = [line(tax_lines=[tax("20.00", tax_kind="vat"), *memoranda])]
    assert reasons("invoice", bent("invoice", line_items=counted, tax_amount="20.00")) == []


def test_settlement_currency_governs_scale_and_sums_of_the_settlement():
    converted = {
        "currency": "JPY",
        "amount": "20000",
        "settlement_currency": "KWD",
        "settlement_amount": "40.125",
        "fee_amount": "0.125",
        "net_amount": "40.000",
        "fee_details": [{"amount": "0.125"}],
    }
    assert reasons("payment", bent("payment", **converted)) == []
    assert reasons("payment", bent("payment", **converted | {"net_amount": "40.0001"})) == [
        ("scale_exceeds_currency", "/net_amount", "I-F4")
    ]


def test_a_rule_is_silent_where_one_of_its_inputs_failed():
    broken = bent("invoice", subtotal="1,00", total_amount="1.00")
    assert reasons("invoice", broken) == [("invalid_format", "/subtotal", "I-F1")]
    broken = bent("payment", amount=5, allocations=[{"invoice_id": "i", "amount": "300.00"}])
    assert reasons("payment", broken) == [("invalid_type", "/amount", "I-F1")]


def test_without_a_currency_only_that_is_said():
    assert reasons("invoice", bent("invoice", currency=...)) == [
        ("missing_field", "/currency", None)
    ]


def test_sums_are_exact_beyond_what_a_float_or_twenty_eight_digits_hold():
    big = "999999999999999.99"
    lines = [line(big) for _ in range(9)]
    exact = "8999999999999999.91"
    assert reasons("invoice", bent("invoice", line_items=lines, total_amount=exact[1:])) == [
        ("totals_mismatch", "/total_amount", "I-T1")
    ]
    parts = [line(big), line("-999999999999999.98"), line("0.01")]
    assert reasons("invoice", bent("invoice", line_items=parts, total_amount="0.02")) == []
