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
from penstock.contracts.excuse import lines_hold
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
        self._dates = ("document_date", *description.dates) if description.lifecycles else ()

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
        except (msgspec.ValidationError, Found, Unsure, UnicodeEncodeError):
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
        natural = getattr(document, self._description.natural_id)
        if source_id is not None and natural is not None and natural != source_id:
            raise Unsure
        self._normalise(document, unit)
        scene = self._scene(document, payload, natural or source_id, observed_on, lifecycle, unit)
        self._hold(scene, document)
        return self._accept(document, scene)

    def _normalise(self, document: Any, unit: Unit) -> None:
        texts: list[str | None] = []
        self._plan.visit((document,), unit, texts)
        money = [text for text in texts if text is not None]
        if money and (unit.exponent is None or not are_normal(money, unit.exponent)):
            self._plan.visit_money(document, unit)

    def _scene(
        self,
        document: Any,
        payload: dict[Any, Any],
        source_id: str | None,
        observed_on: date | None,
        lifecycle: str | None,
        unit: Unit,
    ) -> Scene:
        if source_id is None:
            raise Unsure
        if self._has_lines:  # what the line rules would read is excused
            record = {name: value for name, value in payload.items() if value}
        else:
            record = msgspec.to_builtins(document)
        on_date = None
        for name in self._dates:
            if (on_date := getattr(document, name)) is not None:
                on_date = temporal.local_day(on_date, "UTC")
                break
        kind = self._description.document_type
        return Scene(kind, record, unit, source_id, lifecycle, on_date, observed_on, None)

    def _hold(self, scene: Scene, document: Any) -> None:
        present = scene.record.keys()
        for rule in self._rules:
            if rule.when and present.isdisjoint(rule.when):
                continue
            for _finding in rule.ask(scene, _NO_PATHS) if rule.rows else rule.check(scene):
                raise Unsure
        if self._has_lines and not lines_hold(document, scene.unit.exponent or 0):
            raise Unsure

    def _accept(self, document: Any, scene: Scene) -> Accepted:
        version, updated_at = document.source_version, document.source_updated_at
        document.source_version = document.source_updated_at = None
        content = _ENCODE(document)
        _clean(content)
        content = normal.utf16_ordered(content, document)
        described = self._description
        return Accepted(
            content,
            normal.digest(content),
            scene.source_id,  # type: ignore[arg-type]  # _scene has seen to it
            version,
            temporal.microseconds(updated_at) if updated_at is not None else None,
            scene.lifecycle,
            document.status if described.lifecycles else None,
            scene.on_date,
            getattr(document, described.party) if described.party else None,
            getattr(document, described.number) if described.number else None,
            (),
        )


def _excused(rule: Rule, description: Description) -> bool:
    return description.has_lines and (rule in LINE_RULES or rule.invariant == "I-T1")


def _clean(content: bytes) -> None:
    """No control characters, no blank text, no white space at an end of any text."""
    if len(content) > LARGEST_BYTES:
        raise Unsure
    if content.isascii() and not (b"\\" in content or b"\x7f" in content):
        if b'" ' in content or b' "' in content:
            raise Unsure
    elif _SUSPICIOUS(content.decode()):
        raise Unsure


class _Plan:
    """How the objects of one block are checked: a class for msgspec, and what is left to do.

    Money that is not in normal form at first sight is read again, each by its own reader.
    """

    def __init__(self, block: Block, spot: Spot, governors: frozenset[str] = frozenset()) -> None:
        self._numbered = block.numbered
        self._any_of = _getter(block.any_of) if block.any_of else None
        own = frozenset(f.currency for f in block.fields if f.currency) | governors
        governing = own | ({block.currency} if block.currency else set())
        self._governing = _getter([f.name for f in block.fields if f.name in governing])
        self._children = [
            (f.name, _Plan(below, spot), isinstance(f.kind, Many))
            for f in block.fields
            if (below := _child(f.kind)) is not None
        ]
        plans = {name: plan.struct for name, plan, _ in self._children}
        self.struct: Any = msgspec.defstruct(
            block.name.title().replace("_", ""),
            sorted(_member(f, plans.get(f.name)) for f in block.fields),
            kw_only=True,
            omit_defaults=True,
            forbid_unknown_fields=True,
        )

        readers = {f.name: f.kind.reader(Spot(block.name, f.name)) for f in block.fields}
        money = [f.name for f in block.fields if _is_plain_money(f.kind)]
        pure = [f.name for f in block.fields if isinstance(f.kind, (kinds.Number, kinds.Day))]
        other = [f.name for f in block.fields if _needs_reader(f.kind)]
        defaults = {f.name: f.default for f in block.fields}
        self._money = _getter(money)
        self._money_readers = [(name, readers[name]) for name in money]
        self._pure = _getter(pure)
        self._pure_readers = [(n, _Learned(readers[n], defaults[n])) for n in pure]
        self._other = _getter(other) if other else None
        self._other_readers = [(name, readers[name]) for name in other]
        self._below = _getter([name for name, _, _ in self._children])

    def visit(self, items: Sequence[Any], unit: Unit, texts: list[str | None]) -> None:
        """Bring objects and all below them into normal form, but for money: that goes to texts."""
        for item in items:
            for value, (name, known) in zip(self._pure(item), self._pure_readers):  # noqa: B905
                if value is not None and (kept := known[value]) != value:
                    setattr(item, name, kept)
            if self._other is not None:
                self._read_others(item, unit)
            texts += self._money(item)
            for below, (name, plan, many) in zip(self._below(item), self._children):  # noqa: B905
                if below is not None:
                    if many and not below:
                        setattr(item, name, None)
                    else:
                        plan.visit(below if many else (below,), unit, texts)
        if self._numbered:
            _drop_positions(items, self._numbered)

    def _read_others(self, item: Any, unit: Unit) -> None:
        if self._any_of is not None and not any(self._any_of(item)):
            raise Unsure
        for code in self._governing(item):
            if code is not None and code != unit.code:
                raise Unsure
        for value, (name, read) in zip(self._other(item), self._other_readers):  # type: ignore[misc]  # noqa: B905
            if value is not None and (kept := read(value, unit)) is not value:
                setattr(item, name, kept)

    def visit_money(self, item: Any, unit: Unit) -> None:
        """Read every amount by itself."""
        for name, read in self._money_readers:
            if (value := getattr(item, name)) is not None:
                setattr(item, name, read(value, unit))
        for name, plan, many in self._children:
            if (below := getattr(item, name)) is not None:
                for child in below if many else (below,):
                    plan.visit_money(child, unit)


def _drop_positions(items: Sequence[Any], name: str) -> None:
    for position, item in enumerate(items, 1):
        if (number := getattr(item, name)) is not None:
            if number != position:
                raise Unsure
            setattr(item, name, None)


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


def _getter(names: Sequence[str]) -> Callable[[Any], tuple[Any, ...]]:
    """The members of those names as a tuple, whatever their number."""
    if len(names) > 1:
        return attrgetter(*names)
    if not names:
        return lambda _item: ()
    one = attrgetter(names[0])
    return lambda item: (one(item),)


def _child(kind: Kind) -> Block | None:
    if isinstance(kind, Many):
        return _child(kind.of)
    return kind.block if isinstance(kind, Nested) else None


def _is_plain_money(kind: Kind) -> bool:
    return isinstance(kind, kinds.Money) and kind.low != "positive"


_BY_TYPE_ALONE = (kinds.Id, kinds.Text, kinds.Integer, kinds.Boolean, kinds.Choice)


def _needs_reader(kind: Kind) -> bool:
    """What msgspec cannot finish, and what is neither learned nor plain money."""
    done = (*_BY_TYPE_ALONE, kinds.Number, kinds.Day)
    return not (isinstance(kind, done) or _is_plain_money(kind) or _child(kind) is not None)


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
