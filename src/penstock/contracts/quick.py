"""The fast lane: payloads that are plainly in order, examined at the speed of C.

The careful examination in `contract` is the law; the lane only recognises payloads that must pass
it without a finding, and makes the same bytes. Wherever it is not sure it says None and the
careful examination decides: another currency inside a document, blank text, a void status, white
space at an end of a text. Types, lengths and names are checked by msgspec on classes made from the
description; whatever may need a normal form goes through the field's own reader; sums are
recognised by `excuse`. Take the lane away and nothing changes but the time.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from datetime import date
from operator import attrgetter
from typing import Annotated, Any, Literal

import msgspec

from penstock.contracts import kind as kinds
from penstock.contracts import normal, temporal
from penstock.contracts.accepted import Accepted
from penstock.contracts.description import VOID_LIFECYCLES, Description
from penstock.contracts.document_rules import FUTURE_DAYS
from penstock.contracts.excuse import EXCUSED_CHARACTERS, lines_hold
from penstock.contracts.field import Block, Field, Many, Nested
from penstock.contracts.finding import Found
from penstock.contracts.kind import Kind, Reader, Spot
from penstock.contracts.line_rules import LINE_RULES
from penstock.contracts.open_map import Labels, SourceValues
from penstock.contracts.rule import Rule, Scene
from penstock.contracts.unit import ISO, Unit, Units, are_normal

LARGEST_BYTES = 16_384
"""Longer content is left to the careful examination, which weighs the payload. What the lane
drops (null, [] and {}) cannot blow shorter content up to the limit."""

_ENCODE = msgspec.json.Encoder(order="deterministic").encode
_CONVERT = msgspec.convert
_SUSPICIOUS = re.compile(r'[\x7f-\x9f]|"\s|\s"|\\[^"\\nrt]|"\\[nrt]|\\[nrt]"').search
_NO_PATHS: frozenset[Any] = frozenset()


class Unsure(Exception):  # noqa: N818 - a signal inside the lane
    """The careful examination has to look."""


class Lane:
    """The fast lane of one document type."""

    def __init__(self, description: Description) -> None:
        self._description = description

        self._plan = _Plan(description.block, Spot(description.document_type, ""))
        self._has_lines = description.has_lines
        self._rules = tuple(rule for rule in description.rules if not _excused(rule, description))
        self._touching = _getter([name for rule in self._rules for name in _triggers(rule)])
        self._dates = ("document_date", *description.dates) if description.lifecycles else ()
        self._falls_due = any(f.name == "due_date" for f in description.fields)

    def examine(
        self,
        payload: dict[Any, Any],
        source_id: str | None,
        observed_on: date | None,
        table: Units,
    ) -> Accepted | None:
        """What the careful examination answers, or None where that has to be asked."""
        lifecycle = None
        if self._description.lifecycles:
            try:
                lifecycle = self._description.lifecycles[payload["status"]]
            except (KeyError, TypeError):
                return None
            if lifecycle in VOID_LIFECYCLES:
                return None
        unit = table.governing(payload.get("currency"), table.unknown)
        if unit.withdrawn is not None:
            return None
        try:
            return self._examine(payload, source_id, observed_on, lifecycle, unit)
        except (msgspec.ValidationError, Found, Unsure, UnicodeEncodeError, TypeError):
            return None

    def _examine(
        self,
        payload: dict[Any, Any],
        source_id: str | None,
        observed_on: date | None,
        lifecycle: str | None,
        unit: Unit,
    ) -> Accepted:
        document = _CONVERT(payload, self._plan.struct)
        identity = self._identity(document, source_id)
        self._normalise(document, unit)
        on_date = self._plain_date(document, observed_on) if self._dates else None
        self._hold(document, identity, lifecycle, on_date, unit)
        version, updated_at = document.source_version, document.source_updated_at
        document.source_version = document.source_updated_at = None
        content = _clean(_ENCODE(document), document)
        described = self._description
        return Accepted(
            content,
            normal.digest(content),
            identity,
            version,
            temporal.microseconds(updated_at) if updated_at is not None else None,
            lifecycle,
            document.status if lifecycle is not None else None,
            on_date,
            getattr(document, described.party) if described.party else None,
            getattr(document, described.number) if described.number else None,
            (),
        )

    def _identity(self, document: Any, source_id: str | None) -> str:
        natural: str | None = getattr(document, self._description.natural_id)
        if natural is None:
            natural = source_id
        if natural is None or (source_id is not None and source_id != natural):
            raise Unsure
        return natural

    def _normalise(self, document: Any, unit: Unit) -> None:
        texts: list[str | None] = []
        self._plan.visit(document, unit, texts)
        money = list(filter(None, texts))
        if money and not are_normal(money, unit):
            self._plan.visit_money(document, unit)
            if self._has_lines and max(map(len, money)) > EXCUSED_CHARACTERS:
                raise Unsure

    def _plain_date(self, document: Any, observed_on: date | None) -> str:
        """The document date, where I-D1, I-D2 and I-D4 have nothing to say about it."""
        for name in self._dates:
            if (found := getattr(document, name)) is not None:
                on_date = temporal.local_day(found, "UTC")
                break
        else:
            raise Unsure
        if observed_on is not None and on_date > temporal.days_after(observed_on, FUTURE_DAYS):
            raise Unsure
        if self._falls_due and document.due_date is not None and document.due_date < on_date:
            raise Unsure
        return on_date

    def _hold(
        self, document: Any, identity: str, lifecycle: str | None, on_date: str | None, unit: Unit
    ) -> None:
        """The rules: sums of lines are excused, of the others those are asked that are touched."""
        if self._has_lines and not (document.line_items and lines_hold(document, unit.exponent)):
            raise Unsure
        if not any(self._touching(document)):
            return
        record = msgspec.to_builtins(document)
        kind = self._description.document_type
        scene = Scene(kind, record, unit, identity, lifecycle, on_date, None, None)
        for rule in self._rules:
            for _finding in rule.ask(scene, _NO_PATHS):
                raise Unsure


_IN_THE_LANE = frozenset({"I-D1", "I-D2", "I-D4"})
_LINES_IN_THE_LANE = frozenset({"I-L3", "I-T1", *(rule.invariant for rule in LINE_RULES)})


def _excused(rule: Rule, description: Description) -> bool:
    """What `_plain_date` and `lines_hold` have seen to."""
    return rule.invariant in _IN_THE_LANE or (
        description.has_lines and rule.invariant in _LINES_IN_THE_LANE
    )


def _clean(content: bytes, document: Any) -> bytes:
    """The content, if it has no control characters, no blank text, no text with blank ends."""
    if len(content) > LARGEST_BYTES:
        raise Unsure
    if content.isascii():
        if not (b"\\" in content or b"\x7f" in content):
            # Quotes only stand side by side where a space beside one was made a quote.
            if b'""' not in content.replace(b" ", b'"'):
                return content
    if _SUSPICIOUS(content.decode()):
        raise Unsure
    return normal.utf16_ordered(content, document)


class _Plan:
    """How the objects of one block are checked: a class for msgspec, and what is left to do."""

    def __init__(self, block: Block, spot: Spot) -> None:
        self.numbered = block.numbered
        self.children = {
            f.name: (_Plan(below, spot), isinstance(f.kind, Many))
            for f in block.fields
            if (below := _child(f.kind)) is not None
        }
        structs = {name: plan.struct for name, (plan, _) in self.children.items()}
        self.struct: Any = msgspec.defstruct(
            block.name.title().replace("_", ""),
            sorted(_member(f, structs.get(f.name)) for f in block.fields),
            kw_only=True,
            omit_defaults=True,
            forbid_unknown_fields=True,
            gc=False,
        )
        readers = {f.name: f.kind.reader(Spot(block.name, f.name)) for f in block.fields}
        self.money = {f.name: readers[f.name] for f in block.fields if _is_plain_money(f.kind)}

        self.visit: Callable[[Any, Unit, list[str | None]], None] = _written(block, self, readers)

    def visit_money(self, item: Any, unit: Unit) -> None:
        """Give every amount to its own reader: not all of them are in normal form."""
        for name, read in self.money.items():
            if (value := getattr(item, name)) is not None:
                setattr(item, name, read(value, unit))
        for name, (plan, many) in self.children.items():
            if (below := getattr(item, name)) is not None:
                for child in below if many else (below,):
                    plan.visit_money(child, unit)


def _written(block: Block, plan: _Plan, readers: dict[str, Reader]) -> Any:
    """A function for one block that brings an object and all below it into normal form.

    Money it only gathers, in `texts`. The function is written out member by member, as dataclasses
    write theirs, because looping over a plan cost three times as much as the work itself.
    """
    names: dict[str, Any] = {"Unsure": Unsure, "enumerate": enumerate}
    lines = ["def visit(item, unit, texts):"]
    governing = {f.currency for f in block.fields} | {block.currency}
    for declared in block.fields:
        name, kind = declared.name, declared.kind
        if declared.outside:
            continue
        if name in governing:
            lines += [f" value = item.{name}"]
            lines += [" if value is not None and value != unit.code: raise Unsure"]
        elif name in plan.children:
            lines += _below(name, plan, names)
        elif isinstance(kind, _LEARNED):
            names[f"known_{name}"] = _Learned(readers[name], declared.default)
            lines += _kept(name, f"known_{name}[value]")
        elif not isinstance(kind, _BY_TYPE_ALONE) and name not in plan.money:
            names[f"read_{name}"] = readers[name]
            lines += _kept(name, f"read_{name}(value, unit)")
    if block.any_of:
        absent = " and ".join(f"item.{name} is None" for name in block.any_of)
        lines += [f" if {absent}: raise Unsure"]
    lines += [f" texts += ({''.join(f'item.{name}, ' for name in plan.money)})"]
    exec("\n".join(lines), names)  # noqa: S102 - made of declared names only
    return names["visit"]


def _kept(name: str, normal_form: str) -> list[str]:
    return [
        f" value = item.{name}",
        " if value is not None:",
        f"  kept = {normal_form}",
        f"  if kept is not value: item.{name} = kept",
    ]


def _below(name: str, plan: _Plan, names: dict[str, Any]) -> list[str]:
    child, many = plan.children[name]
    names[f"visit_{name}"] = child.visit
    lines = [f" value = item.{name}", " if value is not None:"]
    if not many:
        return [*lines, f"  visit_{name}(value, unit, texts)"]
    lines += [f"  if not value: item.{name} = None"]
    if not child.numbered:
        return [*lines, "  for entry in value:", f"   visit_{name}(entry, unit, texts)"]
    number = f"entry.{child.numbered}"
    return [
        *lines,
        "  for position, entry in enumerate(value, 1):",
        f"   visit_{name}(entry, unit, texts)",
        f"   if {number} is not None:",
        f"    if {number} != position: raise Unsure",
        f"    {number} = None",
    ]


class _Learned(dict[str, Any]):
    """Text to normal form where the field alone decides; learned from its reader, bounded."""

    def __init__(self, read: Reader, default: object) -> None:
        super().__init__()
        self._read = read
        self._default = default

    def __missing__(self, text: str) -> Any:
        kept = self._read(text, ISO.unknown)
        if len(self) >= kinds.CACHED_VALUES:
            self.clear()
        self[text] = kept = None if kept == self._default else kept
        return kept


def _triggers(rule: Rule) -> tuple[str, ...]:
    """The members whose presence makes a rule worth asking; a rule of rows needs the rows."""
    return (rule.rows,) if rule.rows else rule.when


def _getter(names: Sequence[str]) -> Callable[[Any], tuple[Any, ...]]:
    """The members of those names as a tuple."""
    if len(names) == 1:
        one = attrgetter(names[0])
        return lambda item: (one(item),)
    return attrgetter(*names)


def _child(kind: Kind) -> Block | None:
    if isinstance(kind, Many):
        return _child(kind.of)
    return kind.block if isinstance(kind, Nested) else None


def _is_plain_money(kind: Kind) -> bool:
    return isinstance(kind, kinds.Money) and kind.low != "positive"


_BY_TYPE_ALONE = (kinds.Id, kinds.Text, kinds.Integer, kinds.Boolean, kinds.Choice)


_LEARNED = (kinds.Number, kinds.Day)


def _member(declared: Field, child: Any) -> tuple[str, Any, Any]:
    wanted = _type(declared.kind, child)
    if declared.required:
        return declared.name, wanted, msgspec.NODEFAULT
    if declared.default is not None and not isinstance(declared.kind, kinds.Number):
        return declared.name, wanted, declared.default
    return declared.name, wanted | None, None


def _type(kind: Kind, child: Any) -> Any:
    match kind:
        case kinds.Id():
            return Annotated[str, msgspec.Meta(min_length=1, max_length=kinds.KEY_CHARACTERS)]
        case kinds.Text(characters):
            return Annotated[str, msgspec.Meta(min_length=1, max_length=characters)]
        case kinds.Integer(low, high):
            return Annotated[int, msgspec.Meta(ge=low, le=high)]
        case kinds.Boolean():
            return bool
        case kinds.Choice(values, steers):
            return Literal[tuple(v for v in values if not (steers and v == "other"))]
        case Many(_, limit) if child is not None:
            return Annotated[list[child], msgspec.Meta(max_length=limit)]
        case Nested():
            return child
        case Many():
            return list[Any]
        case _ if isinstance(kind, (Labels, SourceValues)):
            return dict[Any, Any]
    return Annotated[str, msgspec.Meta(min_length=1)]
