"""The posting projection: what posting reads, and nothing else."""

from __future__ import annotations

import pytest

from penstock.contracts import projection, registry
from penstock.contracts.field import Many, Nested
from penstock.contracts.schema import block_of
from tests.contracts.examples import CUSTOMER, accepted, golden, invoice, payment


def posting_hash(document_type, payload, zone="UTC"):
    contract = registry.contract(document_type)
    return contract.posting_hash(accepted(document_type, payload).content, zone)


def project(document_type, payload, zone="UTC"):
    contract = registry.contract(document_type)
    return contract.posting_projection(accepted(document_type, payload).content, zone)


@pytest.mark.parametrize(
    "change",
    [
        {"memo": "x"},
        {"customer_name": "x"},
        {"status": "paid"},
        {"reported_amount_due": "1.00"},
        {"due_date": "2026-05-01"},
        {"line_items": [{"amount": "20.00"}, {"amount": "100.00", "description": "Lamp"}]},
    ],
)
def test_what_posts_nothing_changes_no_posting_hash(change):
    assert posting_hash("invoice", invoice(**change)) == posting_hash("invoice", invoice())


@pytest.mark.parametrize(
    "change",
    [
        {"customer_id": "cus_2"},
        {"status": "draft"},
        {"document_date": "2026-03-03"},
        {"effective_date": "2026-03-31"},
        {"currency": "USD"},
        {"dimensions": {"class": "n"}},
        {"line_items": [{"amount": "120.00"}]},
        {"line_items": [{"amount": "100.00", "account_code": "4000"}, {"amount": "20.00"}]},
        {"written_off_date": "2026-03-31"},
    ],
)
def test_what_posts_changes_it(change):
    assert posting_hash("invoice", invoice(**change)) != posting_hash("invoice", invoice())


def test_an_invoice_projects_to_this():
    assert project("invoice", golden("invoice")["payload"]) == {
        "lifecycle": "open",
        "document_date": "2026-03-02",
        "effective_date": "2026-03-02",
        "currency": "EUR",
        "customer_id": "cus_77",
        "total_amount": "162.00",
        "subtotal": "135.00",
        "tax_amount": "27.00",
        "line_items": [
            {
                "amount": "120.00",
                "line_type": "product",
                "product_id": "prod_9",
                "account_code": "4000",
                "tax_lines": [{"tax_rate_id": "txr_20", "tax_kind": "vat", "tax_amount": "24.00"}],
            },
            {
                "amount": "15.00",
                "line_type": "shipping",
                "account_code": "4090",
                "tax_lines": [{"tax_rate_id": "txr_20", "tax_kind": "vat", "tax_amount": "3.00"}],
            },
        ],
    }


def test_the_accounting_zone_makes_the_day_of_an_instant():
    late = invoice(document_date=None, issued_at="2026-03-31T23:30:00Z")
    assert project("invoice", late)["document_date"] == "2026-03-31"
    assert project("invoice", late, "Europe/Berlin")["document_date"] == "2026-04-01"
    assert posting_hash("invoice", late) != posting_hash("invoice", late, "Europe/Berlin")


def test_a_payment_says_whether_a_processor_moved_it():
    assert project("payment", payment())["has_provider_movement"] is False
    assert project("payment", payment(charge_id="ch_1"))["has_provider_movement"] is True
    assert project("payment", payment(charge_id="ch_1")) == project(
        "payment", payment(balance_transaction_id="bt_1")
    )


def test_master_data_projects_for_policies_and_posts_nothing():
    contract = registry.contract("customer")
    content = accepted("customer", CUSTOMER | {"tax_exempt": True, "email": "a@b.example"}).content
    assert contract.posting_projection(content) == {"tax_exempt": True}
    assert contract.posting_hash(content) is None


def exists(path, fields):
    name, _, rest = path.partition(".")
    field = next((f for f in fields if f.name == name), None)
    if field is None:
        return path in projection.DERIVED
    block = block_of(field.kind) if isinstance(field.kind, Many | Nested) else None
    return not rest or (block is not None and exists(rest, block.fields))


@pytest.mark.parametrize("document_type", registry.types())
def test_every_projected_path_is_a_field(document_type):
    described = registry.contract(document_type).description
    assert all(exists(path, described.fields) for path in described.projection)
    for rule in described.rules:
        fields = described.fields
        if rule.rows:
            fields = block_of(next(f for f in fields if f.name == rule.rows).kind).fields
        assert all(exists(path, fields) for path in (*rule.inputs, *rule.when)), rule
