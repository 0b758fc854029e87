"""Payloads with their normal form and hash, kept for good: what they are may never change."""

from __future__ import annotations

import json

import pytest
import rfc8785

from penstock.contracts import normal, registry
from penstock.model.rejection import Rejection
from tests.contracts.examples import ACCEPTED_NAMES, accepted, examine, golden


@pytest.mark.parametrize("name", ACCEPTED_NAMES)
def test_a_golden_payload_keeps_its_normal_form_and_hashes(name):
    example = golden(name)
    document_type = example["document_type"]
    contract = registry.contract(document_type)
    found = accepted(document_type, example["payload"])
    assert json.loads(found.content) == example["normal_form"]
    assert found.payload_hash.hex() == example["payload_hash"]
    assert contract.posting_hash(found.content) == example["posting_hash"]
    assert found.lifecycle == example["lifecycle"]
    assert [[flag.code, flag.path] for flag in found.flags] == example["flags"]
    assert contract.version == example["contract_version"]


@pytest.mark.parametrize("name", ACCEPTED_NAMES)
def test_the_bytes_are_those_of_a_second_implementation_of_rfc_8785(name):
    example = golden(name)
    content = accepted(example["document_type"], example["payload"]).content
    assert content == rfc8785.dumps(example["normal_form"])
    assert normal.digest(content).hex() == example["payload_hash"]


@pytest.mark.parametrize("name", ACCEPTED_NAMES)
def test_normalising_twice_is_normalising_once(name):
    example = golden(name)
    once = accepted(example["document_type"], example["payload"])
    again = accepted(example["document_type"], json.loads(once.content))
    assert again.content == once.content
    assert again.flags == once.flags


def test_the_rejected_invoice_lists_every_error_word_for_word():
    example = golden("invoice_rejected")
    found = examine("invoice", example["payload"])
    assert isinstance(found, Rejection)
    assert [error.as_json() for error in found.errors] == example["errors"]
    assert found.message == example["message"]
    assert found.reason == example["reason"]
    assert not found.retryable
    assert not found.errors_truncated
