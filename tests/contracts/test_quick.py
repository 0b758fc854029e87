"""The fast lane never answers anything that the careful examination would not."""

from __future__ import annotations

import copy
import subprocess
import sys
from datetime import date
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from penstock.contracts import registry
from penstock.contracts.quick import Lane
from penstock.contracts.unit import ISO, units
from tests.contracts.examples import ACCEPTED_NAMES, golden

LANES = {name: Lane(registry.contract(name).description) for name in registry.types()}
DAY = date(2026, 3, 9)
IN_THE_LANE = [
    "bank_account",
    "bank_transaction",
    "customer",
    "customer_minimal",
    "invoice",
    "payment",
]


def both(document_type: str, payload: Any, source_id: str | None = None, table=ISO):
    payload = copy.deepcopy(payload)
    quick = LANES[document_type].examine(payload, source_id, DAY, table)
    return quick, registry.contract(document_type).examine_closely(payload, source_id, DAY, table)


@pytest.mark.parametrize("name", IN_THE_LANE)
def test_ordinary_documents_take_the_lane(name):
    example = golden(name)
    quick, careful = both(example["document_type"], example["payload"])
    assert quick is not None
    assert quick == careful


LEAVES = st.one_of(
    st.sampled_from(
        [
            None,
            "",
            " ",
            "x ",
            " x",
            "a\nb",
            'say "x"',
            "\x7f",
            "\x85",
            "\x00",
            "�",
            "é",
            "😀",
            "0",
            "-0.00",
            "1",
            "1.5",
            "1.50",
            "12.345",
            "1e5",
            "01",
            "+1",
            "1,00",
            "١.00",
            "NaN",
            "10000000.00",
            "0.125",
            "999999999999999.99",
            "-3.00",
            "100.00",
            "20.00",
            "120.00",
            "EUR",
            "JPY",
            "BGN",
            "XXX",
            "eur",
            "open",
            "void",
            "draft",
            "other",
            "discount",
            "2026-03-02",
            "2026-02-30",
            "2027-01-01",
            "1969-12-31",
            "2026-03-02T10:00:00Z",
            "2026-03-02T10:00:00+01:00",
            "2026-03-02T24:00:00Z",
            "2026-03-02T10:00:00.1200Z",
            "2100-12-31T23:30:00-01:00",
            "https://x.example",
            "ftp://x",
            "DE",
            "XY",
            "inv_1",
            0,
            1,
            2,
            -1,
            2**31,
            True,
            False,
            1.5,
            Decimal("1.50"),
            Decimal("1E+3"),
            Decimal("NaN"),
            [],
            {},
            [None],
            [{}],
            {"a": "b"},
            {"a": " "},
            {"a": None},
            {"😀": "1", "": "2"},
            date(2026, 3, 2),
            "x" * 256,
            "x" * 5000,
        ]
    ),
    st.text(max_size=8),
    st.integers(),
    st.decimals(allow_nan=False, allow_infinity=False),
)
CENTS = st.integers(-200_000, 2_000_000).map(lambda n: f"{n // 100}.{n % 100:02d}")


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    found = [path]
    if isinstance(value, dict):
        found += [p for k, v in value.items() for p in places(v, (*path, k))]
    elif isinstance(value, list):
        found += [p for i, v in enumerate(value) for p in places(v, (*path, i))]
    return found


@st.composite
def mutated(draw):
    """A golden payload with up to three places changed, removed or added."""
    example = golden(draw(st.sampled_from(ACCEPTED_NAMES)))
    payload = copy.deepcopy(example["payload"])
    known = [field.name for field in registry.contract(example["document_type"]).fields]
    for _ in range(draw(st.integers(0, 3))):
        path = draw(st.sampled_from(places(payload)[1:] or [("unknown",)]))
        target = payload
        for step in path[:-1]:
            target = target[step]
        match draw(st.sampled_from(["set", "set", "set", "drop", "add"])):
            case "set":
                target[path[-1]] = copy.deepcopy(draw(LEAVES))
            case "drop":
                if path != ("unknown",):
                    del target[path[-1]]
            case "add":
                payload[draw(st.sampled_from([*known, "unknown"]))] = copy.deepcopy(draw(LEAVES))
    return example["document_type"], payload


@settings(max_examples=1500, deadline=None)
@given(mutated(), st.sampled_from([None, "inv_1001", "other"]))
def test_what_the_lane_says_the_careful_examination_says(case, source_id):
    quick, careful = both(*case, source_id)
    assert quick is None or quick == careful


@st.composite
def lined_invoice(draw):
    """Amounts near, on and beyond every tolerance."""

    def tax_line():
        line = {"tax_amount": draw(CENTS)}
        if draw(st.booleans()):
            line |= {
                "taxable_amount": draw(CENTS),
                "rate_percent": draw(st.sampled_from(["20", "7.7"])),
            }
        if draw(st.booleans()):
            line["tax_kind"] = draw(st.sampled_from(["vat", "withholding", "reverse_charge"]))
        return line

    lines, net, tax = [], 0, 0
    for _ in range(draw(st.integers(0, 3))):
        quantity, price = draw(st.integers(1, 9)), draw(st.integers(0, 99_999))
        amount = quantity * price // 10 + draw(st.sampled_from([0, 0, 0, 1]))
        due = (amount + 2) // 5 + draw(st.sampled_from([0, 0, 0, 1]))
        net, tax = net + amount, tax + due
        line = {"amount": cents(amount), "quantity": str(quantity), "unit_price": f"{price}e-3"}
        line["unit_price"] = format(Decimal(price).scaleb(-3), "f")
        line["tax_lines"] = [
            {"tax_amount": cents(due), "taxable_amount": cents(amount), "rate_percent": "20"}
        ]
        lines.append(line)
    slip = draw(st.sampled_from([0, 0, 0, 0, 1, -1]))
    payload = {
        "invoice_id": "inv_1",
        "customer_id": "cus_1",
        "status": draw(st.sampled_from(["open", "draft"])),
        "currency": draw(st.sampled_from(["EUR", "EUR", "JPY", "KWD"])),
        "document_date": "2026-03-02",
        "total_amount": cents(net + tax + slip),
        "subtotal": draw(st.sampled_from([None, cents(net), cents(net + slip)])),
        "tax_amount": draw(st.sampled_from([None, cents(tax), cents(tax + slip)])),
        "rounding_amount": draw(st.sampled_from([None, "0.00", cents(slip), "1.01"])),
        "discount_amount": draw(st.sampled_from([None, "0.00", cents(abs(slip))])),
        "line_items": lines,
    }
    if draw(st.integers(0, 3)) == 0:
        payload["tax_lines"] = [tax_line() for _ in range(draw(st.integers(0, 2)))]
    return payload


def cents(minor: int) -> str:
    return f"{'-' if minor < 0 else ''}{abs(minor) // 100}.{abs(minor) % 100:02d}"


@settings(max_examples=1500, deadline=None)
@given(lined_invoice())
def test_sums_that_the_lane_excuses_are_exactly_right(payload):
    quick, careful = both("invoice", payload)
    assert quick is None or quick == careful


def test_declared_units_and_source_ids_of_the_call_take_the_lane_too():
    payload = golden("invoice")["payload"] | {"currency": "POINTS"}
    del payload["invoice_id"]
    quick, careful = both("invoice", payload, "inv_9", units({"POINTS": 2}))
    assert quick is not None
    assert quick == careful
    assert quick.source_id == "inv_9"


FIRST_AT_ONCE = """
import sys, threading
from penstock.contracts.contract import Contract
from penstock.contracts.sales import INVOICE

sys.setswitchinterval(1e-6)
for _ in range(10):
    contract, start = Contract(INVOICE), threading.Barrier(4)
    def first():
        start.wait()
        contract.examine({"invoice_id": "1", "status": "draft"})
    threads = [threading.Thread(target=first) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
"""


def test_several_threads_may_be_the_first_to_ask():
    """In a process of its own, which used to crash."""
    assert subprocess.run([sys.executable, "-c", FIRST_AT_ONCE], check=False).returncode == 0
