"""The shape of a stream's raw records: what stands at each path, in bounded size.

A path names members from the outside in: `customer.name`, `lines[].id` (the items of a list),
`metadata.*` (the members of an object that is a map). One page and everything seen so far are told
by the same fields, so that the one can be added to the other.
"""

from __future__ import annotations

import re
from functools import lru_cache

import msgspec

FIELDS = 500
"""Fields of a stream, the record itself included; those that come later are not watched."""
DEPTH = 8
"""Levels below the record, lists included; what lies deeper is only an object or a list."""
MEMBERS, TIMES = 32, 4
"""An object inside a record is a map, and its members are watched as one, where there are more
different names than this and so many times what one such object has."""
NAME_CHARACTERS = 64
"""Of a member's name; the rest is cut."""
VALUES = 24
"""Different texts of a field that may be an enumeration; with more it is none."""
VALUE_CHARACTERS = 40
VALUE_DIGITS = 2
"""A longer text, or one with more digits (an id, a date, an amount), is no value of one."""

ROOT, ITEM, ANY = "", "[]", "*"

_WORD = re.compile(rf"(?!\d+$)(?:\D*\d){{,{VALUE_DIGITS}}}\D*")
_MEANT = re.compile(r"[%.*\[\]\x00-\x1f\x7f-\x9f\ud800-\udfff]")


class Field(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """What stands at one path.

    seen: how many could have had it; present: how many had it, null included; nulls: how many of
    those were null. objects: how many were objects, whose members are fields themselves. types:
    of text, number, boolean, object and list. values: each text and how often it stood there,
    None where they are no enumeration. whole, scale: most digits of a number before and after its
    point.
    """

    seen: int = 0
    present: int = 0
    nulls: int = 0
    objects: int = 0
    types: frozenset[str] = frozenset()
    values: dict[str, int] | None = {}
    whole: int = 0
    scale: int = 0

    def __add__(self, other: Field) -> Field:
        return Field(
            self.seen + other.seen,
            self.present + other.present,
            self.nulls + other.nulls,
            self.objects + other.objects,
            self.types | other.types,
            together(self.values, other.values),
            max(self.whole, other.whole),
            max(self.scale, other.scale),
        )

    @property
    def absent(self) -> int:
        return self.seen - self.present

    @property
    def empty(self) -> int:
        """Absent or null."""
        return self.seen - self.present + self.nulls

    @property
    def filled(self) -> int:
        return self.present - self.nulls


Fields = dict[str, Field]


class Shape(msgspec.Struct, array_like=True, frozen=True):
    """Everything that a stream's records showed so far.

    recent: counts that are compared with those in `fields` before they join them. learnt_in: the
    run that completed the first enumeration, None before; what was seen until its end is what
    later records are compared with. crowded: there are more fields than are watched.
    """

    fields: Fields = {}
    recent: Fields = {}
    learnt_in: int | None = None
    crowded: bool = False

    @classmethod
    def from_bytes(cls, stored: bytes) -> Shape:
        return _DECODER.decode(stored)

    def as_bytes(self) -> bytes:
        return _ENCODER.encode(self)


_ENCODER = msgspec.json.Encoder(order="deterministic")
_DECODER = msgspec.json.Decoder(Shape)


def member(path: str, name: str) -> str:
    """The path of an object's member."""
    step = _step(name[:NAME_CHARACTERS])
    return f"{path}.{step}" if path else step


@lru_cache(maxsize=1024)
def _step(name: str) -> str:
    """A name as it stands in a path: what has a meaning there is %-escaped."""
    return _MEANT.sub(lambda found: f"%{ord(found[0]):02X}", name)


def any_member(path: str) -> str:
    """The path that stands for all members of a map."""
    return f"{path}.{ANY}" if path else ANY


def is_map(names: int, members: int, objects: int) -> bool:
    """Whether objects that have `members` in all, under so many different names, are maps."""
    return names > MEMBERS and names * objects > TIMES * members


def parent(path: str) -> str:
    """The path of the object or list that a path lies in; the root's is the root."""
    return path.removesuffix(ITEM) if path.endswith(ITEM) else path.rpartition(".")[0]


def is_each(path: str) -> bool:
    """Whether it stands for the items of a list or the members of a map: none of them is missed."""
    return path.endswith((ITEM, ANY))


def within(path: str, outer: str) -> bool:
    """Whether a path is `outer` or lies in it."""
    return path == outer or path.startswith((f"{outer}.", outer + ITEM))


def together(some: dict[str, int] | None, more: dict[str, int] | None) -> dict[str, int] | None:
    """The values of both, None where they are no enumeration."""
    if some is None or more is None:
        return None
    both = some | {value: some.get(value, 0) + number for value, number in more.items()}
    return both if len(both) <= VALUES else None


def is_value(text: str) -> bool:
    """Whether a text may be one of an enumeration: a word, not an id, a date or an amount."""
    return (
        len(text) <= VALUE_CHARACTERS and text.isprintable() and _WORD.fullmatch(text) is not None
    )
