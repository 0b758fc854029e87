"""Examining, comparing and reading back; and nothing a caller hands in makes it raise."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from enum import StrEnum
from types import MappingProxyType

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from penstock.contracts import registry
from penstock.contracts.accepted import Accepted
from penstock.model import times
from penstock.model.rejection import Rejection
from tests.contracts.examples import (
    BANK_ACCOUNT,
    EXAMPLES,
    accepted,
    bent,
    examine,
    invoice,
    kept,
    payment,
    reasons,
)


def test_the_facets_and_marks_of_an_invoice():
    found = accepted(
        "invoice",
        invoice(
            document_number="7",
            source_version="12",
            source_updated_at="2026-03-01T09:30:00.1234569+01:00",
        ),
    )
    assert (found.status, found.on_date, found.party, found.number) == (
        "open", "2026-03-02", "cus_1", "7",
    )  # fmt: skip
    assert registry.contract("invoice").facets(found.content) == found[6:10]
    assert found.source_id == "inv_1"
    assert found.source_version == "12"
    assert found.source_updated_at == times.read("2026-03-01T08:30:00.123456Z")
    assert b"source_" not in found.content


def test_the_marks_do_not_change_the_hash():
    plain = accepted("invoice", invoice())
    marked = accepted(
        "invoice", invoice(source_version="2", source_updated_at="2026-03-01T09:30:00Z")
    )
    assert marked.payload_hash == plain.payload_hash


def test_what_was_stored_reads_back_as_a_payload_with_its_marks():
    payload = invoice(source_version="2", source_updated_at="2026-03-01T09:30:00.5Z")
    found = accepted("invoice", payload)
    contract = registry.contract("invoice")
    read = contract.read(found.content, found.source_version, found.source_updated_at)
    assert read == payload
    assert accepted("invoice", read) == found
    assert contract.read(found.content, None, None) == invoice()


@pytest.mark.parametrize(
    ("changes", "day"),
    [
        ({}, "2026-03-02"),
        ({"document_date": None, "issued_at": "2026-03-02T23:30:00-05:00"}, "2026-03-03"),
        ({"issued_at": "2026-01-01T00:00:00Z"}, "2026-03-02"),
    ],
)
def test_the_document_date_is_the_first_source_with_a_value(changes, day):
    assert accepted("invoice", invoice(**changes)).on_date == day
    assert accepted("payment", payment(payment_date=None, paid_at="2026-03-05T10:00:00Z")).on_date


def test_no_value_means_no_value_in_every_form():
    bare = kept("invoice", invoice())
    empty = {"memo": None, "po_number": "", "customer_name": " \t", "supersedes": [], "fx": {}}
    empty |= {"metadata": {"a": " "}, "billing_address": {"line1": "", "city": None}}
    empty |= {"source_values": {"acme": {"x": None, "y": {"z": []}}}, "due_date": "", "paid_at": []}
    assert kept("invoice", invoice(**empty)) == bare


def test_defaults_and_line_numbers_by_position_are_not_kept():
    lines = [{"amount": "100.00", "line_number": 1}, {"amount": "20.00", "line_number": 3}]
    found = kept("invoice", invoice(tax_rounding="unknown", line_items=lines))
    assert "tax_rounding" not in found
    assert found["line_items"] == [{"amount": "100.00"}, {"amount": "20.00", "line_number": 3}]
    account = BANK_ACCOUNT | {"active": True, "feed_mode": "none", "account_type": "checking"}
    assert kept("bank_account", account) == BANK_ACCOUNT


def test_python_values_are_written_in_the_forms_of_the_contract():
    class Status(StrEnum):
        OPEN = "open"

    found = kept(
        "invoice",
        invoice(
            status=Status.OPEN,
            total_amount=Decimal("120"),
            line_items=[{"amount": Decimal("1.2E+2"), "quantity": Decimal("2.50")}],
            document_date=date(2026, 3, 2),
            issued_at=datetime(2026, 3, 2, 1, 0, 0, 500, tzinfo=timezone(timedelta(hours=1))),
            source_values={"acme": {"rate": Decimal("0.10"), "day": date(2026, 3, 2)}},
        ),
    )
    assert found["status"] == "open"
    assert found["total_amount"] == "120.00"
    assert found["line_items"] == [{"amount": "120.00", "quantity": "2.5"}]
    assert found["document_date"] == "2026-03-02"
    assert found["issued_at"] == "2026-03-02T00:00:00.0005Z"
    assert found["source_values"] == {"acme": {"rate": "0.10", "day": "2026-03-02"}}


@pytest.mark.parametrize(
    ("value", "code"),
    [
        (120, "invalid_type"),
        (120.0, "invalid_type"),
        (True, "invalid_type"),
        (float("nan"), "invalid_type"),
        pytest.param(10**5000, "invalid_type", id="endless"),
        (Decimal("NaN"), "invalid_type"),
        (Decimal("Infinity"), "invalid_type"),
        (Decimal("1E+999999"), "invalid_format"),
        (Decimal("1E-999999"), "invalid_format"),
        (b"120", "invalid_type"),
        ("1" * 10_000, "invalid_format"),
    ],
)
def test_what_is_no_decimal_is_refused_shortly(value, code):
    found = examine("invoice", invoice(total_amount=value))
    assert isinstance(found, Rejection)
    assert (found.reason, found.errors[0].path) == (code, "/total_amount")
    assert len(found.message) < 250


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (2400, 'total_amount must be a decimal string such as "2400.00", not the number 2400'),
        (125.0, 'total_amount must be a decimal string such as "125.00", not the number 125.0'),
        (True, 'total_amount must be a decimal string such as "125.00", not a boolean'),
    ],
)
def test_a_number_for_money_is_answered_with_what_it_may_mean(value, message):
    found = examine("invoice", invoice(total_amount=value))
    assert isinstance(found, Rejection)
    assert found.errors[0].message == message


def test_a_naive_datetime_names_no_instant():
    naive = datetime(2026, 3, 2)
    assert reasons("invoice", invoice(issued_at=naive)) == [("invalid_type", "/issued_at", None)]
    assert reasons("invoice", invoice(document_date=naive.replace(tzinfo=UTC)))


def test_a_hundred_errors_are_listed_and_the_rest_counted():
    lines = [{"amount": "1,00"} for _ in range(130)]
    found = examine("invoice", invoice(line_items=lines))
    assert isinstance(found, Rejection)
    assert len(found.errors) == 100
    assert found.errors_truncated
    assert found.more == 30
    assert found.message.endswith("(and 129 more errors)")
    paths = [error.path for error in found.errors]
    assert paths == [f"/line_items/{n}/amount" for n in range(100)]


def test_names_in_paths_are_escaped_as_rfc_6901_says():
    assert reasons("invoice", invoice(**{"a/b~c": "1"})) == [("unknown_field", "/a~1b~0c", "I-F6")]


SECRET = "S3CRET-Ada-Lovelace"


@pytest.mark.parametrize(
    ("document_type", "changes"),
    [
        ("customer", {"email": SECRET * 20}),
        ("customer", {"phone": SECRET + "\x00"}),
        ("customer", {"tax_ids": [{"value": SECRET * 9, "country": SECRET}]}),
        ("customer", {"contacts": [{"name": SECRET, SECRET[:0] + "x": SECRET}]}),
        ("customer", {"billing_address": {"country": SECRET}}),
        ("customer", {"metadata": {"k": SECRET * 99}}),
        ("customer", {"source_values": {"acme": {"k": SECRET + "\x00"}}}),
        ("bank_account", {"iban": SECRET * 3}),
        ("bank_transaction", {"counterparty_name": [SECRET]}),
    ],
)
def test_messages_quote_nothing_personal(document_type, changes):
    found = examine(document_type, bent(document_type, **changes))
    assert isinstance(found, Rejection)
    assert all(SECRET[:6] not in error.message for error in found.errors)


def test_messages_quote_at_most_64_characters_of_anything():
    found = examine("invoice", invoice(customer_id="x" * 300, status="y" * 300, currency="z" * 300))
    assert isinstance(found, Rejection)
    for error in found.errors:
        assert all(letter * 65 not in error.message for letter in "xyz")


def deep(levels: int):
    value: object = "x"
    for _ in range(levels):
        value = {"a": value}
    return value


def test_depth_is_limited_at_sixteen_and_hopeless_beyond_sixty_four():
    assert reasons("invoice", invoice(source_values={"p": deep(13)})) == []
    too_deep = reasons("invoice", invoice(source_values={"p": deep(15)}))
    assert [(code, invariant) for code, _, invariant in too_deep] == [("limit_exceeded", "I-F8")]
    hopeless = invoice(source_values={"p": deep(64)}, total_amount=5)
    assert reasons("invoice", hopeless) == [("malformed_payload", "", None)]
    elsewhere = reasons("invoice", invoice(memo=deep(20)))
    assert ("invalid_type", "/memo", None) in elsewhere
    assert [code for code, _, _ in elsewhere] == ["invalid_type", "limit_exceeded"]


def test_cycles_and_lists_within_themselves_come_to_an_end():
    ring: dict = {}
    ring["a"] = ring
    assert reasons("invoice", invoice(source_values={"p": ring})) == [
        ("malformed_payload", "", None)
    ]
    ring_payload = invoice()
    ring_payload["memo"] = ring_payload
    assert reasons("invoice", ring_payload) == [("malformed_payload", "", None)]
    bomb: list = []
    for _ in range(12):
        bomb = [bomb] * 12
    found = reasons("invoice", invoice(source_values={"p": {"x": bomb}}))
    assert [code for code, _, _ in found] == ["payload_too_large"]


def test_two_mebibytes_are_the_limit_to_the_byte():
    def sized(extra: int):
        payload = invoice(memo=" ")
        size = len(json.dumps(payload, separators=(",", ":")))
        payload["memo"] = " " * (2_097_152 - size + 1 + extra)
        return payload

    assert reasons("invoice", sized(0)) == []
    assert reasons("invoice", sized(1)) == [("payload_too_large", "", None)]
    for blanks in ({"metadata": {"a": " " * 2_200_000}}, {"customer_name": " " * 2_200_000},
                   {"source_values": {"acme": {"x": " " * 2_200_000}}}):  # fmt: skip
        assert reasons("invoice", invoice(**blanks)) == [("payload_too_large", "", None)]
    huge = invoice(line_items=[{"amount": "0.06", "description": "x" * 2000} for _ in range(2000)])
    assert reasons("invoice", huge) == [("payload_too_large", "", None)]


@pytest.mark.parametrize(
    "payload",
    [
        None, 5, "x", [], [invoice()], b"{}", object(), invoice, MappingProxyType(invoice()),
        {1: 2}, {None: None}, {("a",): 1}, invoice() | {5: "x"},
    ],
)  # fmt: skip
def test_what_is_not_one_json_object_is_malformed(payload):
    assert [code for code, _, _ in reasons("invoice", payload)] == ["malformed_payload"]


@pytest.mark.parametrize("text", ["a\x00b", "\ud800", "x\udfff"])
def test_nul_and_lone_surrogates_are_invalid_anywhere(text):
    for changes in (
        {"memo": text}, {"invoice_id": text}, {"source_values": {"a": {"b": [text]}}},
        {"metadata": {"a": text}}, {"metadata": {text: "a"}}, {"supersedes": [text]},
        {"source_values": {"a": {text: "1"}}}, {"status": text},
    ):  # fmt: skip
        assert "invalid_text" in [code for code, _, _ in reasons("invoice", invoice(**changes))]


JSON_LIKE = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5)
    | st.decimals() | st.dates() | st.datetimes(timezones=st.none() | st.just(UTC)) | st.binary(),
    lambda inner: st.lists(inner, max_size=4)
    | st.dictionaries(st.text(max_size=4) | st.integers(), inner, max_size=4),
    max_leaves=12,
)  # fmt: skip


@settings(max_examples=400, deadline=None)
@given(st.data())
def test_bad_data_never_raises(data):
    document_type = data.draw(st.sampled_from(sorted(EXAMPLES)))
    names = [field.name for field in registry.contract(document_type).fields]
    payload = dict(EXAMPLES[document_type])
    for name in data.draw(st.lists(st.sampled_from(names), max_size=3)):
        payload[name] = data.draw(JSON_LIKE)
    found = examine(document_type, payload)
    assert isinstance(found, Accepted | Rejection)
    if isinstance(found, Accepted):
        again = accepted(document_type, json.loads(found.content), source_id=found.source_id)
        assert again.content == found.content


class TestCompare:
    """Stage 6: from the current version to the next."""

    def compare(self, document_type, before, after):
        contract = registry.contract(document_type)
        current = accepted(document_type, before)
        errors, flags = contract.compare(current.content, accepted(document_type, after))
        return [(e.code, e.path, e.invariant) for e in errors], [
            (f.code, f.path, f.invariant) for f in flags
        ]

    def test_a_bank_account_keeps_its_currency(self):
        changed = BANK_ACCOUNT | {"currency": "USD"}
        assert self.compare("bank_account", BANK_ACCOUNT, changed) == (
            [("immutable_field", "/currency", "I-V3")],
            [],
        )
        assert self.compare("bank_account", BANK_ACCOUNT, BANK_ACCOUNT | {"name": "x"}) == ([], [])

    def test_another_currency_on_another_type_is_flagged(self):
        found = self.compare("invoice", invoice(), invoice(currency="USD"))
        assert found == ([], [("currency_changed", "/currency", "I-V3")])
        with_one = bent("customer", currency="EUR")
        assert self.compare("customer", bent("customer"), with_one) == ([], [])

    @pytest.mark.parametrize(
        ("before", "after", "backwards"),
        [
            ("draft", "open", False),
            ("draft", "void", False),
            ("open", "paid", False),
            ("paid", "uncollectible", False),
            ("open", "void", False),
            ("uncollectible", "open", False),
            ("void", "deleted", False),
            ("open", "other", False),
            ("other", "draft", False),
            ("open", "draft", True),
            ("void", "open", True),
            ("deleted", "void", True),
            ("uncollectible", "draft", True),
        ],
    )
    def test_the_lifecycle_moves_forward(self, before, after, backwards):
        _, flags = self.compare("invoice", invoice(status=before), invoice(status=after))
        expected = [("lifecycle_backwards", "/status", "I-V4")] if backwards else []
        assert flags == expected


def test_the_lifecycle_of_stored_content():
    contract = registry.contract("invoice")
    assert contract.lifecycle(accepted("invoice", invoice(status="paid")).content) == "open"
    assert registry.contract("customer").lifecycle(b'{"name":"x"}') is None
