"""Rules of all types and of dated documents: references, pairs, dates, rates (I-R, I-D, I-X)."""

from __future__ import annotations

from penstock.contracts import temporal
from penstock.contracts.finding import Finding
from penstock.contracts.rule import Findings, Record, Rule, Scene, flaw, warn

FUTURE_DAYS = 2


def _supersedes_another(scene: Scene) -> Findings:
    for index, ref in enumerate(scene.record["supersedes"]):
        itself = (scene.document_type, scene.source_id, None)
        if (ref.get("document_type"), ref.get("source_id"), ref.get("connection_id")) == itself:
            message = "a document cannot supersede itself"
            yield Finding("invariant_violation", message, "I-R2", ("supersedes", index))


SUPERSEDES_ANOTHER = Rule(
    "I-R2",
    "supersedes does not name the document itself",
    _supersedes_another,
    when=("supersedes",),
)


def names_another(name: str) -> Rule:
    """I-R2 for a reference to a document of the same type."""

    def check(scene: Scene) -> Findings:
        if scene.record[name] == scene.source_id:
            return flaw("invariant_violation", name, f"{name} names the document itself", "I-R2")
        return ()

    return Rule("I-R2", f"{name} does not name the document itself", check, when=(name,))


def needs(wanted: str, *by: str, invariant: str = "I-R5") -> Rule:
    """I-R5: `wanted` is required with any of the others."""

    def check(scene: Scene) -> Findings:
        if wanted in scene.record:
            return ()
        cause = next(name for name in by if name in scene.record)
        return flaw("missing_field", wanted, f"{wanted} is required with {cause}", invariant)

    says = f"{wanted} is required with {' or '.join(by)}"
    return Rule(invariant, says, check, inputs=(wanted,), when=by)


def excludes(first: str, second: str) -> Rule:
    """I-R5: not both; the second is the excess one."""

    def check(scene: Scene) -> Findings:
        return _both(scene.record, first, second)

    says = f"{first} and {second} exclude each other"
    return Rule("I-R5", says, check, when=(second,))


def _both(record: Record, first: str, second: str) -> Findings:
    if first not in record:
        return ()
    return flaw("invariant_violation", second, f"{second} and {first} exclude each other", "I-R5")


def _dated(scene: Scene) -> Findings:
    if scene.on_date is not None:
        return ()
    return flaw("missing_field", "document_date", "document_date is required", "I-D4")


def dated(*sources: str) -> Rule:
    """I-D4: at least one date source of the type has a value."""
    names = ("document_date", *sources)
    says = f"at least one of {', '.join(names)} has a value"
    return Rule("I-D4", says, _dated, inputs=names, always=True)


def _not_future(scene: Scene) -> Findings:
    if scene.observed_on is None or scene.on_date is None:
        return ()
    if scene.on_date <= temporal.days_after(scene.observed_on, FUTURE_DAYS):
        return ()
    message = f"{scene.on_date} is more than {FUTURE_DAYS} days after the record was received"
    return warn("future_dated", "document_date", message, "I-D2")


NOT_FUTURE = Rule(
    "I-D2", "the document date is at most the observed day + 2", _not_future, warning=True
)


def _due_after_issue(scene: Scene) -> Findings:
    due = scene.record["due_date"]
    if scene.on_date is None or due >= scene.on_date:
        return ()
    message = f"due_date {due} is before the document date {scene.on_date}"
    return warn("due_before_issue", "due_date", message, "I-D1")


DUE_AFTER_ISSUE = Rule(
    "I-D1",
    "due_date is not before the document date",
    _due_after_issue,
    when=("due_date",),
    warning=True,
)


def _fx(scene: Scene) -> Findings:
    fx = scene.record["fx"]
    source, target = fx["from_currency"], fx["to_currency"]
    if source != scene.record["currency"]:
        message = f"fx.from_currency {source} is not the document's {scene.record['currency']}"
        yield Finding("invariant_violation", message, "I-X1", ("fx", "from_currency"))
    if source == target:
        message = f"fx.from_currency and fx.to_currency are both {source}"
        yield Finding("invariant_violation", message, "I-X1", ("fx", "to_currency"))


FX = Rule(
    "I-X1",
    "fx.from_currency is the document's currency; the two currencies of fx differ; its rate is > 0",
    _fx,
    inputs=("currency", "fx.from_currency", "fx.to_currency"),
    when=("fx",),
)


def party_named(name: str) -> Rule:
    """I-P4: a customer is named."""

    def check(scene: Scene) -> Findings:
        if name in scene.record:
            return ()
        return warn("missing_party", name, f"{name} is not given", "I-P4")

    return Rule("I-P4", f"{name} is named", check, warning=True)


DOCUMENT_RULES = (NOT_FUTURE, FX)
