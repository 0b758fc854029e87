"""What the fast lane does with the objects of one block, made once from the block.

Types, lengths and names are left to msgspec, on a class with the block's members. What msgspec
cannot finish is a function written out member by member, as dataclasses write theirs: looping
over a plan cost three times as much as the work itself.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Annotated, Any, Literal

import msgspec

from penstock.contracts import kind as kinds
from penstock.contracts.field import Block, Field, Many, Nested
from penstock.contracts.kind import Kind, Reader, Spot
from penstock.contracts.open_map import Labels, SourceValues
from penstock.contracts.unit import ISO, Unit
from penstock.model.identity import KEY_CHARACTERS

Visit = Callable[[Any, Unit, list[str]], None]

_DONE_BY_TYPE = (kinds.Id, kinds.Text, kinds.Integer, kinds.Boolean, kinds.Choice)
_OPEN = (Labels, SourceValues)
_LEARNED = (kinds.Number, kinds.Day)
_ANY_DECIMAL = kinds.Number()
_IS_SHORTEST = re.compile(r"(0|[1-9][0-9]{0,14})(\.[0-9]{0,11}[1-9])?").fullmatch
"""A decimal that is in normal form already: prices rarely repeat, so learning them is no help."""


class Unsure(Exception):
    """The fast lane cannot tell: the careful examination has to look."""


class Plan:
    """A block: its class for msgspec, the readers of its members, the plans of those below."""

    def __init__(self, block: Block) -> None:
        self.block = block

        self.below = {f.name: Plan(b) for f in block.fields if (b := _below(f.kind)) is not None}
        self.readers = {f.name: f.kind.reader(Spot(block.name, f.name)) for f in block.fields}
        self.money = tuple(f.name for f in block.fields if _is_plain_money(f.kind))
        self._ids = tuple(f.name for f in block.fields if isinstance(f.kind, kinds.Id))
        self.struct: Any = msgspec.defstruct(
            block.name.title().replace("_", ""),
            sorted(_member(f, self.below.get(f.name)) for f in block.fields),
            kw_only=True,
            omit_defaults=True,
            forbid_unknown_fields=True,
            gc=False,
        )

    def reread(self, item: Any, unit: Unit) -> None:
        """Give every amount and every id to its own reader: not all are plainly in order."""
        for name in (*self.money, *self._ids):
            if (value := getattr(item, name)) is not None:
                if (kept := self.readers[name](value, unit)) is None:
                    raise Unsure
                setattr(item, name, kept)
        for name, plan in self.below.items():
            if (value := getattr(item, name)) is not None:
                for child in value if isinstance(value, list) else (value,):
                    plan.reread(child, unit)


def written(plan: Plan) -> Visit:
    """`visit(item, unit, money)`: the item and all below it in normal form; money is gathered.

    Raises Unsure, and Found where a reader has something to say.
    """
    names: dict[str, Any] = {
        "Unsure": Unsure,
        "enumerate": enumerate,
        "is_shortest": _IS_SHORTEST,
    }
    lines = ["def visit(item, unit, money):", *_lines(plan, "item", " ", names)]
    exec("\n".join(lines), names)  # noqa: S102 - of declared names only
    visit: Visit = names["visit"]
    return visit


def _lines(plan: Plan, item: str, pad: str, names: dict[str, Any]) -> Iterator[str]:
    """The statements for one object, each behind `pad`; what they refer to goes to `names`."""
    block = plan.block
    governing = {f.currency for f in block.fields} | {block.currency}
    for declared in block.fields:
        name = declared.name
        if name in governing:
            yield f"{pad}value = {item}.{name}"
            yield f"{pad}if value is not None and value != unit.code: raise Unsure"
        elif name in plan.money:
            yield f"{pad}value = {item}.{name}"
            yield f"{pad}if value is not None: money.append(value)"
        elif name in plan.below:
            many = isinstance(declared.kind, Many)
            yield from (_many if many else _one)(plan.below[name], f"{item}.{name}", pad, names)
        elif not isinstance(declared.kind, _DONE_BY_TYPE) and not declared.outside:
            yield from _kept(declared, plan.readers[name], f"{item}.{name}", pad, names)
    if block.any_of:
        absent = " and ".join(f"{item}.{name} is None" for name in block.any_of)
        yield f"{pad}if {absent}: raise Unsure"


def _kept(
    declared: Field, read: Reader, place: str, pad: str, names: dict[str, Any]
) -> Iterator[str]:
    known = f"known_{len(names)}"
    if isinstance(declared.kind, _LEARNED):
        names[known] = Learned(read, declared.default)
        normal = f"{known}[value]"
    else:
        names[known] = (_unchanged if isinstance(declared.kind, _OPEN) else _or_unsure)(read)
        normal = f"{known}(value, unit)"
    yield f"{pad}value = {place}"
    if declared.kind == _ANY_DECIMAL:
        yield f"{pad}if value is not None and not is_shortest(value):"
    else:
        yield f"{pad}if value is not None:"
    yield f"{pad} kept = {normal}"
    yield f"{pad} if kept is not value: {place} = kept"


def _one(child: Plan, place: str, pad: str, names: dict[str, Any]) -> Iterator[str]:
    item = f"item_{len(pad)}"
    yield f"{pad}{item} = {place}"
    yield f"{pad}if {item} is not None:"
    yield f"{pad} pass"
    yield from _lines(child, item, pad + " ", names)


def _many(child: Plan, place: str, pad: str, names: dict[str, Any]) -> Iterator[str]:
    items, item = f"items_{len(pad)}", f"item_{len(pad)}"
    yield f"{pad}{items} = {place}"
    yield f"{pad}if {items} is not None:"
    yield f"{pad} if not {items}: {place} = None"
    position = f"position_{len(pad)}"
    yield f"{pad} for {position}, {item} in enumerate({items}, 1):"
    yield f"{pad}  pass"
    yield from _lines(child, item, pad + "  ", names)
    if child.block.numbered:
        number = f"{item}.{child.block.numbered}"
        yield f"{pad}  if {number} is not None:"
        yield f"{pad}   if {number} != {position}: raise Unsure"
        yield f"{pad}   {number} = None"


def _or_unsure(read: Reader) -> Reader:
    def reader(value: Any, unit: Unit) -> Any:
        if (kept := read(value, unit)) is None:
            raise Unsure
        return kept

    return reader


def _unchanged(read: Reader) -> Reader:
    """For the open maps: what they drop may be long, and then the payload has to be weighed."""

    def reader(value: Any, unit: Unit) -> Any:
        if (kept := read(value, unit)) != value:
            raise Unsure
        return kept

    return reader


class Learned(dict[str, Any]):
    """Text to normal form where the field alone decides: learned from its reader, bounded."""

    def __init__(self, read: Reader, default: object = None) -> None:
        super().__init__()
        self._read = _or_unsure(read)
        self._default = default

    def __missing__(self, text: str) -> Any:
        kept = self._read(text, ISO.unknown)
        if len(self) >= kinds.CACHED_VALUES:
            self.clear()
        self[text] = kept = None if kept == self._default else kept
        return kept


def _below(kind: Kind) -> Block | None:
    if isinstance(kind, Many):
        return _below(kind.of)
    return kind.block if isinstance(kind, Nested) else None


def _is_plain_money(kind: Kind) -> bool:
    return isinstance(kind, kinds.Money) and kind.low != "positive"


def _member(declared: Field, below: Plan | None) -> tuple[str, Any, Any]:
    wanted = _type(declared.kind, below.struct if below else None)
    if declared.required:
        return declared.name, wanted, msgspec.NODEFAULT
    if declared.default is not None and not isinstance(declared.kind, _LEARNED):
        return declared.name, wanted, declared.default
    return declared.name, wanted | None, None


def _type(kind: Kind, child: Any) -> Any:
    """What msgspec holds a member to. `other` on a field that steers posting is not plain."""
    match kind:
        case kinds.Id():
            return Annotated[str, msgspec.Meta(min_length=1, max_length=KEY_CHARACTERS)]
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
        case _ if isinstance(kind, _OPEN):
            return dict[Any, Any]
    return Annotated[str, msgspec.Meta(min_length=1)]
