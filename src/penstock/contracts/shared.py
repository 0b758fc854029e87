"""Shared blocks and field groups of contracts, section 3: declarations only."""

from __future__ import annotations

from penstock.contracts.catalogue import TYPES
from penstock.contracts.field import OUTER, Block, Field, Many, Nested
from penstock.contracts.kind import (
    PERCENT,
    Boolean,
    Choice,
    Country,
    Currency,
    Day,
    Id,
    Instant,
    Integer,
    Money,
    Number,
    Text,
    Url,
)
from penstock.contracts.open_map import Labels, SourceValues

OPAQUE = Id(opaque=True)
DATE = Day()
INSTANT = Instant()
BOOL = Boolean()
CURRENCY = Currency()
SIGNED = Money(None)
MONEY = Money("zero")
POSITIVE = Money("positive")
DECIMAL = Number()
MAP = Labels()
TAX_KINDS = ("sales", "vat", "gst", "withholding", "reverse_charge", "other")

REF = Block(
    "ref",
    (
        Field("document_type", Choice(TYPES), required=True),
        Field("source_id", Id(), required=True),
        Field("connection_id", Id(), meaning="absent = same connection"),
    ),
)
ADDRESS = Block(
    "address",
    (
        *(Field(name, Text(255)) for name in ("line1", "line2", "line3")),
        *(Field(name, Text(120)) for name in ("city", "region")),
        Field("postal_code", Text(40)),
        Field("country", Country()),
        Field("text", Text(1000), meaning="when only an unstructured form exists"),
    ),
    any_of=("line1", "line2", "line3", "city", "region", "postal_code", "country", "text"),
)
CONTACT = Block(
    "contact",
    tuple(Field(name, Text(255)) for name in ("name", "role", "email", "phone")),
    any_of=("name", "email", "phone"),
)
TAX_ID = Block(
    "tax_id",
    (
        Field("value", Text(64), required=True),
        Field("scheme", Text(40), meaning="for instance eu_vat"),
        Field("country", Country()),
    ),
)
FX = Block(
    "fx",
    (
        Field("from_currency", CURRENCY, required=True, meaning="the document's currency"),
        Field("to_currency", CURRENCY, required=True),
        Field(
            "rate",
            Number("positive", invariant="I-X1"),
            required=True,
            meaning="units of to_currency for one of from_currency",
        ),
        Field("as_of", DATE),
        Field(
            "rate_origin",
            Choice(("document", "processor", "table", "manual", "other")),
            default="document",
        ),
    ),
)
TAX_LINE = Block(
    "tax_line",
    (
        Field("tax_amount", SIGNED, required=True, meaning="sign of the taxed amount"),
        Field("tax_rate_id", Id("tax_rate")),
        Field("name", Text(255), personal=True),
        Field("authority", Text(255)),
        Field("rate_percent", PERCENT),
        Field("taxable_amount", SIGNED, meaning="signed likewise"),
        Field("tax_kind", Choice(TAX_KINDS, steers=True)),
        Field(
            "recoverable_percent",
            Number("zero", 100, "I-F8"),
            default="100",
            meaning="purchases only",
        ),
    ),
)
FEE_DETAIL = Block(
    "fee_detail",
    (
        Field("amount", SIGNED, required=True, meaning="in the settlement currency"),
        Field(
            "fee_type",
            Choice(("processing", "platform", "tax", "currency_conversion", "dispute", "other")),
            default="processing",
        ),
        Field("description", Text(255), personal=True),
    ),
)


def pair(prefix: str = "", meaning: str = "") -> tuple[Field, ...]:
    """`X_account_id` and `X_account_code`: the id decides, a code alone finds the account."""
    name = f"{prefix}_account" if prefix else "account"
    return (
        Field(f"{name}_id", Id("account"), meaning=meaning),
        Field(f"{name}_code", Text(64)),
    )


def trio(prefix: str, meaning: str = "") -> tuple[Field, ...]:
    """The pair and `X_bank_account_id`, for sides that are a bank or provider balance."""
    return (*pair(prefix, meaning), Field(f"{prefix}_bank_account_id", Id("bank_account")))


LINE_TYPES = (
    "product", "service", "shipping", "fee", "tip", "discount", "rounding", "description", "other",
)  # fmt: skip
LINE_ITEM = Block(
    "line_item",
    (
        Field("amount", SIGNED, required=True, meaning="net of tax, after discount_amount"),
        Field("line_number", Integer(1), meaning="display order, default the position"),
        Field("line_ref", OPAQUE, meaning="the provider's line id"),
        Field("line_type", Choice(LINE_TYPES, steers=True)),
        Field("description", Text(4000), personal=True),
        Field("product_id", Id("item")),
        *pair(meaning="account the source books the line to"),
        Field("quantity", DECIMAL, meaning="informative"),
        Field("unit_price", DECIMAL, meaning="price without tax"),
        Field("discount_amount", MONEY, meaning="already taken off amount"),
        Field("tax_lines", Many(Nested(TAX_LINE), 50)),
        Field("service_start_date", DATE),
        Field("service_end_date", DATE),
        Field("dimensions", MAP, meaning="overrides the document's, name by name"),
    ),
    reserved={"line_key": "the envelope"},
    numbered="line_number",
)


def allocation(target: str, kind: str) -> Block:
    """What part of this document is used on which invoice or bill."""
    return Block(
        "allocation",
        (
            Field("amount", POSITIVE, required=True, meaning="part of this document used"),
            Field(target, Id(kind)),
            Field("target", Nested(REF)),
            Field("currency", CURRENCY, meaning="the target's; default the document's"),
            Field(
                "document_amount",
                POSITIVE,
                currency=OUTER,
                meaning="the same part in this document's currency",
            ),
            Field("allocated_on", DATE, meaning="default the effective date"),
            Field("discount_amount", MONEY),
            Field("withheld_amount", MONEY),
        ),
        currency="currency",
    )


ALL = (
    Field(
        "source_version",
        Text(255),
        outside=True,
        meaning="revision mark at the provider; not part of the hash",
    ),
    Field(
        "source_updated_at",
        INSTANT,
        outside=True,
        meaning="last change at the provider; not part of the hash",
    ),
    Field("external_url", Url(), meaning="page of the record at the provider"),
    Field("subsidiary_id", OPAQUE, meaning="legal entity inside the source"),
    Field("supersedes", Many(Nested(REF), 20), meaning="documents this one replaces"),
    Field("metadata", MAP, personal=True, meaning="labels that users set at the provider"),
    Field("source_values", SourceValues(), personal=True, meaning="leftovers, by provider"),
)


def doc(*statuses: str) -> tuple[Field, ...]:
    """DOC: what every transactional type has."""
    values = (*statuses, "deleted", "other")
    approvals = ("draft", "pending_approval", "approved", "rejected", "void")
    return (
        Field("status", Choice(values, steers=True), required=True, meaning="state at the source"),
        Field("currency", CURRENCY, required=True, meaning="document currency"),
        Field("document_date", DATE, meaning="date on the source document"),
        Field("effective_date", DATE, meaning="accounting date that decides the period"),
        Field("approval_status", Choice(approvals), meaning="reported approval"),
        Field("memo", Text(4000), personal=True),
        Field("dimensions", MAP, meaning="class, department, project"),
        Field("fx", Nested(FX), meaning="rate the source used"),
    )


LINES = (
    Field("total_amount", MONEY, required=True, meaning="what is owed, with tax"),
    Field("subtotal", SIGNED, meaning="before document discount and tax"),
    Field("discount_amount", MONEY, meaning="document-level discount, not repeated as a line"),
    Field("tax_amount", SIGNED),
    Field("rounding_amount", SIGNED),
    Field("line_items", Many(Nested(LINE_ITEM), 2000)),
    Field("tax_lines", Many(Nested(TAX_LINE), 200), meaning="when tax is known per document only"),
    Field("prices_include_tax", BOOL, meaning="informative"),
    Field(
        "tax_rounding",
        Choice(("per_line", "per_document", "unknown")),
        default="unknown",
        meaning="informative",
    ),
)

METHOD = (
    Field("payment_method", Text(255), meaning="the provider's word"),
    Field(
        "payment_method_type",
        Choice(("check", "credit_card", "ach", "cash", "wire", "other")),
    ),
    Field("payment_method_details", MAP, personal=True),
    Field("reference_number", Text(100)),
)

_SETTLED = "settlement_currency"
SETTLE = (
    Field(_SETTLED, CURRENCY, meaning="default the document's currency"),
    Field("settlement_amount", POSITIVE, currency=_SETTLED, meaning="gross as converted"),
    Field("fee_amount", MONEY, currency=_SETTLED, meaning="fee kept back"),
    Field("net_amount", SIGNED, currency=_SETTLED, meaning="effect on the provider balance"),
    Field("fee_details", Many(Nested(FEE_DETAIL), 50), currency=_SETTLED),
    Field("charge_id", OPAQUE),
    Field("balance_transaction_id", OPAQUE),
    Field("settlement_payout_id", Id("payout"), meaning="payout that contains this movement"),
)

P_DOC = (
    "lifecycle",
    "document_date",
    "effective_date",
    "currency",
    "fx.from_currency",
    "fx.to_currency",
    "fx.rate",
    "subsidiary_id",
    "dimensions",
)
_P_TAX = ("tax_rate_id", "tax_kind", "tax_amount", "recoverable_percent", "authority")
_P_LINE = (
    "amount", "line_type", "product_id", "account_id", "account_code",
    "service_start_date", "service_end_date", "dimensions",
)  # fmt: skip
P_LINES = (
    "total_amount",
    "subtotal",
    "discount_amount",
    "tax_amount",
    "rounding_amount",
    *(f"line_items.{name}" for name in _P_LINE),
    *(f"line_items.tax_lines.{name}" for name in _P_TAX),
    *(f"tax_lines.{name}" for name in _P_TAX),
)
P_ALLOCATION = ("allocations",)
P_SETTLE = (
    "settlement_currency",
    "settlement_amount",
    "fee_amount",
    "fee_details.fee_type",
    "fee_details.amount",
    "settlement_payout_id",
    "has_provider_movement",
)
