"""The tables of the five types, written out once more by hand."""

from __future__ import annotations

import pytest

from penstock.contracts import registry
from penstock.contracts.field import Many, Nested
from penstock.contracts.schema import block_of

ALL = """source_version:text(255) source_updated_at:instant external_url:text(2000)
subsidiary_id:opaque supersedes:[ref]≤20 metadata:map source_values:object"""
DOC = """status:enum! currency:currency! document_date:date effective_date:date
approval_status:enum memo:text(4000) dimensions:map fx:fx"""
LINES = """total_amount:money! subtotal:money discount_amount:money tax_amount:money
rounding_amount:money line_items:[line_item]≤2000 tax_lines:[tax_line]≤200
prices_include_tax:bool tax_rounding:enum"""
METHOD = """payment_method:text(255) payment_method_type:enum payment_method_details:map
reference_number:text(100)"""
SETTLE = """settlement_currency:currency settlement_amount:money fee_amount:money net_amount:money
fee_details:[fee_detail]≤50 charge_id:opaque balance_transaction_id:opaque
settlement_payout_id:→payout"""

TABLES = {
    "customer": ALL
    + """ customer_id:id name:text(255)! company_name:text(255) email:text(255) phone:text(255)
    description:text(4000) entity_type:enum active:bool currency:currency balance:money
    credit_limit:money tax_exempt:bool tax_exempt_ref:text(255) tax_ids:[tax_id]≤20
    address:address billing_address:address shipping_address:address contacts:[contact]≤20
    payment_terms:text(120) payment_terms_days:int parent_id:→customer merged_into_id:→customer
    default_revenue_account_id:→account accounts_receivable_account_id:→account
    default_tax_rate_id:→tax_rate category_ids:[opaque]≤100 price_level_id:opaque
    sales_rep_id:opaque erasure_requested:bool""",
    "bank_account": ALL
    + """ bank_account_id:id name:text(255)! currency:currency! account_type:enum feed_mode:enum
    account_id:→account account_code:text(64) institution_name:text(255) holder_name:text(255)
    institution_id:opaque persistent_id:opaque mask:text(8) iban:text(34) bic:text(11)
    routing_number:text(34) active:bool opened_on:date current_balance:money
    available_balance:money balance_at:instant""",
    "invoice": f"{ALL} {DOC} {LINES}"
    + """ invoice_id:id customer_id:→customer! customer_name:text(255) document_number:text(100)
    po_number:text(120) payment_terms:text(120) issued_at:instant paid_at:instant
    voided_at:instant due_date:date written_off_date:date billing_address:address
    shipping_address:address quote_id:→quote sales_order_id:→sales_order
    accounts_receivable_account_id:→account reported_amount_due:money
    reported_amount_paid:money""",
    "payment": f"{ALL} {DOC} {METHOD} {SETTLE}"
    + """ payment_id:id amount:money! customer_id:→customer payment_date:date paid_at:instant
    failed_date:date invoice_id:→invoice allocations:[allocation]≤2000
    sales_receipt_id:→sales_receipt deposit_to_account_id:→account
    deposit_to_account_code:text(64) deposit_to_bank_account_id:→bank_account
    accounts_receivable_account_id:→account tax_amount:money reported_unapplied_amount:money""",
    "bank_transaction": f"{ALL} {DOC}"
    + """ transaction_id:id bank_account_id:→bank_account! amount:money! transaction_date:date!
    value_date:date authorized_date:date description:text(4000) category:text(255)
    counterparty_name:text(255) counterparty_iban:text(34) reference_number:text(255)
    check_number:text(255) bank_code:text(255) original_currency:currency original_amount:money
    pending_transaction_id:→bank_transaction bank_statement_id:→bank_statement
    balance_after:money""",
}
BLOCKS = {
    "ref": "document_type:enum! source_id:id! connection_id:id",
    "address": """line1:text(255) line2:text(255) line3:text(255) city:text(120) region:text(120)
    postal_code:text(40) country:country text:text(1000)""",
    "contact": "name:text(255) role:text(255) email:text(255) phone:text(255)",
    "tax_id": "value:text(64)! scheme:text(40) country:country",
    "fx": "from_currency:currency! to_currency:currency! rate:decimal! as_of:date rate_origin:enum",
    "tax_line": """tax_amount:money! tax_rate_id:→tax_rate name:text(255) authority:text(255)
    rate_percent:percent taxable_amount:money tax_kind:enum recoverable_percent:percent""",
    "fee_detail": "amount:money! fee_type:enum description:text(255)",
    "line_item": """amount:money! line_number:int line_ref:opaque line_type:enum
    description:text(4000) product_id:→item account_id:→account account_code:text(64)
    quantity:decimal unit_price:decimal discount_amount:money tax_lines:[tax_line]≤50
    service_start_date:date service_end_date:date dimensions:map""",
    "allocation": """amount:money! invoice_id:→invoice target:ref currency:currency
    document_amount:money allocated_on:date discount_amount:money withheld_amount:money""",
}
LIFECYCLES = {
    "customer": {},
    "bank_account": {},
    "invoice": {
        "draft": "draft",
        "open": "open",
        "partially_paid": "open",
        "paid": "open",
        "uncollectible": "uncollectible",
        "void": "void",
        "deleted": "deleted",
        "other": "unknown",
    },
    "payment": {
        "pending": "draft",
        "completed": "open",
        "disputed": "open",
        "failed": "void",
        "canceled": "void",
        "void": "void",
        "deleted": "deleted",
        "other": "unknown",
    },
    "bank_transaction": {
        "pending": "draft",
        "posted": "open",
        "deleted": "deleted",
        "other": "unknown",
    },
}


def as_written(fields):
    return {f"{f.name}:{f.kind.notation}{'!' if f.required else ''}" for f in fields}


def blocks_of(fields):
    found = {}
    for field in fields:
        if isinstance(field.kind, Many | Nested) and (block := block_of(field.kind)):
            found |= {block.name: block} | blocks_of(block.fields)
    return found


@pytest.mark.parametrize("document_type", TABLES)
def test_a_type_has_exactly_the_fields_of_its_table(document_type):
    contract = registry.contract(document_type)
    assert as_written(contract.fields) == set(TABLES[document_type].split())
    assert len({f.name for f in contract.fields}) == len(contract.fields)


@pytest.mark.parametrize("name", BLOCKS)
def test_a_block_has_exactly_the_members_of_its_table(name):
    blocks = {}
    for document_type in registry.types():
        blocks |= blocks_of(registry.contract(document_type).fields)
    assert set(blocks) == set(BLOCKS)
    assert as_written(blocks[name].fields) == set(BLOCKS[name].split())


@pytest.mark.parametrize("document_type", LIFECYCLES)
def test_status_means_this_lifecycle(document_type):
    described = registry.contract(document_type).description
    assert described.lifecycles == LIFECYCLES[document_type]
    status = next((f for f in described.fields if f.name == "status"), None)
    assert set(LIFECYCLES[document_type]) == (set(status.kind.values) if status else set())


def test_defaults_are_those_of_the_tables():
    found = {
        (owner, f.name): f.default
        for owner, fields in [
            *((t, registry.contract(t).fields) for t in registry.types()),
            *((n, b.fields) for n, b in blocks_of(registry.contract("invoice").fields).items()),
            *((n, b.fields) for n, b in blocks_of(registry.contract("payment").fields).items()),
        ]
        for f in fields
        if f.default is not None
    }
    assert found == {
        ("customer", "active"): True,
        ("customer", "tax_exempt"): False,
        ("customer", "erasure_requested"): False,
        ("bank_account", "account_type"): "checking",
        ("bank_account", "feed_mode"): "none",
        ("bank_account", "active"): True,
        ("invoice", "tax_rounding"): "unknown",
        ("fx", "rate_origin"): "document",
        ("tax_line", "recoverable_percent"): "100",
        ("fee_detail", "fee_type"): "processing",
    }


PERSONAL = [
    "name",
    "company_name",
    "email",
    "phone",
    "description",
    "tax_ids",
    "address",
    "billing_address",
    "shipping_address",
    "contacts",
    "memo",
    "metadata",
    "source_values",
    "customer_name",
    "payment_method_details",
    "institution_name",
    "holder_name",
    "iban",
    "counterparty_name",
    "counterparty_iban",
]


def test_personal_fields_are_marked_and_outside_every_projection():
    marked = set()
    for document_type in registry.types():
        described = registry.contract(document_type).description
        personal = {f.name for f in described.fields if f.personal}
        marked |= personal
        assert personal.isdisjoint(path.split(".")[0] for path in described.projection)
    assert marked == set(PERSONAL)
