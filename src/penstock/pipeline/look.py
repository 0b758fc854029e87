"""A look at a page's records: which fields they have, and what stands there. Pure.

Records are looked at column by column, because that runs in C: it costs a tenth of a walk through
each record. Of a big page some are chosen; new members are noticed in every record.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from itertools import chain, islice
from math import exp, log
from random import Random
from typing import Any
from zlib import crc32

from penstock.model import shape
from penstock.model.shape import Field, Fields
from penstock.upstream import wire

RECORDS = 24
"""So many records of a page are all looked at; of more, so many chosen at random."""
ODD_ONES = 16
"""The first record of each set of member names is looked at, too, for so many sets."""
ITEMS = 20
"""Items of one list that are looked at."""
COLUMN = RECORDS * ITEMS
"""Values of one field that are looked at."""

_KINDS = {str: "text", bool: "boolean", int: "number", Decimal: "number"}
_KINDS |= {dict: "object", list: "list", type(None): "null"}
_TEXT_ALONE = {str}
_TEXT = frozenset({"text"})


class Look:
    """Filled with records while a page is read.

    places: where they stand in the page.
    """

    def __init__(self) -> None:
        self.places: list[int] = []

        self._fields: Fields | None = None
        self._sample = Sample()
        self._odd: dict[tuple[Any, ...], bytes] = {}

    def add(self, raws: Sequence[bytes], decoded: Sequence[Any]) -> None:
        """Take in the next records, raw and decoded.

        Only the raw ones are kept: a mapping may change what it is given.
        """
        self._sample.add(raws)
        self._notice(raws, decoded)

    def take(self, fields: Fields) -> None:
        """What the records showed to another process, which has looked at them."""
        self._fields = fields

    def fields(self) -> Fields:
        """What the records showed; nothing where there were none."""
        if self._fields is None:
            chosen = set(map(id, self._sample.chosen))
            odd = [raw for raw in self._odd.values() if id(raw) not in chosen]
            records = wire.decode_records([*self._sample.chosen, *odd])
            self._fields = fields_of([r for r in records if not isinstance(r, wire.BadRecordError)])
        return self._fields

    def _notice(self, raws: Sequence[bytes], decoded: Sequence[Any]) -> None:
        """Keep the first record of each set of member names."""
        named = [tuple(record) if type(record) is dict else () for record in decoded]
        if self._odd.keys() >= set(named):
            return
        for names, raw in zip(named, raws, strict=True):
            if len(self._odd) < ODD_ONES:
                self._odd.setdefault(names, raw)


class Sample:
    """RECORDS of any number, each as likely as another, without a look at most of them.

    By chance and not at a beat, because records may take turns in kind; the same chance each time
    for the same records. The method is Li's Algorithm L (ACM Transactions on Mathematical Software
    20, 1994).
    """

    def __init__(self) -> None:
        self.chosen: list[bytes] = []

        self._given = 0
        self._next = RECORDS - 1
        self._weight = 1.0
        self._chance: Random | None = None

    def add(self, raws: Sequence[bytes]) -> None:
        self.chosen += raws[: RECORDS - len(self.chosen)]
        end = self._given + len(raws)
        while end > self._next:
            if self._chance is None:
                self._chance = Random(crc32(raws[0]))  # noqa: S311 - chance, not secrecy
            else:
                self.chosen[self._chance.randrange(RECORDS)] = raws[self._next - self._given]
            self._weight *= exp(log(self._chance.random()) / RECORDS)
            self._next += int(log(self._chance.random()) / log(1 - self._weight)) + 1
        self._given = end


def fields_of(records: Sequence[Any]) -> Fields:
    """What stands at each path of records, as `wire` decodes them."""
    found: Fields = {}
    if records:
        _look(found, shape.ROOT, records, len(records), 0)
    return found


def _look(found: Fields, path: str, column: Sequence[Any], seen: int, depth: int) -> None:
    """Note the values at one path, which `seen` places could have had, and what lies in them."""
    if len(found) == shape.FIELDS:
        return
    types = set(map(type, column))
    if types == _TEXT_ALONE:
        found[path] = Field(seen, len(column), 0, 0, _TEXT, _values(column))
        return
    kinds = _by_kind(column, types)
    nulls = kinds.pop("null", ())
    objects, lists = kinds.get("object", ()), kinds.get("list", ())
    whole, scale = _precision(kinds["number"]) if "number" in kinds else (0, 0)
    values = _values(kinds["text"]) if "text" in kinds else {}
    counts = (seen, len(column), len(nulls), len(objects))
    found[path] = Field(*counts, frozenset(kinds), values, whole, scale)
    if depth == shape.DEPTH:
        return
    if objects:
        _look_into(found, path, objects, depth + 1)
    if lists and (items := _first(some[:ITEMS] for some in lists)):
        _look(found, path + shape.ITEM, items, len(items), depth + 1)


def _look_into(found: Fields, path: str, objects: Sequence[Any], depth: int) -> None:
    """The members of objects: a column for each name, or one for all where they are maps."""
    columns = _columns(objects)
    if path != shape.ROOT and _is_map(columns, objects):
        members = _first(islice(some.values(), ITEMS) for some in objects)
        _look(found, shape.any_member(path), members, len(members), depth)
        return
    for name, column in islice(columns.items(), shape.FIELDS):
        _look(found, shape.member(path, name), column, len(objects), depth)


def _is_map(columns: Mapping[Any, Any], objects: Sequence[Any]) -> bool:
    if len(columns) <= shape.MEMBERS:
        return False
    return len(columns) > shape.FIELDS or shape.is_map(
        len(columns), sum(map(len, objects)), len(objects)
    )


def _columns(objects: Sequence[Any]) -> dict[Any, Sequence[Any]]:
    """All values by member name."""
    named = list(map(tuple, objects))
    if named.count(named[0]) == len(named):
        return dict(zip(named[0], zip(*map(dict.values, objects), strict=True), strict=True))
    columns: dict[Any, list[Any]] = {}
    for record in objects:
        for name, value in record.items():
            columns.setdefault(name, []).append(value)
    return dict(columns)


def _by_kind(column: Sequence[Any], types: set[type]) -> dict[str, Sequence[Any]]:
    """Values by what they are; those of most columns are all one kind."""
    if len(types) == 1:
        return {_KINDS[types.pop()]: column}
    kinds: dict[str, list[Any]] = {}
    for value in column:
        kinds.setdefault(_KINDS[type(value)], []).append(value)
    return dict(kinds)


def _values(texts: Sequence[str]) -> dict[str, int] | None:
    """How often each text stands there; None where they are no enumeration, which the first few
    mostly show."""
    for some in (texts[: 2 * shape.VALUES], texts):
        values = set(some)
        if len(values) > shape.VALUES or not all(map(shape.is_value, values)):
            return None
    return dict(Counter(texts))


def _precision(numbers: Sequence[Any]) -> tuple[int, int]:
    """Most digits before and after the point."""
    exact = list(map(Decimal, numbers))
    whole = max(number.adjusted() + 1 for number in exact)
    scale = max(-int(number.as_tuple().exponent) for number in exact)
    return max(whole, 0), max(scale, 0)


def _first(parts: Iterable[Iterable[Any]]) -> list[Any]:
    return list(islice(chain.from_iterable(parts), COLUMN))
