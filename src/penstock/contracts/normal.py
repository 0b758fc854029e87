"""The bytes of a normal form: RFC 8785 (JCS), which is what hashes are taken over.

Canonical content holds strings, booleans and integers within ±(2^53-1) only, so the number rules
of RFC 8785 come down to plain digits.
"""

from __future__ import annotations

import hashlib
import re
from typing import Any

import msgspec

_SORTED = msgspec.json.Encoder(order="deterministic")
_AS_GIVEN = msgspec.json.Encoder()
_SHA256 = hashlib.sha256
_DECODER = msgspec.json.Decoder()
_BEYOND_BMP = re.compile(rb"[\xf0-\xf4]")


def dumps(value: Any) -> bytes:
    """RFC 8785 form. Raises UnicodeEncodeError for lone surrogates, which no normal form holds."""
    return utf16_ordered(_SORTED.encode(value), value)


def utf16_ordered(content: bytes, value: Any) -> bytes:
    """`content`, written anew if it may hold names whose order RFC 8785 sees differently.

    The encoder sorts names by code point, the RFC by UTF-16 code unit: the two differ only where
    a name has a character beyond U+FFFF.
    """
    if content.isascii() or not _BEYOND_BMP.search(content):
        return content
    return _AS_GIVEN.encode(_reordered(msgspec.to_builtins(value)))


def loads(content: bytes) -> Any:
    """The value behind stored content."""
    return _DECODER.decode(content)


def digest(content: bytes) -> bytes:
    """32 bytes of SHA-256."""
    return _SHA256(content).digest()


def _reordered(value: Any) -> Any:
    if isinstance(value, dict):
        names = sorted(value, key=lambda name: name.encode("utf-16-be"))
        return {name: _reordered(value[name]) for name in names}
    if isinstance(value, list):
        return [_reordered(entry) for entry in value]
    return value
