"""A first glance at a raw record."""

from __future__ import annotations

import hashlib
from typing import Any

import pytest

from penstock.pipeline.brief import Brief, BriefReader
from penstock.upstream.fields import MISSING


def reader(id_path: str | None = "id", changed: str | None = "at", **changes: Any) -> BriefReader:
    given = {
        "prefix": "acme:customer:",
        "name": lambda key: key.encode(),
        "fingerprint": hashlib.sha256(b"code"),
    }
    return BriefReader(id_path, changed, **given | changes)


def test_id_and_time_of_change() -> None:
    brief = reader().read(b'{"id": "c1", "at": "2026", "rest": [1.5, {"id": 2}]}')
    assert (brief.key, brief.document_id) == ("acme:customer:c1", b"acme:customer:c1")
    assert brief.changed == "2026"
    assert len(brief.raw_mark or b"") == 16


def test_equal_bytes_equal_mark() -> None:
    one, same, other = (reader().read(raw) for raw in (b'{"id":1}', b'{"id":1}', b'{"id": 1}'))
    assert one.raw_mark == same.raw_mark != other.raw_mark
    changed = reader(fingerprint=hashlib.sha256(b"other code")).read(b'{"id":1}')
    assert changed.raw_mark != one.raw_mark
    assert reader(fingerprint=None).read(b'{"id":1}').raw_mark is None


def test_nested_paths() -> None:
    brief = reader("meta.id", "meta.at").read(b'{"meta": {"id": 7, "at": 5}}')
    assert (brief.key, brief.changed) == ("acme:customer:7", 5)


@pytest.mark.parametrize("value", ["null", "true", "1.5", '""', '" "', "[]", '"%s"' % ("x" * 250)])
def test_no_usable_id(value: str) -> None:
    brief = reader().read(b'{"id": %s, "at": 5}' % value.encode())
    assert (brief.document_id, brief.raw_mark, brief.changed) == (None, None, 5)


@pytest.mark.parametrize("raw", [b"[1]", b"5", b'{"id": ', b'{"meta": 5}'])
def test_another_shape_shows_nothing(raw: bytes) -> None:
    nested = reader("meta.id", None)
    assert nested.read(raw) == Brief(raw)


def test_a_computed_id_is_not_seen_at_a_glance() -> None:
    assert reader(None, None).read(b'{"id": 1}') == Brief(b'{"id": 1}')
    assert reader(None, "at").read(b'{"id": 1, "at": 5}') == Brief(b'{"id": 1, "at": 5}', changed=5)
    assert reader("id", None).read(b'{"id": 1, "at": 5}').changed is MISSING
