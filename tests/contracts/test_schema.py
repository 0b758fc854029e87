"""The JSON Schema says of shapes what the contract says."""

from __future__ import annotations

import copy
import json
from decimal import Decimal

import jsonschema_rs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from penstock.contracts import registry
from penstock.contracts.accepted import Accepted
from penstock.contracts.kind import is_blank
from tests.contracts.examples import ACCEPTED_NAMES, examine, golden
from tests.contracts.test_quick import places

SCHEMAS = {name: registry.contract(name).json_schema() for name in registry.types()}
VALIDATORS = {name: jsonschema_rs.Draft202012Validator(SCHEMAS[name]) for name in SCHEMAS}
SHAPE = {
    "missing_field", "unknown_field", "reserved_field", "invalid_type", "limit_exceeded",
    "invalid_enum",
}  # fmt: skip
BEYOND = {  # what a schema cannot know
    "scale_exceeds_currency", "invalid_currency", "invalid_text", "totals_mismatch",
    "invariant_violation",
}  # fmt: skip


def without_blanks(value):
    """The payload as a sender writes it who leaves out what has no value."""
    if isinstance(value, dict):
        members = {k: without_blanks(v) for k, v in value.items()}
        return {k: v for k, v in members.items() if not is_blank(v)}
    return [without_blanks(v) for v in value] if isinstance(value, list) else value


@pytest.mark.parametrize("document_type", SCHEMAS)
def test_a_schema_is_a_schema_and_serialises(document_type):
    jsonschema_rs.meta.validate(SCHEMAS[document_type])
    assert json.loads(json.dumps(SCHEMAS[document_type])) == SCHEMAS[document_type]
    assert SCHEMAS[document_type]["additionalProperties"] is False
    assert all(
        block["additionalProperties"] is False for block in SCHEMAS[document_type]["$defs"].values()
    )
    assert SCHEMAS[document_type]["x-penstock-rules"]


@pytest.mark.parametrize("name", ACCEPTED_NAMES)
def test_normal_forms_fit_their_schema(name):
    example = golden(name)
    validator = VALIDATORS[example["document_type"]]
    validator.validate(example["normal_form"])
    validator.validate(without_blanks(example["payload"]))


BENDS = st.sampled_from(
    [
        5,
        True,
        "x" * 300,
        "x" * 5000,
        [],
        {},
        "1,00",
        "1.00",
        "nope",
        ["a"],
        {"a": "b"},
        {"a": 1},
        "2026-03-02",
        "yesterday",
        "2026-03-02T10:00:00Z",
        "EUR",
        "DE",
        "other",
        -1,
        0,
        [{}],
    ]
)


@st.composite
def bent(draw):
    example = golden(draw(st.sampled_from(ACCEPTED_NAMES)))
    payload = copy.deepcopy(example["payload"])
    path = draw(st.sampled_from(places(payload)[1:]))
    target = payload
    for step in path[:-1]:
        target = target[step]
    match draw(st.sampled_from(["set", "set", "drop", "add"])):
        case "set":
            target[path[-1]] = draw(BENDS)
        case "drop":
            del target[path[-1]]
        case "add":
            payload["unlisted"] = "1"
    return example["document_type"], without_blanks(payload)


@settings(max_examples=1200, deadline=None)
@given(bent())
def test_schema_and_contract_agree_on_shapes(case):
    document_type, payload = case
    fits = VALIDATORS[document_type].is_valid(payload)
    found = examine(document_type, payload, source_id=payload.get("invoice_id", "s") or "s")
    if isinstance(found, Accepted):
        assert fits, [error.message for error in VALIDATORS[document_type].iter_errors(payload)]
        return
    shape = [e for e in found.errors if e.code in SHAPE and not conditional(e)]
    if shape and not void(payload):
        assert not fits, shape


def conditional(error):
    """◐ conditions, the natural id and limits over several members are no matter of shape."""
    return (
        error.invariant is not None
        and error.code in ("missing_field", "limit_exceeded")
        and not error.path.startswith("/metadata")
    ) or error.invariant in ("I-L3", "I-P1")


def void(payload):
    return payload.get("status") in ("void", "deleted", "failed", "canceled")


def test_a_decimal_is_text_and_the_second_opinion_takes_ours():
    validator = VALIDATORS["payment"]
    good = golden("payment")["payload"]
    assert validator.is_valid(good)
    for bad in (200, 200.0, Decimal("200.00"), "2e2", "-1.00"):
        assert not validator.is_valid(good | {"amount": bad})


def test_descriptions_name_codes_conditions_and_personal_data():
    schema = SCHEMAS["customer"]
    assert schema["properties"]["email"]["x-penstock-personal"] is True
    assert schema["properties"]["balance"]["description"].startswith("reported")
    rule = "currency is required with balance or credit_limit"
    assert rule in [entry["rule"] for entry in schema["x-penstock-rules"]]
    assert set(BEYOND).isdisjoint(SHAPE)
