"""Rules of line-bearing documents: totals, lines, taxes (I-L, I-T, I-D3, I-S1)."""

from __future__ import annotations

from collections.abc import Iterator

from penstock.contracts.finding import Finding, Step
from penstock.contracts.rule import Findings, Record, Rule, Scene, flaw, warn
from penstock.contracts.tally import FIXED, Tally, fixed
from penstock.contracts.unit import minor

LARGE_ROUNDING_MINOR = 100

_LINE_AMOUNTS = ("currency", "line_items.amount")
_TAX_AMOUNTS = (
    "currency",
    "line_items.tax_lines.tax_amount",
    "line_items.tax_lines.tax_kind",
    "tax_lines.tax_amount",
    "tax_lines.tax_kind",
)


def _sums(scene: Scene) -> Tally:
    assert scene.tally is not None, "asked of line-bearing documents only"
    return scene.tally


def _subtotal(scene: Scene) -> Findings:
    lines, stated = _sums(scene).lines, scene.record["subtotal"]
    if lines is None or lines == minor(stated):
        return ()
    message = f"subtotal {stated} is not the sum of the line amounts, {scene.unit.text(lines)}"
    return flaw("totals_mismatch", "subtotal", message, "I-L1")


SUBTOTAL = Rule(
    "I-L1",
    "subtotal = Σ line_items[].amount when both are given",
    _subtotal,
    inputs=("subtotal", *_LINE_AMOUNTS),
    when=("subtotal",),
)


def _lines_required(scene: Scene) -> Findings:
    if "line_items" in scene.record or scene.lifecycle == "draft":
        return ()
    return flaw("missing_field", "line_items", "line_items is required", "I-L3")


LINES_REQUIRED = Rule(
    "I-L3",
    "at least one line, unless status is draft",
    _lines_required,
    inputs=("line_items", "status"),
)


def _unique_numbers(scene: Scene) -> Findings:
    taken: dict[int, int] = {}
    for index, line in enumerate(scene.record["line_items"]):
        number = line.get("line_number", index + 1)
        if (first := taken.setdefault(number, index)) != index:
            message = f"line_number {number} is already used by line_items/{first}"
            path = ("line_items", index, "line_number")
            yield Finding("invariant_violation", message, "I-L4", path)


def _numbers(scene: Scene) -> Findings:
    lines = scene.record["line_items"]
    return _unique_numbers(scene) if any("line_number" in line for line in lines) else ()


def _refs(scene: Scene) -> Findings:
    refs = [line.get("line_ref") for line in scene.record["line_items"]]
    return _repeated_refs(refs) if len(set(refs)) < len(refs) else ()


def _repeated_refs(refs: list[str | None]) -> Findings:
    taken: dict[str, int] = {}
    for index, ref in enumerate(refs):
        if ref is not None and (first := taken.setdefault(ref, index)) != index:
            message = f"line_ref {ref[:64]} is already used by line_items/{first}"
            path = ("line_items", index, "line_ref")
            yield Finding("invariant_violation", message, "I-L4", path)


UNIQUE_NUMBERS = Rule(
    "I-L4",
    "line numbers, given or by position, are unique",
    _numbers,
    inputs=("line_items.line_number",),
    when=("line_items",),
)
UNIQUE_REFS = Rule(
    "I-L4",
    "line_ref is unique in the document",
    _refs,
    inputs=("line_items.line_ref",),
    when=("line_items",),
)


def _line_price(scene: Scene, line: Record) -> Findings:
    quantity, price = line.get("quantity"), line.get("unit_price")
    if quantity is None or price is None:
        return ()
    due = minor(line["amount"]) + minor(line.get("discount_amount"))
    gap = fixed(quantity) * fixed(price) * _per_unit(scene) - due * FIXED * FIXED
    if abs(gap) * 2 <= FIXED * FIXED:
        return ()
    message = f"quantity {quantity} × unit_price {price} less the discount is not {line['amount']}"
    return warn("line_price_mismatch", "quantity", message, "I-L2")


def _per_unit(scene: Scene) -> int:
    """How many minor units make one."""
    return int(10 ** (scene.unit.exponent or 0))


LINE_PRICE = Rule(
    "I-L2",
    "|quantity × unit_price - discount_amount - amount| ≤ ½ minor unit",
    _line_price,
    inputs=("amount", "quantity", "unit_price", "discount_amount"),
    when=("quantity",),
    rows="line_items",
    warning=True,
)


def _line_sign(_scene: Scene, line: Record) -> Findings:
    kind, amount = line["line_type"], line["amount"]
    if kind == "description" and minor(amount):
        message = f"a description line has amount 0, not {amount}"
    elif kind == "discount" and minor(amount) > 0:
        message = f"a discount line has an amount of at most 0, not {amount}"
    else:
        return ()
    return flaw("invariant_violation", "amount", message, "I-L5")


LINE_SIGN = Rule(
    "I-L5",
    "description lines have amount 0, discount lines at most 0",
    _line_sign,
    inputs=("amount", "line_type"),
    when=("line_type",),
    rows="line_items",
)


def _service_span(_scene: Scene, line: Record) -> Findings:
    start, end = line.get("service_start_date"), line["service_end_date"]
    if start is None or start <= end:
        return ()
    message = f"service_end_date {end} is before service_start_date {start}"
    return flaw("invariant_violation", "service_end_date", message, "I-D3")


SERVICE_SPAN = Rule(
    "I-D3",
    "service_start_date ≤ service_end_date",
    _service_span,
    inputs=("service_start_date", "service_end_date"),
    when=("service_end_date",),
    rows="line_items",
)


def total_rule(total: str) -> Rule:
    """I-T1 for the member that holds the total (`amount` on an expense)."""

    def check(scene: Scene) -> Findings:
        record, sums = scene.record, _sums(scene)
        net = minor(record["subtotal"]) if "subtotal" in record else sums.lines
        if net is None:
            return ()
        tax = minor(record["tax_amount"]) if "tax_amount" in record else sums.tax or 0
        due = net - minor(record.get("discount_amount")) + tax
        due += minor(record.get("rounding_amount"))
        if due == minor(record[total]):
            return ()
        text = scene.unit.text
        message = f"{total} {record[total]} is not {text(due)}: net {text(net)}, tax {text(tax)}"
        message += ", less discount, plus rounding"
        return flaw("totals_mismatch", total, message, "I-T1")

    says = f"{total} = subtotal - discount_amount + tax_amount + rounding_amount, exact"
    inputs = (total, "subtotal", "discount_amount", "tax_amount", "rounding_amount")
    return Rule("I-T1", says, check, inputs=(*inputs, *_LINE_AMOUNTS, *_TAX_AMOUNTS))


def _tax_sum(scene: Scene) -> Findings:
    stated, tax = scene.record["tax_amount"], _sums(scene).tax
    if tax is None or tax == minor(stated):
        return ()
    message = f"tax_amount {stated} is not the sum of the tax lines, {scene.unit.text(tax)}"
    return flaw("totals_mismatch", "tax_amount", message, "I-T2")


TAX_SUM = Rule(
    "I-T2",
    "tax_amount = Σ counted tax lines (neither withholding nor reverse_charge)",
    _tax_sum,
    inputs=("tax_amount", *_TAX_AMOUNTS),
    when=("tax_amount",),
)


def _rounding(scene: Scene) -> Findings:
    rounding = scene.record["rounding_amount"]
    if abs(minor(rounding)) <= LARGE_ROUNDING_MINOR:
        return ()
    message = f"rounding_amount {rounding} is over {LARGE_ROUNDING_MINOR} minor units"
    return warn("large_rounding", "rounding_amount", message, "I-T3")


ROUNDING = Rule(
    "I-T3",
    "|rounding_amount| ≤ 100 minor units",
    _rounding,
    when=("rounding_amount",),
    warning=True,
)


def _tax_in_one_place(scene: Scene) -> Findings:
    if not _sums(scene).tax_on_lines:
        return ()
    message = "tax_lines stand on the lines already, so not on the document too"
    return flaw("invariant_violation", "tax_lines", message, "I-T4")


TAX_IN_ONE_PLACE = Rule(
    "I-T4",
    "tax lines stand on the lines or on the document, not both",
    _tax_in_one_place,
    inputs=("tax_lines", "line_items.tax_lines"),
    when=("tax_lines",),
)


def _tax_rate(scene: Scene) -> Findings:
    sums = _sums(scene)
    # ½ minor unit for each tax line; the gap is in 10^-14 minor units.
    if abs(sums.rated_gap) * 2 <= sums.rated * 100 * FIXED:
        return ()
    name = "line_items" if sums.tax_on_lines else "tax_lines"
    message = "taxable_amount × rate_percent is not the tax_amount of the tax lines"
    return warn("tax_rate_mismatch", name, message, "I-T5")


TAX_RATE = Rule(
    "I-T5",
    "|Σ taxable_amount × rate_percent ÷ 100 - Σ tax_amount| ≤ ½ minor unit per tax line",
    _tax_rate,
    inputs=_TAX_AMOUNTS,
    when=("line_items", "tax_lines"),
    warning=True,
)


def _tax_signs(scene: Scene) -> Findings:
    if not _sums(scene).tax_clash:
        return
    for place, tax_lines in _tax_places(scene.record):
        for index, line in enumerate(tax_lines):
            if minor(line.get("taxable_amount")) * minor(line.get("tax_amount")) < 0:
                message = f"tax_amount {line['tax_amount']} has not the sign of taxable_amount"
                path = (*place, index, "tax_amount")
                yield Finding("out_of_range", message, "I-S1", path, stage=4)


def _tax_places(record: Record) -> Iterator[tuple[tuple[Step, ...], list[Record]]]:
    yield ("tax_lines",), record.get("tax_lines", [])
    for index, line in enumerate(record.get("line_items", ())):
        yield ("line_items", index, "tax_lines"), line.get("tax_lines", [])


TAX_SIGNS = Rule(
    "I-S1",
    "tax_amount has the sign of taxable_amount",
    _tax_signs,
    inputs=("currency",),
    when=("line_items", "tax_lines"),
)

LINE_RULES = (
    TAX_SIGNS,
    SUBTOTAL,
    UNIQUE_NUMBERS,
    UNIQUE_REFS,
    LINE_PRICE,
    LINE_SIGN,
    SERVICE_SPAN,
    TAX_SUM,
    ROUNDING,
    TAX_IN_ONE_PLACE,
    TAX_RATE,
)
