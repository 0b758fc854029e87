"""A first glance at a raw record: its id and its time of change, and nothing else decoded.

It says which document a record belongs to, so that a record whose bytes made the current version
already is not mapped again. That makes an unchanged run cheap.
"""

from __future__ import annotations

from dataclasses import dataclass
from operator import attrgetter
from typing import Any

import msgspec

from penstock.upstream.fields import MISSING, Path


@dataclass(slots=True)
class Brief:
    """key, document_id: None where the record shows no usable id. raw_mark: 16 bytes over raw
    record and mapping, None where equal bytes need not mean an equal outcome. changed_at:
    microseconds, None where there is no time of change."""

    raw: bytes
    key: str | None = None
    document_id: bytes | None = None
    raw_mark: bytes | None = None
    changed_at: int | None = None


class Glance:
    """Decodes a few fields of raw records and skips the rest in C."""

    def __init__(self, *paths: str) -> None:
        names = [Path.parse(path).names for path in paths]
        shape = _struct(names)

        self._decoder = msgspec.json.Decoder(shape, float_hook=str)
        self._reach = [attrgetter(".".join(_attributes(shape, path))) for path in names]

    def __call__(self, raw: bytes) -> list[Any] | None:
        """The fields in the order of the paths, MISSING for absent ones; None where the record
        is no object of that shape."""
        try:
            read = self._decoder.decode(raw)
            return [reach(read) for reach in self._reach]
        except (ValueError, AttributeError, RecursionError):
            return None


def _struct(paths: list[tuple[str, ...]]) -> type[msgspec.Struct]:
    """A type with just the members that the paths name, nested ones as types of their own."""
    members: dict[str, list[tuple[str, ...]]] = {}
    for path in paths:
        members.setdefault(path[0], []).append(path[1:])
    fields = []
    for index, (name, rests) in enumerate(members.items()):
        inner: Any = Any if () in rests else _struct(rests)
        fields.append((f"f{index}", inner, msgspec.field(default=MISSING, name=name)))
    return msgspec.defstruct("Glanced", fields, gc=False)


def _attributes(shape: Any, names: tuple[str, ...]) -> list[str]:
    attributes = []
    for name in names:
        field = next(f for f in msgspec.structs.fields(shape) if f.encode_name == name)
        attributes.append(field.name)
        shape = field.type
    return attributes
