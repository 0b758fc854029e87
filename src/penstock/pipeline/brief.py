"""A first glance at a raw record: its id and its time of change, and nothing else decoded.

It says which document a record belongs to, so that a record whose bytes made the current version
already is not mapped again. That makes an unchanged run cheap.
"""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from operator import attrgetter
from typing import Any, NamedTuple, Protocol

import msgspec

from penstock.model.identity import is_well_formed_id
from penstock.upstream.fields import MISSING, Path


class Brief(NamedTuple):
    """key, document_id: None where the record shows no usable id. raw_mark: 16 bytes over raw
    record and mapping, None where equal bytes need not mean an equal outcome. changed: the
    record's time of change as it stands there, MISSING where there is none."""

    raw: bytes
    key: str | None = None
    document_id: bytes | None = None
    raw_mark: bytes | None = None
    changed: Any = MISSING


class Digest(Protocol):
    """A running hash, as hashlib makes them."""

    def copy(self) -> Digest: ...
    def update(self, data: bytes, /) -> None: ...
    def digest(self) -> bytes: ...


class BriefReader:
    """Reads the briefs of one mapped stream.

    id_path: None where the id is computed or has several parts. name: from key to document id.
    fingerprint: a hash over everything but the raw record that a version depends on, or None.
    """

    def __init__(
        self,
        id_path: str | None,
        changed_path: str | None,
        *,
        prefix: str,
        name: Callable[[str], bytes],
        fingerprint: Digest | None,
    ) -> None:
        self._names_document = id_path is not None
        self._tells_change = changed_path is not None
        self._prefix = prefix
        self._name = name
        self._fingerprint = fingerprint

        paths = [path for path in (id_path, changed_path) if path is not None]
        self._glance = _glance(paths[0], paths[-1]) if paths else None

    def read(self, raw: bytes) -> Brief:
        """The brief of a raw record; nearly empty where it is no object of the expected shape."""
        if self._glance is None:
            return Brief(raw)
        try:
            record_id, changed = self._glance(raw)
        except (ValueError, ArithmeticError, AttributeError, RecursionError):
            return Brief(raw)
        if not self._tells_change:
            changed = MISSING
        if type(record_id) is int:
            record_id = str(record_id)
        if not self._names_document or type(record_id) is not str or not record_id.strip():
            return Brief(raw, changed=changed)
        key = self._prefix + record_id
        if not is_well_formed_id(key):
            return Brief(raw, changed=changed)
        return Brief(raw, key, self._name(key), self._mark(raw), changed)

    def _mark(self, raw: bytes) -> bytes | None:
        if self._fingerprint is None:
            return None
        digest = self._fingerprint.copy()
        digest.update(raw)
        return digest.digest()[:16]


def _glance(first: str, second: str) -> Callable[[bytes], tuple[Any, Any]]:
    """A function that decodes two fields of a raw record and skips the rest in C.

    An absent field is MISSING. It raises ValueError or AttributeError for another shape.
    """
    paths = [Path.parse(first).names, Path.parse(second).names]
    shape = _struct(paths)
    decode = msgspec.json.Decoder(shape, float_hook=Decimal).decode
    reach = attrgetter(*(".".join(_attributes(shape, path)) for path in paths))
    return lambda raw: reach(decode(raw))


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
