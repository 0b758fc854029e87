"""Fields, and the blocks they form: the declarations, and the readers made from them."""

from __future__ import annotations

from dataclasses import dataclass, field
from difflib import get_close_matches
from typing import Any

from penstock.contracts.finding import Finding, Found, quote, refuse
from penstock.contracts.kind import Kind, Reader, Spot, exact, is_blank, wrong_type
from penstock.contracts.unit import Unit

OUTER = "the currency of the enclosing object"
"""For `Field.currency`: not the block's own governing currency but that of what encloses it."""


@dataclass(frozen=True, slots=True)
class Field:
    """One row of a contract's table.

    default: a constant that is dropped from the normal form. currency: the member that names the
    governing currency of the money in here, where it is not the block's. personal: messages quote
    nothing of it, and erasure blanks it. outside: not part of the content nor of its hash.
    """

    name: str
    kind: Kind
    required: bool = False
    default: object = None
    currency: str | None = None
    personal: bool = False
    outside: bool = False
    meaning: str = ""


@dataclass(frozen=True, slots=True)
class Block:
    """An object with fixed members.

    currency: the member that names the governing currency of its money. any_of: at least one of
    these has a value. reserved: refused names and the place where they belong.
    """

    name: str
    fields: tuple[Field, ...]
    currency: str | None = None
    any_of: tuple[str, ...] = ()
    reserved: dict[str, str] = field(default_factory=dict)
    numbered: str | None = None
    """The member that is dropped where it equals the 1-based position in its array."""


def reader_of(block: Block, spot: Spot) -> Reader:
    """The function that every object of this block goes through."""
    readers = {f.name: _member(f, block, spot) for f in block.fields if f.currency is None}
    governed = {f.name: (f.currency, _member(f, block, spot)) for f in block.fields if f.currency}
    defaults = {f.name: f.default for f in block.fields if f.default is not None}
    currency = block.currency

    def read(value: dict[Any, Any], outer: Unit) -> dict[str, Any]:
        unit = outer if currency is None else outer.table.governing(value.get(currency), outer)
        normal: dict[str, Any] = {}
        findings: list[Finding] = []
        waiting: list[str] = []
        for name, item in value.items():
            if (reader := readers.get(name)) is not None:
                if (kept := _kept(name, reader, item, unit, findings)) is not None:
                    normal[exact(name)] = kept
            elif name in governed:
                waiting.append(name)
            else:
                findings.append(_unlisted(block, name))
        for name in waiting:  # the member that names their currency may stand behind them
            governor, reader = governed[name]
            other = outer if governor == OUTER else unit.table.governing(value.get(governor), unit)
            if (kept := _kept(name, reader, value[name], other, findings)) is not None:
                normal[name] = kept
        for name in defaults.keys() & normal.keys():
            if normal[name] == defaults[name]:
                del normal[name]
        findings += _missing(block, normal, findings)
        if findings:
            raise Found(normal, findings)
        return normal

    return read


def _kept(name: str, reader: Reader, item: Any, unit: Unit, findings: list[Finding]) -> Any:
    """One member read; what it has to say goes to the findings, what is of use comes back."""
    try:
        return reader(item, unit)
    except Found as found:
        findings += [finding.under(name) for finding in found.findings]
        return found.normal


def _missing(block: Block, normal: dict[str, Any], findings: list[Finding]) -> list[Finding]:
    """Required members without a value; one that was refused has its own error already."""
    absent = [f.name for f in block.fields if f.required and f.name not in normal]
    if not absent and not block.any_of:
        return []
    told = {finding.path[0] for finding in findings if finding.path}
    found = [missing(name) for name in absent if name not in told]
    if block.any_of and told.isdisjoint(block.any_of) and normal.keys().isdisjoint(block.any_of):
        found.append(missing(block.any_of[0], " or ".join(block.any_of)))
    return found


def _member(declared: Field, block: Block, spot: Spot) -> Reader:
    personal = spot.personal or declared.personal
    return declared.kind.reader(Spot(block.name, declared.name, personal, spot.zeroed))


def missing(name: str, wanted: str = "", invariant: str | None = None) -> Finding:
    message = f"{wanted or name} is required"
    return Finding("missing_field", message, invariant, (name,), stage=3)


@dataclass(frozen=True, slots=True)
class Nested:
    """A block as the value of a field. One whose members all lack a value has none itself."""

    block: Block

    @property
    def notation(self) -> str:
        return self.block.name

    def reader(self, spot: Spot) -> Reader:
        read_block = reader_of(self.block, spot)

        def read(value: Any, unit: Unit) -> Any:
            if not isinstance(value, dict):
                if is_blank(value):
                    return None
                raise wrong_type(spot, "an object", value)
            if all(is_blank(item) for item in value.values()) and not _strange(self.block, value):
                return None
            return read_block(value, unit)

        return read

    def schema(self) -> dict[str, Any]:
        return {"$ref": f"#/$defs/{self.block.name}"}


def _strange(block: Block, value: dict[Any, Any]) -> bool:
    names = {f.name for f in block.fields}
    return any(name not in names for name in value)


@dataclass(frozen=True, slots=True)
class Many:
    """`[x]≤n`: an array, order kept. distinct: no repeats (I-R5)."""

    of: Kind
    limit: int
    distinct: bool = False

    @property
    def notation(self) -> str:
        return f"[{self.of.notation}]≤{self.limit}"

    def reader(self, spot: Spot) -> Reader:
        read_entry = self._entry(spot)
        limit, distinct = self.limit, self.distinct
        numbered = self.of.block.numbered if isinstance(self.of, Nested) else None

        def read(value: Any, unit: Unit) -> Any:
            if not isinstance(value, list):
                if is_blank(value):
                    return None
                raise wrong_type(spot, "an array", value)
            if len(value) > limit:
                message = f"{spot.name} has {len(value)} entries; at most {limit} fit"
                raise refuse("limit_exceeded", message, "I-F8")
            normal: list[Any] = []
            findings: list[Finding] = []
            for index, entry in enumerate(value):
                try:
                    normal.append(read_entry(entry, unit))
                except Found as found:
                    findings.extend(f.under(index) for f in found.findings)
                    normal.append(found.normal if found.normal is not None else {})
            if numbered:
                _drop_positions(normal, numbered)
            if distinct:
                findings.extend(_repeats(spot, normal))
            if findings:
                raise Found(normal, findings)
            return normal or None

        return read

    def _entry(self, spot: Spot) -> Reader:
        if isinstance(self.of, Nested):
            read_block = reader_of(self.of.block, spot)

            def read_object(value: Any, unit: Unit) -> Any:
                if isinstance(value, dict):
                    return read_block(value, unit)
                raise wrong_type(spot, "an array of objects", value)

            return read_object
        read_value = self.of.reader(spot)

        def read(value: Any, unit: Unit) -> Any:
            if value is None:
                raise wrong_type(spot, "an array without null entries", value)
            normal = read_value(value, unit)
            if normal is None:
                raise refuse("invalid_format", f"{spot.name} has a blank entry", "I-F5")
            return normal

        return read

    def schema(self) -> dict[str, Any]:
        unique = {"uniqueItems": True} if self.distinct else {}
        return {
            "type": "array",
            "minItems": 1,
            "maxItems": self.limit,
            "items": self.of.schema(),
            **unique,
        }


def _drop_positions(entries: list[Any], name: str) -> None:
    for position, entry in enumerate(entries, 1):
        if entry.get(name) == position:
            del entry[name]


def _repeats(spot: Spot, normal: list[Any]) -> list[Finding]:
    seen: set[str] = set()
    repeats = []
    for index, entry in enumerate(normal):
        if isinstance(entry, str) and entry in seen:
            message = f"{spot.shown(entry)} stands in {spot.name} already"
            repeats.append(Finding("invariant_violation", message, "I-R5", (index,)))
        elif isinstance(entry, str):
            seen.add(entry)
    return repeats


def _unlisted(block: Block, name: object) -> Finding:
    """unknown_field or reserved_field; a name that is no text makes the whole payload malformed."""
    if not isinstance(name, str):
        message = f"member names must be text, not {quote(name)}"
        return Finding("malformed_payload", message, stage=2)
    path = (name,)
    if name in block.reserved:
        message = f"{name} belongs to {block.reserved[name]}, not to the payload"
        return Finding("reserved_field", message, "I-F6", path, stage=3)
    near = likely_name(block, name)
    hint = f"; did you mean {near}? Leftovers go" if near else "; leftovers go"
    message = f"{quote(name)} is not a field of {block.name}{hint} under source_values"
    return Finding("unknown_field", message, "I-F6", path, stage=3)


def likely_name(block: Block, name: str) -> str | None:
    """The field that a wrong name most likely means: a typo, else a shared telling word."""
    names = [f.name for f in block.fields]
    name = name[:64]
    if typo := get_close_matches(name, names, n=1, cutoff=0.85):
        return typo[0]
    dull = {"id", "at", "on", "date", "amount", "", *block.name.split("_")}
    words = set(name.lower().split("_")) - dull
    ranked = [
        (-len(words & set(f.name.split("_"))), not f.required, index, f.name)
        for index, f in enumerate(block.fields)
        if words & set(f.name.split("_"))
    ]
    if ranked:
        return min(ranked)[-1]
    near = get_close_matches(name, names, n=1, cutoff=0.7)
    return near[0] if near else None
