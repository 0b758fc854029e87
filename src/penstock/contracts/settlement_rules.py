"""Rules of money that moves and of what it settles: processors and allocations (I-P, I-A)."""

from __future__ import annotations

from penstock.contracts.finding import Finding
from penstock.contracts.rule import Findings, Record, Rule, Scene, flaw
from penstock.contracts.unit import Unit, minor


def converted(amount: str, currency: str) -> Rule:
    """I-P1: `amount` stands there exactly when `currency` is another than the document's."""

    def check(scene: Scene) -> Findings:
        record = scene.record
        differs = _differs(record, currency)
        if differs and amount not in record:
            message = f"{amount} is required with a {currency} other than {record['currency']}"
            return flaw("missing_field", amount, message, "I-P1")
        if not differs and amount in record:
            message = f"{amount} is given although {currency} is the document's"
            return flaw("invariant_violation", amount, message, "I-P1")
        return ()

    says = f"{amount} is present exactly when {currency} differs from currency"
    return Rule("I-P1", says, check, inputs=("currency", currency, amount), when=(currency, amount))


def _differs(record: Record, currency: str) -> bool:
    return bool(record.get(currency, record["currency"]) != record["currency"])


def _settled_in(scene: Scene) -> Unit:
    return scene.unit.table.governing(scene.record.get("settlement_currency"), scene.unit)


def net_after_fee(gross: str) -> Rule:
    """I-P2 on a payment: the net is settlement_amount, else the gross, less fee_amount."""

    def check(scene: Scene) -> Findings:
        record = scene.record
        settled = record.get("settlement_amount")
        if settled is None and _differs(record, "settlement_currency"):
            return ()  # nothing to compare with; I-P1 asks for the amount
        net = minor(settled if settled is not None else record[gross])
        net -= minor(record.get("fee_amount"))
        if net == minor(record["net_amount"]):
            return ()
        text = _settled_in(scene).text
        message = f"net_amount {record['net_amount']} is not {text(net)}, the gross less fee_amount"
        return flaw("totals_mismatch", "net_amount", message, "I-P2")

    says = f"net_amount = settlement_amount (else {gross}) - fee_amount"
    settlement = ("settlement_amount", "settlement_currency", "currency")
    inputs = ("net_amount", "fee_amount", gross, *settlement)
    return Rule("I-P2", says, check, inputs=inputs, when=("net_amount",))


def _fee_sum(scene: Scene) -> Findings:
    record = scene.record
    fees = sum(minor(detail["amount"]) for detail in record["fee_details"])
    if fees == minor(record.get("fee_amount")):
        return ()
    text = _settled_in(scene).text
    stated = record.get("fee_amount", "without a value")
    message = f"fee_amount {stated} is not the sum of fee_details, {text(fees)}"
    return flaw("totals_mismatch", "fee_amount", message, "I-P3")


FEE_SUM = Rule(
    "I-P3",
    "fee_amount = Σ fee_details[].amount, when details are given",
    _fee_sum,
    inputs=("fee_amount", "fee_details.amount", "settlement_currency", "currency"),
    when=("fee_details",),
)


def allocated_within(total: str) -> Rule:
    """I-A1: what is allocated is at most what there is."""

    def check(scene: Scene) -> Findings:
        record = scene.record
        if any(_unconverted(part, scene) for part in record["allocations"]):
            return ()  # nothing to add up; I-A2 asks for the amount
        parts = [part.get("document_amount", part["amount"]) for part in record["allocations"]]
        allocated = sum(map(minor, parts))
        if allocated <= minor(record[total]):
            return ()
        message = f"allocations come to {scene.unit.text(allocated)}, over {total} {record[total]}"
        return flaw("invariant_violation", "allocations", message, "I-A1")

    says = f"Σ allocations (document_amount, else amount) ≤ {total}"
    parts = ("allocations.amount", "allocations.document_amount", "allocations.currency")
    inputs = (total, "currency", *parts)
    return Rule("I-A1", says, check, inputs=inputs, when=("allocations",))


def _unconverted(part: Record, scene: Scene) -> bool:
    return "document_amount" not in part and part.get("currency", scene.code) != scene.code


def _document_amount(scene: Scene, part: Record) -> Findings:
    if not scene.code:
        return ()  # the document's own currency was refused
    differs = part.get("currency", scene.code) != scene.code
    given = "document_amount" in part
    if differs and not given:
        message = f"document_amount is required with a currency other than {scene.code}"
        return flaw("missing_field", "document_amount", message, "I-A2")
    if given and not differs:
        message = "document_amount is given although the currency is the document's"
        return flaw("invariant_violation", "document_amount", message, "I-A2")
    return ()


DOCUMENT_AMOUNT = Rule(
    "I-A2",
    "document_amount is present exactly when the allocation's currency differs",
    _document_amount,
    inputs=("currency", "document_amount"),
    rows="allocations",
)


def allocation_target(named: str, kinds: tuple[str, ...]) -> Rule:
    """I-A5: exactly one target member, of a kind listed for the type."""

    def check(_scene: Scene, part: Record) -> Findings:
        target = part.get("target")
        if target is None and named not in part:
            return flaw("missing_field", named, f"{named} or target is required", "I-A5")
        if target is not None and named in part:
            message = f"target and {named} exclude each other"
            return flaw("invariant_violation", "target", message, "I-A5")
        if target is not None and target["document_type"] not in kinds:
            message = f"target must be {' or '.join(kinds)}, not {target['document_type']}"
            path = ("target", "document_type")
            return (Finding("invariant_violation", message, "I-A5", path),)
        return ()

    says = f"exactly one of {named} and target, which names {' or '.join(kinds)}"
    inputs = (named, "target.document_type")
    return Rule("I-A5", says, check, inputs=inputs, rows="allocations")


def _receipt_alone(scene: Scene) -> Findings:
    for other in ("invoice_id", "allocations"):
        if other in scene.record:
            message = f"sales_receipt_id and {other} exclude each other"
            return flaw("invariant_violation", "sales_receipt_id", message, "I-A6")
    return ()


RECEIPT_ALONE = Rule(
    "I-A6",
    "sales_receipt_id excludes invoice_id and allocations",
    _receipt_alone,
    when=("sales_receipt_id",),
)
