"""The door: names that are served, names that are known, names that are meant."""

from __future__ import annotations

import pytest

from penstock.contracts import registry
from penstock.contracts.catalogue import OTHER_WORDS, TYPES
from penstock.errors import UnknownDocumentTypeError


def test_five_of_the_twenty_seven_types_are_served():
    assert set(registry.types()) == {
        "customer", "bank_account", "invoice", "payment", "bank_transaction",
    }  # fmt: skip
    assert len(TYPES) == len(set(TYPES)) == 27
    assert set(registry.types()) < set(TYPES)
    assert set(OTHER_WORDS.values()) <= set(TYPES)


def test_a_contract_says_what_it_is():
    contract = registry.contract("bank_transaction")
    assert contract.document_type == "bank_transaction"
    assert contract.version == "1.0"
    assert contract.natural_id == "transaction_id"


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("bill", "did you mean vendor_bill?"),
        ("credit_note", "did you mean credit_memo?"),
        ("invoices", "did you mean invoice?"),
        ("custmer", "did you mean customer?"),
        ("Bank-Transaction", "did you mean bank_transaction?"),
        ("credit_memo", "credit_memo is in the catalogue but not served yet"),
        ("zzzz", "'zzzz' is no document type"),
    ],
)
def test_an_unknown_type_is_answered_with_near_ones(name, hint):
    with pytest.raises(UnknownDocumentTypeError) as caught:
        registry.contract(name)
    assert hint in caught.value.message
    assert "customer" in caught.value.message
    assert caught.value.code == "unknown_document_type"


def test_a_type_that_is_no_text_is_refused_too():
    for name in (None, 5, [], "x" * 10_000):
        with pytest.raises(UnknownDocumentTypeError) as caught:
            registry.contract(name)
        assert len(caught.value.message) < 300
