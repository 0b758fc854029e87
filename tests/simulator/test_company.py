"""A company is decided by its seed, has the size asked for, and moves only when it ticks."""

from __future__ import annotations

from decimal import Decimal

import pytest

from penstock.simulator import Company
from penstock.simulator.faults import FAULTS

from .reader import decode


def rows(company: Company) -> dict[str, tuple[bytes, ...]]:
    return {name: listing.rows for name, listing in company.listings.items()}


def test_the_same_seed_gives_the_same_bytes_through_all_ticks():
    one, other = Company(seed=7, records=300), Company(seed=7, records=300)
    for _ in range(3):
        assert rows(one) == rows(other)
        assert one.truth() == other.truth()
        assert one.tick() == other.tick()
    assert rows(one) == rows(other)


def test_another_seed_gives_another_company():
    assert rows(Company(seed=1, records=100)) != rows(Company(seed=2, records=100))


@pytest.mark.parametrize("records", [20, 57, 500, 2000])
def test_it_has_exactly_the_records_asked_for(records: int):
    company = Company(records=records)
    assert sum(len(r) for r in rows(company).values()) == records
    assert all(rows(company).values())


def test_it_refuses_sizes_and_shares_that_mean_nothing():
    with pytest.raises(ValueError, match="at least 20 records, not 19"):
        Company(records=19)
    with pytest.raises(ValueError, match=r"between 0 and 0\.5"):
        Company(faulty=1.5)


def test_one_percent_is_faulty_and_every_kind_occurs():
    truth = Company(records=2000, faulty=0.01).truth()
    assert sum(truth.dead_letters.values()) == 20
    assert set(truth.dead_letters) == {fault.reason for fault in FAULTS}


def test_without_faults_everything_but_the_sandbox_becomes_a_document():
    truth = Company(records=500, faulty=0).truth()
    assert truth.dead_letters == {}
    assert truth.documents + truth.filtered == truth.fetched == 500
    assert truth.filtered > 0


def test_there_is_a_customer_who_pays_in_yen():
    customers = [decode(row) for row in rows(Company(records=20))["customer"]]
    assert "JPY" in {customer["currency"] for customer in customers}


def test_balances_are_what_was_booked():
    company = Company(seed=3, records=600)
    before = balances(company)
    for _ in range(3):
        moved = booked(company)
        company.tick()
        after, moved_now = balances(company), booked(company)
        for account in after:
            assert after[account] - before[account] == moved_now[account] - moved[account]
        before = after


def balances(company: Company) -> dict[str, Decimal]:
    return {a["id"]: a["balance"] for a in map(decode, rows(company)["bank_account"])}


def booked(company: Company) -> dict[str, Decimal]:
    """Sum of the booked transactions; a malformed one repeats its amount, so take the first."""
    sums = dict.fromkeys(balances(company), Decimal(0))
    for row in rows(company)["bank_transaction"]:
        transaction = decode(row.replace(b',"amount":0}', b"}"))
        if transaction["state"] == "booked":
            sums[transaction["account"]] += transaction["amount"]
    return sums


@pytest.mark.parametrize("records", [20, 400])
def test_every_tick_moves_every_kind_of_thing_and_says_what(records: int):
    company = Company(seed=5, records=records)
    for _ in range(10):
        before = company.truth()
        moved = company.tick()
        after = company.truth()
        for name, expected in after.expected.items():
            was = before.expected[name]
            assert expected.documents - was.documents == moved[name].created
            assert expected.versions - was.versions == moved[name].created + moved[name].updated
            assert expected.filtered - was.filtered == moved[name].filtered
        assert sum(m.created for m in moved.values()) > 0
        assert sum(m.updated for m in moved.values()) > 0
        assert sum(m.touched for m in moved.values()) > 0
        assert after.now > before.now


def test_ticks_correct_what_a_reader_can_still_recognise():
    company = Company(records=2000, faulty=0.01)
    lasting = {fault.reason for fault in FAULTS if not fault.correctable}
    first = company.truth().dead_letters
    company._faulty = 0.0  # no new ones, so that the old ones can be seen to go
    for _ in range(25):
        company.tick()
    last = company.truth().dead_letters
    assert set(last) == lasting
    assert {reason: first[reason] for reason in lasting} == last
