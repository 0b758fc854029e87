"""Who one deals with: customer."""

from __future__ import annotations

from penstock.contracts.description import Description
from penstock.contracts.document_rules import SUPERSEDES_ANOTHER, names_another, needs
from penstock.contracts.field import Field, Many, Nested
from penstock.contracts.kind import Choice, Id, Integer, Text
from penstock.contracts.shared import (
    ADDRESS,
    ALL,
    BOOL,
    CONTACT,
    CURRENCY,
    MONEY,
    OPAQUE,
    SIGNED,
    TAX_ID,
)

CUSTOMER = Description(
    document_type="customer",
    title="Somebody who buys from us",
    natural_id="customer_id",
    fields=(
        Field("customer_id", Id()),
        *ALL,
        Field("name", Text(255), required=True, personal=True, meaning="display name"),
        Field("company_name", Text(255), personal=True, meaning="legal name"),
        Field("email", Text(255), personal=True),
        Field("phone", Text(255), personal=True),
        Field("description", Text(4000), personal=True),
        Field("entity_type", Choice(("individual", "company"))),
        Field("active", BOOL, default=True),
        Field("currency", CURRENCY, meaning="usual currency"),
        Field("balance", SIGNED, meaning="reported, + = customer owes; for checks only"),
        Field("credit_limit", MONEY),
        Field("tax_exempt", BOOL, default=False),
        Field("tax_exempt_ref", Text(255), meaning="certificate or reason"),
        Field("tax_ids", Many(Nested(TAX_ID), 20), personal=True),
        Field("address", Nested(ADDRESS), personal=True),
        Field("billing_address", Nested(ADDRESS), personal=True),
        Field("shipping_address", Nested(ADDRESS), personal=True),
        Field("contacts", Many(Nested(CONTACT), 20), personal=True),
        Field("payment_terms", Text(120), meaning="as printed"),
        Field("payment_terms_days", Integer(0, 3650), meaning="net days"),
        Field("parent_id", Id("customer"), meaning="roll-up"),
        Field("merged_into_id", Id("customer"), meaning="survivor of a merge"),
        Field("default_revenue_account_id", Id("account")),
        Field("accounts_receivable_account_id", Id("account")),
        Field("default_tax_rate_id", Id("tax_rate")),
        Field("category_ids", Many(OPAQUE, 100, distinct=True)),
        Field("price_level_id", OPAQUE),
        Field("sales_rep_id", OPAQUE),
        Field(
            "erasure_requested",
            BOOL,
            default=False,
            meaning="privacy erasure asked for at the source",
        ),
    ),
    rules=(
        SUPERSEDES_ANOTHER,
        needs("currency", "balance", "credit_limit"),
        names_another("parent_id"),
        names_another("merged_into_id"),
    ),
    projection=(
        "merged_into_id",
        "tax_exempt",
        "default_revenue_account_id",
        "accounts_receivable_account_id",
        "default_tax_rate_id",
    ),
)
