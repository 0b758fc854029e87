"""How records go wrong: each kind with the one reason code a reader must give it.

A fault spoils what the API shows and never what the company knows, so a corrected record is
simply shown right. The reason codes are those of the contracts, section 6, written down here by
hand: this list is the expectation, not a product of the code it tests.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from decimal import Decimal
from itertools import cycle, islice
from random import Random
from typing import Any

from penstock.simulator.record import Record

Shape = dict[str, Any]


def _as_it_is(rendered: bytes) -> bytes:
    return rendered


def _always(_: Record) -> bool:
    return True


def _unless_void(record: Record) -> bool:
    """A cancelled invoice may show any total: it posts nothing, so its sums are not checked."""
    return getattr(record, "state", "") != "void"


@dataclass(frozen=True, slots=True)
class Fault:
    """One way a record of one kind goes wrong.

    reason: the code its dead letter must have. spoil: shape to shape. spoil_bytes: for what no
    shape can hold. correctable: the reader can still tell which record it is, so the same record
    shown right later settles the matter.
    """

    kind: str
    document: str
    reason: str
    spoil: Callable[[Shape], Shape] = dict
    spoil_bytes: Callable[[bytes], bytes] = _as_it_is
    correctable: bool = True
    strikes: Callable[[Record], bool] = _always

    def fits(self, record: Record) -> bool:
        """Sandbox records are filtered before anybody looks for faults."""
        return record.document == self.document and not record.test and self.strikes(record)


FAULTS = (
    Fault(
        "customer without a name",
        "customer",
        "missing_field",
        lambda shape: shape | {"display_name": None},
    ),
    Fault(
        "total that does not add up",
        "invoice",
        "totals_mismatch",
        lambda shape: shape | {"total": str(Decimal(shape["total"]) + 1)},
        strikes=_unless_void,
    ),
    Fault(
        "money as text with a comma",
        "invoice",
        "invalid_format",
        lambda shape: shape | {"total": shape["total"].partition(".")[0] + ",00"},
    ),
    Fault(
        "currency that does not exist",
        "invoice",
        "invalid_currency",
        lambda shape: shape | {"currency": "EUX"},
    ),
    Fault(
        "day that does not exist",
        "invoice",
        "invalid_format",
        lambda shape: shape | {"due_date": "2025-02-30"},
    ),
    Fault(
        "state nobody knows",
        "invoice",
        "invalid_enum",
        lambda shape: shape | {"state": "on_hold"},
    ),
    Fault(
        "money as a bare number",
        "invoice",
        "invalid_type",
        lambda shape: shape | {"total": int(Decimal(shape["total"]))},
    ),
    Fault(
        "fraction of a cent",
        "invoice",
        "scale_exceeds_currency",
        lambda shape: shape | {"total": str(Decimal(shape["total"]) + Decimal("0.0001"))},
    ),
    Fault(
        "payment without an amount",
        "payment",
        "mapping_error",
        lambda shape: shape | {"amount": None},
    ),
    Fault(
        "payment of less than nothing",
        "payment",
        "out_of_range",
        lambda shape: shape | {"amount": -shape["amount"]},
    ),
    Fault(
        "id of 300 characters",
        "payment",
        "invalid_idempotency_key",
        lambda shape: shape | {"id": shape["id"].ljust(300, "0")},
        correctable=False,
    ),
    Fault(
        "NUL in a text",
        "bank_transaction",
        "invalid_text",
        lambda shape: shape | {"text": "Standing\0order"},
    ),
    Fault(
        "member given twice",
        "bank_transaction",
        "malformed_payload",
        spoil_bytes=lambda rendered: rendered[:-1] + b',"amount":0}',
        correctable=False,
    ),
    Fault(
        "name longer than any name",
        "customer",
        "limit_exceeded",
        lambda shape: shape | {"display_name": shape["display_name"] * 30},
    ),
)


def strike(rng: Random, records: Iterable[Record], count: int) -> dict[str, Fault]:
    """Record id to fault, for `count` records: every kind in turn, so that all of them occur.

    Fewer where a kind finds no record left that it fits.
    """
    pools: dict[str, list[Record]] = {}
    for record in records:
        pools.setdefault(record.document, []).append(record)
    victims = {name: iter(rng.sample(pool, len(pool))) for name, pool in pools.items()}
    struck: dict[str, Fault] = {}
    for fault in islice(cycle(FAULTS), count):
        victim = next((r for r in victims[fault.document] if fault.fits(r)), None)
        if victim:
            struck[victim.id] = fault
    return struck
