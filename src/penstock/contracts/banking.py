"""Where money stands and moves: bank_account, bank_transaction."""

from __future__ import annotations

from penstock.contracts.description import Description, lifecycles
from penstock.contracts.document_rules import (
    DOCUMENT_RULES,
    SUPERSEDES_ANOTHER,
    dated,
    names_another,
    needs,
)
from penstock.contracts.field import Field
from penstock.contracts.finding import Finding
from penstock.contracts.kind import Choice, Id, Text
from penstock.contracts.rule import Findings, Rule, Scene, flaw, warn
from penstock.contracts.shared import (
    ALL,
    BOOL,
    CURRENCY,
    DATE,
    INSTANT,
    OPAQUE,
    P_DOC,
    SIGNED,
    doc,
    pair,
)
from penstock.contracts.unit import minor

BANK_ACCOUNT = Description(
    document_type="bank_account",
    title="An account at a bank, a card, a loan, a processor's balance, a cash box",
    natural_id="bank_account_id",
    fields=(
        Field("bank_account_id", Id()),
        *ALL,
        Field("name", Text(255), required=True, personal=True),
        Field("currency", CURRENCY, required=True, meaning="never changes"),
        Field(
            "account_type",
            Choice(
                (
                    "checking",
                    "savings",
                    "credit_card",
                    "loan",
                    "processor_balance",
                    "cash",
                    "other",
                )
            ),
            default="checking",
        ),
        Field(
            "feed_mode",
            Choice(("authoritative", "none")),
            default="none",
            meaning="authoritative: only bank transactions post to this account",
        ),
        *pair(meaning="its ledger account"),
        Field("institution_name", Text(255), personal=True),
        Field("holder_name", Text(255), personal=True),
        Field("institution_id", OPAQUE),
        Field("persistent_id", OPAQUE, meaning="survives re-linking"),
        Field("mask", Text(8), meaning="last characters of the number"),
        Field("iban", Text(34), personal=True),
        Field("bic", Text(11)),
        Field("routing_number", Text(34)),
        Field("active", BOOL, default=True),
        Field("opened_on", DATE),
        Field("current_balance", SIGNED, meaning="reported, a debt is negative"),
        Field("available_balance", SIGNED, meaning="reported, a debt is negative"),
        Field("balance_at", INSTANT),
    ),
    rules=(
        SUPERSEDES_ANOTHER,
        needs("balance_at", "current_balance", "available_balance"),
    ),
    projection=("currency", "account_type", "feed_mode", "account_id", "account_code"),
    fixed=("currency",),
)


def _pending_only_posted(scene: Scene) -> Findings:
    if scene.record["status"] == "posted":
        return ()
    message = "pending_transaction_id is given only when status is posted"
    return flaw("invariant_violation", "pending_transaction_id", message, "I-B4")


PENDING_ONLY_POSTED = Rule(
    "I-B4",
    "pending_transaction_id only when status is posted",
    _pending_only_posted,
    inputs=("status",),
    when=("pending_transaction_id",),
)


def _not_zero(scene: Scene) -> Findings:
    if minor(scene.record["amount"]):
        return ()
    return warn("zero_amount", "amount", "amount is 0", "I-B5")


NOT_ZERO = Rule("I-B5", "amount is not 0", _not_zero, inputs=("amount",), warning=True)


def _same_sign(scene: Scene) -> Findings:
    original, amount = scene.record["original_amount"], scene.record["amount"]
    if minor(original) * minor(amount) >= 0:
        return
    message = f"original_amount {original} has not the sign of amount {amount}"
    yield Finding("out_of_range", message, "I-S1", ("original_amount",), stage=4)


SAME_SIGN = Rule(
    "I-S1",
    "original_amount is signed like amount",
    _same_sign,
    inputs=("amount", "original_amount"),
    when=("original_amount",),
)

BANK_TRANSACTION = Description(
    document_type="bank_transaction",
    title="One row of an account's feed; positive when money enters the account",
    natural_id="transaction_id",
    fields=(
        Field("transaction_id", Id()),
        *ALL,
        *doc("pending", "posted"),
        Field("bank_account_id", Id("bank_account"), required=True),
        Field("amount", SIGNED, required=True, meaning="+ = into the account"),
        Field("transaction_date", DATE, required=True, meaning="booking date"),
        Field("value_date", DATE),
        Field("authorized_date", DATE),
        Field("description", Text(4000), personal=True, meaning="statement text"),
        Field("category", Text(255), meaning="the provider's guess"),
        Field("counterparty_name", Text(255), personal=True),
        Field("counterparty_iban", Text(34), personal=True),
        Field("reference_number", Text(255)),
        Field("check_number", Text(255)),
        Field("bank_code", Text(255), meaning="the bank's transaction code"),
        Field("original_currency", CURRENCY, meaning="before conversion"),
        Field("original_amount", SIGNED, currency="original_currency"),
        Field(
            "pending_transaction_id",
            Id("bank_transaction"),
            meaning="pending row that became this one",
        ),
        Field("bank_statement_id", Id("bank_statement")),
        Field("balance_after", SIGNED, meaning="check only"),
    ),
    rules=(
        dated("transaction_date"),
        SUPERSEDES_ANOTHER,
        *DOCUMENT_RULES,
        needs("original_currency", "original_amount"),
        needs("original_amount", "original_currency"),
        SAME_SIGN,
        names_another("pending_transaction_id"),
        PENDING_ONLY_POSTED,
        NOT_ZERO,
    ),
    projection=(*P_DOC, "bank_account_id", "amount"),
    lifecycles=lifecycles(draft="pending", opened="posted"),
    dates=("transaction_date",),
    party="bank_account_id",
    number="reference_number",
    posts=True,
)
