"""Who a document is: 128 bits derived from where it lives and what it is called there.

A retry from any host names the same row without a look-up, and the ids spread evenly, so
tables can be partitioned by them.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from functools import lru_cache
from uuid import UUID

KEY_CHARACTERS = 255


def _part(text: str) -> bytes:
    """Length first, so that ("ab", "c") and ("a", "bc") never meet."""
    data = text.encode()
    return len(data).to_bytes(4, "big") + data


@lru_cache(maxsize=1024)
def document_namer(workspace: str, connection: str, document_type: str) -> Callable[[str], bytes]:
    """A function from idempotency key to document id, for many keys of one kind.

    The id is the first 128 bits of SHA-256 over the four parts, each behind its length.
    """
    start = hashlib.sha256(
        b"penstock document 1" + _part(workspace) + _part(connection) + _part(document_type)
    )

    def name(idempotency_key: str) -> bytes:
        digest = start.copy()
        digest.update(idempotency_key.encode())
        return digest.digest()[:16]

    return name


def document_id(workspace: str, connection: str, document_type: str, key: str) -> bytes:
    """The 16 bytes that name a document for ever (the stream is no part of them)."""
    return document_namer(workspace, connection, document_type)(key)


def version_id(document: bytes, version: int) -> bytes:
    """The 16 bytes that name one version: a function of document and version number."""
    return hashlib.sha256(b"penstock version 1" + document + version.to_bytes(8, "big")).digest()[
        :16
    ]


def letter_id(workspace: str, connection: str, stream: str, subject: bytes) -> bytes:
    """The 16 bytes that name a dead letter.

    subject: the document id where there is one, else the raw record's bytes. The same bad record
    seen again is the same letter.
    """
    digest = hashlib.sha256(
        b"penstock letter 1" + _part(workspace) + _part(connection) + _part(stream)
    )
    digest.update(subject)
    return digest.digest()[:16]


def as_text(identity: bytes) -> str:
    """16 bytes as people and APIs see them: the text form of a UUID."""
    return str(UUID(bytes=identity))


def from_text(text: str) -> bytes:
    """The 16 bytes behind a UUID text. Raises ValueError for anything else."""
    return UUID(text).bytes


def is_well_formed_id(value: object) -> bool:
    """Contracts 1.2 `id`: 1-255 code points, no control characters, no outer white space."""
    return (
        type(value) is str
        and 0 < len(value) <= KEY_CHARACTERS
        and (value.isprintable() or _only_allowed(value))
        and not value[0].isspace()
        and not value[-1].isspace()
    )


def _only_allowed(value: str) -> bool:
    """Control characters and surrogates are out; other unprintable ones are in."""
    return not any(ord(c) < 32 or 127 <= ord(c) < 160 or 0xD800 <= ord(c) <= 0xDFFF for c in value)
