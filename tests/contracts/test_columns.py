"""Documents as rows: which columns a contract has, and what a payload puts into them."""

from __future__ import annotations

import pytest

from penstock.contracts import registry
from penstock.model.column import Column, ColumnType
from penstock.read.exported import ENVELOPE
from tests.contracts.examples import invoice, kept


def columns(document_type: str) -> dict[str, Column]:
    return {column.name: column for column in registry.contract(document_type).columns()}


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("total_amount", ColumnType.DECIMAL),
        ("fx_rate", ColumnType.DECIMAL),
        ("due_date", ColumnType.DATE),
        ("issued_at", ColumnType.INSTANT),
        ("prices_include_tax", ColumnType.BOOLEAN),
        ("line_items", ColumnType.JSON),
        ("metadata", ColumnType.JSON),
        ("source_values", ColumnType.JSON),
        ("status", ColumnType.TEXT),
        ("billing_address_city", ColumnType.TEXT),
    ],
)
def test_a_column_is_of_the_kind_of_its_field(name: str, kind: ColumnType) -> None:
    assert columns("invoice")[name].type is kind
    assert columns("customer")["payment_terms_days"].type is ColumnType.INTEGER


def test_a_value_is_found_where_it_stands() -> None:
    payload = kept("invoice", invoice(billing_address={"city": "Köln"}))
    found = columns("invoice")
    assert found["billing_address_city"].value(payload) == "Köln"
    assert found["shipping_address_city"].value(payload) is None
    assert found["tax_rounding"].value(payload) == "unknown", "left out: the default"
    assert found["fx_rate_origin"].value(payload) is None, "no fx, no default of its member"


@pytest.mark.parametrize("document_type", registry.types())
def test_no_column_has_the_name_of_another(document_type: str) -> None:
    names = [c.name for c in (*ENVELOPE, *columns(document_type).values())]
    assert len(names) == len(set(names))
    assert "workspace" not in names
    fields = {field.name for field in registry.contract(document_type).fields}
    tops = {column.path[0] for column in columns(document_type).values()}
    assert fields - tops == {"source_version", "source_updated_at"}, "they stand in the envelope"


def test_lists_with_amounts_are_views_of_their_own() -> None:
    names = {
        name: sorted(view.name for view in registry.contract(name).views())
        for name in ("customer", "invoice", "payment")
    }
    assert names == {
        "customer": ["penstock_customer"],
        "invoice": [
            "penstock_invoice",
            "penstock_invoice_line_items",
            "penstock_invoice_tax_lines",
        ],
        "payment": [
            "penstock_payment",
            "penstock_payment_allocations",
            "penstock_payment_fee_details",
        ],
    }
