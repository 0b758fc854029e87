"""The sums of a line-bearing document on the fast lane: exact, in whole numbers, nothing listed.

The same laws as in `line_rules`, asked all at once of a document whose money is in normal form.
A document that breaks one, or merely needs a warning, is left to those rules.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from penstock.contracts.line_rules import LARGE_ROUNDING_MINOR
from penstock.contracts.tally import FIXED, UNCOUNTED_TAX, fixed

_SQUARE = FIXED * FIXED
_JUDGED_BY_SIGN = ("discount", "description")


def lines_hold(document: Any, exponent: int | None) -> bool:
    """True only if I-L1, I-L2, I-L4, I-L5, I-T1 to I-T5, I-D3 and I-S1 have nothing to say.

    document: the lane's struct with money in normal form and no line numbers; exponent: of its
    currency, None where that is not known.
    """
    if exponent is None:
        return False
    tax_lines: list[Any] = []
    lines = _line_sum(document.line_items, 10**exponent, tax_lines)
    if lines is None or (tax_lines and document.tax_lines):
        return False
    tax_lines = tax_lines or document.tax_lines or []
    tax = _tax_sum(tax_lines) if tax_lines else 0
    if tax is None:
        return False
    stated = document.tax_amount
    if stated is not None and int(stated.replace(".", "")) != tax:
        if tax_lines:
            return False
        tax = int(stated.replace(".", ""))
    net = _net(document, lines)
    return net is not None and int(document.total_amount.replace(".", "")) == net + tax


def _line_sum(lines: Sequence[Any], per_unit: int, tax_lines: list[Any]) -> int | None:
    """The sum of the line amounts, None where a line needs a closer look; gathers tax lines."""
    net = 0
    refs: list[str] = []
    for line in lines:
        amount = int(line.amount.replace(".", ""))
        net += amount
        if (quantity := line.quantity) is not None and (price := line.unit_price) is not None:
            if line.discount_amount is not None:
                amount += int(line.discount_amount.replace(".", ""))
            gap = fixed(quantity) * fixed(price) * per_unit - amount * _SQUARE
            if gap and abs(gap) * 2 > _SQUARE:
                return None
        if (ref := line.line_ref) is not None:
            refs.append(ref)
        if (taxes := line.tax_lines) is not None:
            tax_lines += taxes
        if line.line_type in _JUDGED_BY_SIGN:
            return None
        if (end := line.service_end_date) is not None and (line.service_start_date or end) > end:
            return None
    return net if len(set(refs)) == len(refs) else None


def _net(document: Any, lines: int) -> int | None:
    """S of I-T1 less discount plus rounding."""
    if document.subtotal is not None and int(document.subtotal.replace(".", "")) != lines:
        return None
    net = lines
    if document.discount_amount is not None:
        net -= int(document.discount_amount.replace(".", ""))
    if document.rounding_amount is not None:
        rounding = int(document.rounding_amount.replace(".", ""))
        if abs(rounding) > LARGE_ROUNDING_MINOR:
            return None
        net += rounding
    return net


def _tax_sum(tax_lines: Sequence[Any]) -> int | None:
    """Σ counted tax, None where a sign is wrong or rates and amounts are too far apart."""
    counted = gap = rated = 0
    for line in tax_lines:
        amount = int(line.tax_amount.replace(".", ""))
        if line.tax_kind not in UNCOUNTED_TAX:
            counted += amount
        if (taxable := line.taxable_amount) is not None:
            base = int(taxable.replace(".", ""))
            if base * amount < 0:
                return None
            if (rate := line.rate_percent) is not None:
                rated += 1
                gap += base * fixed(rate) - amount * 100 * FIXED
    return None if abs(gap) * 2 > rated * 100 * FIXED else counted
