"""The sums over a document's lines, taken once and exact, for all rules that compare them.

Money is counted in minor units; decimals are whole numbers of 10^-12, which the pattern of
contracts 1.2 never exceeds. So all arithmetic is on integers and nothing is ever rounded.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any, NamedTuple

from penstock.contracts.unit import minor

FIXED_DIGITS = 12
FIXED = 10**FIXED_DIGITS
UNCOUNTED_TAX = ("withholding", "reverse_charge")


class Tally(NamedTuple):
    """Sums in minor units; None where there is nothing to sum.

    rated: tax lines that state both a taxable amount and a rate. rated_gap: Σ taxable × rate - Σ
    tax over them, in 10^-14 minor units (a rate is a number of hundredths). tax_clash: a tax amount
    has not the sign of what it is taken on.
    """

    lines: int | None
    tax: int | None
    tax_on_lines: bool
    tax_on_document: bool
    rated: int
    rated_gap: int
    tax_clash: bool


def tally(record: dict[str, Any]) -> Tally:
    """Sum a record in normal form. Members that were refused are absent and count 0."""
    lines = record.get("line_items")
    document_tax = record.get("tax_lines")
    tax_lines = [*document_tax] if document_tax else []
    total = 0
    on_lines = False
    for line in lines or ():
        total += minor(line.get("amount"))
        if line_tax := line.get("tax_lines"):
            on_lines = True
            tax_lines += line_tax
    tax, rated, gap, clash = _tax(tax_lines)
    return Tally(
        total if lines else None,
        tax if tax_lines else None,
        on_lines,
        bool(document_tax),
        rated,
        gap,
        clash,
    )


def _tax(tax_lines: list[dict[str, Any]]) -> tuple[int, int, int, bool]:
    counted = rated = gap = 0
    clash = False
    for line in tax_lines:
        amount = minor(line.get("tax_amount"))
        if line.get("tax_kind") not in UNCOUNTED_TAX:
            counted += amount
        if (taxable := line.get("taxable_amount")) is not None:
            base = minor(taxable)
            clash = clash or base * amount < 0
            if (rate := line.get("rate_percent")) is not None:
                rated += 1
                gap += base * fixed(rate) - amount * 100 * FIXED
    return counted, rated, gap, clash


@lru_cache(maxsize=8192)
def fixed(text: str) -> int:
    """A decimal text as a whole number of 10^-12."""
    whole, _, digits = text.partition(".")
    return int(whole + digits.ljust(FIXED_DIGITS, "0"))
