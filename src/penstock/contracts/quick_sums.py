"""The sums of a line-bearing document on the fast lane: exact decimals, nothing listed.

The same laws as in `line_rules`, asked all at once of a document whose money is in normal form.
A document that breaks one, or merely needs a warning, is left to those rules.
"""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Context, Decimal, Inexact, InvalidOperation
from typing import Any

from penstock.contracts.line_rules import LARGE_ROUNDING_MINOR
from penstock.contracts.tally import UNCOUNTED_TAX

_EXACT = Context(prec=200, traps=[Inexact, InvalidOperation])
_add, _less, _times = _EXACT.add, _EXACT.subtract, _EXACT.multiply

_NOTHING = Decimal(0)
_HUNDRED = Decimal(100)
_JUDGED_BY_SIGN = ("discount", "description")


def lines_hold(document: Any, exponent: int | None) -> bool:
    """True only if I-L1, I-L2, I-L4, I-L5, I-T1 to I-T5, I-D3 and I-S1 have nothing to say.

    document: the lane's struct with money in normal form and no line numbers; exponent: of its
    currency, None where that is not known.
    """
    if exponent is None:
        return False
    tax_lines: list[Any] = []
    half = Decimal(5).scaleb(-exponent - 1)
    lines = _line_sum(document.line_items, half, tax_lines)
    if lines is None or (tax_lines and document.tax_lines):
        return False
    tax_lines = tax_lines or document.tax_lines or []
    tax = _tax_sum(tax_lines, half) if tax_lines else _NOTHING
    if tax is None:
        return False
    if (stated := document.tax_amount) is not None and (told := Decimal(stated)) != tax:
        if tax_lines:
            return False
        tax = told
    net = _net(document, lines, half)
    return net is not None and Decimal(document.total_amount) == _add(net, tax)


def _line_sum(lines: Sequence[Any], half: Decimal, tax_lines: list[Any]) -> Decimal | None:
    """The sum of the line amounts, None where a line needs a closer look; gathers tax lines."""
    net = _NOTHING
    refs: list[str] = []
    for line in lines:
        amount = Decimal(line.amount)
        net = _add(net, amount)
        if (quantity := line.quantity) is not None and (price := line.unit_price) is not None:
            if line.discount_amount is not None:
                amount = _add(amount, Decimal(line.discount_amount))
            worth = _times(Decimal(quantity), Decimal(price))
            if worth != amount and abs(_less(worth, amount)) > half:
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


def _net(document: Any, lines: Decimal, half: Decimal) -> Decimal | None:
    """S of I-T1 less discount plus rounding."""
    if document.subtotal is not None and Decimal(document.subtotal) != lines:
        return None
    net = lines
    if document.discount_amount is not None:
        net = _less(net, Decimal(document.discount_amount))
    if document.rounding_amount is not None:
        rounding = Decimal(document.rounding_amount)
        if abs(rounding) > LARGE_ROUNDING_MINOR * 2 * half:
            return None
        net = _add(net, rounding)
    return net


def _tax_sum(tax_lines: Sequence[Any], half: Decimal) -> Decimal | None:
    """Σ counted tax, None where a sign is wrong or rates and amounts are too far apart.

    A rated line may be off by half a minor unit, and so may their sum for each of them.
    """
    counted = gap = _NOTHING
    rated = 0
    for line in tax_lines:
        amount = Decimal(line.tax_amount)
        if line.tax_kind not in UNCOUNTED_TAX:
            counted = _add(counted, amount)
        if (taxable := line.taxable_amount) is not None:
            base = Decimal(taxable)
            if base and amount and base.is_signed() != amount.is_signed():
                return None
            if (rate := line.rate_percent) is not None:
                rated += 1
                due = _times(base, Decimal(rate))
                gap = _add(gap, _less(due, _times(amount, _HUNDRED)))
    return None if abs(gap) > rated * _HUNDRED * half else counted
