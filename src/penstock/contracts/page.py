"""The reference page of a contract, Markdown, made from its description."""

from __future__ import annotations

from collections.abc import Iterable

from penstock.contracts.description import Description
from penstock.contracts.field import OUTER, Block, Field
from penstock.contracts.kind import Choice, Money, Number
from penstock.contracts.schema import block_of

_HEAD = ("| Field | Type | Required | Meaning |", "|---|---|---|---|")


def page(described: Description) -> str:
    """Markdown, ending in one line feed."""
    parts = [
        f"# {described.document_type}",
        f"{described.title}. Contract version {described.version}.",
        f"Natural id: `{described.natural_id}`, required unless the ingest call gives `source_id`.",
        "A payload is the full state of one record. Members that are null, blank, `[]` or `{}` "
        "have no value and are dropped.",
        *_dates(described),
        "## Fields",
        _table(described.fields),
        *_lifecycles(described),
        *_blocks(described.fields),
        "## Rules",
        *_rules(described),
        "## Projection",
        _projection(described),
    ]
    return "\n\n".join(parts) + "\n"


def _dates(described: Description) -> Iterable[str]:
    if described.lifecycles:
        names = ", ".join(f"`{name}`" for name in ("document_date", *described.dates))
        yield f"The document date is the first of {names} that has a value."


def _table(fields: Iterable[Field]) -> str:
    rows = (
        f"| `{f.name}` | {_type(f)} | {'yes' if f.required else ''} | {_meaning(f)} |"
        for f in fields
    )
    return "\n".join((*_HEAD, *rows))


def _type(declared: Field) -> str:
    block = block_of(declared.kind)
    notation = declared.kind.notation
    return f"[{notation}](#{block.name})" if block and notation == block.name else notation


def _meaning(declared: Field) -> str:
    kind = declared.kind
    said = [declared.meaning]
    if isinstance(kind, Choice):
        said.append(", ".join(f"`{value}`" for value in kind.values))
    if isinstance(kind, (Money, Number)):
        said.append({None: "signed", "zero": "≥ 0", "positive": "> 0"}[kind.low])
    if isinstance(kind, Number) and kind.high:
        said.append(f"≤ {kind.high}")
    if declared.currency:
        said.append(f"in {declared.currency}" if declared.currency == OUTER
                    else f"in `{declared.currency}`")  # fmt: skip
    if declared.default is not None:
        said.append(f"default `{str(declared.default).lower()}`")
    if declared.personal:
        said.append("personal")
    return "; ".join(word for word in said if word)


def _lifecycles(described: Description) -> Iterable[str]:
    if described.lifecycles:
        yield "## Status"
        rows = (f"| `{status}` | {life} |" for status, life in described.lifecycles.items())
        yield "\n".join(("| Status | Lifecycle |", "|---|---|", *rows))


def _blocks(fields: Iterable[Field]) -> Iterable[str]:
    found: dict[str, Block] = {}
    pending = list(fields)
    while pending:
        block = block_of(pending.pop(0).kind)
        if block is not None and block.name not in found:
            found[block.name] = block
            pending.extend(block.fields)
    for block in found.values():
        yield f"## {block.name}"
        yield _table(block.fields)
        if block.any_of:
            yield f"At least one of {', '.join(block.any_of)} has a value."


def _rules(described: Description) -> Iterable[str]:
    rows = (
        f"| {rule.invariant} | {f'{rule.rows}[]: ' if rule.rows else ''}"
        f"{rule.says.replace('|', chr(92) + '|')} | {'warning' if rule.warning else 'error'} |"
        for rule in described.rules
    )
    yield "\n".join(("| Invariant | Rule | Severity |", "|---|---|---|", *rows))


def _projection(described: Description) -> str:
    names = ", ".join(f"`{name}`" for name in described.projection)
    reader = "Posting reads" if described.posts else "Policies read"
    return f"{reader} {names}."
