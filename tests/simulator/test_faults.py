"""Faults are really in the bytes that leave the provider."""

from __future__ import annotations

import json

import pytest

from penstock.simulator import Company, serve
from penstock.simulator.faults import FAULTS, Fault

from .reader import Reader, decode, recount


@pytest.fixture(scope="module")
def company() -> Company:
    return Company(records=2000, faulty=0.02)


def bodies(company: Company) -> dict[str, bytes]:
    with serve(company) as served:
        reader = Reader(served.url, served.token)
        return {
            name: reader.get(f"/{name}", limit=1000)[1]
            for name in ("customers", "invoices", "payments", "bank_transactions")
        }


def test_the_raw_bytes_show_each_kind(company: Company):
    shown = bodies(company)
    assert b'"display_name":null' in shown["customers"]
    assert b',00","paid"' in shown["invoices"]
    assert b'"currency":"EUX"' in shown["invoices"]
    assert b'"due_date":"2025-02-30"' in shown["invoices"]
    assert b'"state":"on_hold"' in shown["invoices"]
    assert b'"amount":null' in shown["payments"]
    assert b'"amount":-' in shown["payments"]
    assert b"0" * 200 + b'","customer"' in shown["payments"]
    assert b"Standing\\u0000order" in shown["bank_transactions"]
    assert any(row.count(b'"amount":') == 2 for row in company.listings["bank_transaction"].rows)


def test_a_page_with_faulty_records_is_json_all_the_same(company: Company):
    for body in bodies(company).values():
        assert json.loads(body)["data"]


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.kind)
def test_each_kind_spoils_a_sound_record_and_only_as_it_says(fault: Fault):
    sound = Company(records=300, faulty=0)
    before = [decode(row) for row in sound.listings[fault.document].rows]
    assert recount(fault.document, before).dead_letters == {}
    victims = [r for r in before if not r.get("test") and r.get("state") != "void"]
    after = [
        decode(fault.spoil_bytes(json.dumps(fault.spoil(r), default=str).encode())) for r in victims
    ]
    assert recount(fault.document, after).dead_letters == {fault.reason: len(victims)}


def test_sandbox_records_and_cancelled_sums_are_left_alone(company: Company):
    for entries in company._entries.values():
        for entry in entries.values():
            if entry.fault:
                assert not entry.record.test
                if entry.fault.reason == "totals_mismatch":
                    assert entry.record.state != "void"
