"""The names of the catalogue: 27 document types, and what other systems call them."""

from __future__ import annotations

CATALOGUE_VERSION = "1.0"

TYPES = (
    "customer", "vendor", "account", "item", "tax_rate", "exchange_rate", "bank_account",
    "invoice", "credit_memo", "sales_receipt", "refund_receipt", "vendor_bill", "vendor_credit",
    "bill_payment", "expense", "payment", "deposit", "bank_transfer", "journal_entry", "payout",
    "dispute", "balance_adjustment", "bank_transaction", "quote", "sales_order",
    "purchase_order", "bank_statement",
)  # fmt: skip
"""Contracts, section 4.0."""

OTHER_WORDS = {
    "bill": "vendor_bill",
    "supplier": "vendor",
    "client": "customer",
    "contact": "customer",
    "product": "item",
    "service": "item",
    "credit_note": "credit_memo",
    "refund": "refund_receipt",
    "receipt": "sales_receipt",
    "transfer": "bank_transfer",
    "transaction": "bank_transaction",
    "journal": "journal_entry",
    "charge": "payment",
    "chargeback": "dispute",
    "statement": "bank_statement",
    "estimate": "quote",
    "order": "sales_order",
    "supplier_bill": "vendor_bill",
    "purchase": "vendor_bill",
}
"""Words of other systems, so that an unknown name is answered with ours (D1)."""
