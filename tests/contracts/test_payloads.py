"""The payload types for editors have exactly the fields of their contracts."""

from __future__ import annotations

from typing import Literal, get_args, get_origin, get_type_hints

import pytest

from penstock.contracts import registry
from penstock.contracts.kind import Choice
from penstock.contracts.payloads import BankAccountPayload, BankTransactionPayload
from tests.contracts.examples import BANK_ACCOUNT, accepted

TYPED = {"bank_account": BankAccountPayload, "bank_transaction": BankTransactionPayload}


@pytest.mark.parametrize(("document_type", "typed"), TYPED.items())
def test_the_type_has_the_fields_and_required_keys_of_the_contract(document_type, typed):
    fields = registry.contract(document_type).fields
    assert list(typed.__annotations__) == [field.name for field in fields]
    assert typed.__required_keys__ == {field.name for field in fields if field.required}


def literals(annotation):
    if get_origin(annotation) is Literal:
        return set(get_args(annotation))
    return {value for part in get_args(annotation) for value in literals(part)}


@pytest.mark.parametrize(("document_type", "typed"), TYPED.items())
def test_enums_are_spelled_out(document_type, typed):
    hints = get_type_hints(typed)
    for field in registry.contract(document_type).fields:
        if isinstance(field.kind, Choice):
            assert literals(hints[field.name]) == set(field.kind.values), field.name


def test_a_typed_payload_is_a_payload():
    payload: BankAccountPayload = {
        "bank_account_id": "ba_1",
        "name": "Operating",
        "currency": "EUR",
    }
    assert payload == BANK_ACCOUNT
    assert accepted("bank_account", payload).source_id == "ba_1"
