"""A unit of work without the connection's own secrets, whoever echoed them.

Documents stay as the mapping made them: they are hashed, and what a mapping takes is data.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import msgspec

from penstock.model.unit import Checkpoint, NewLetter, UnitOfWork
from penstock.vault.redaction import Redactor


def cleansed(unit: UnitOfWork, redact: Redactor) -> UnitOfWork:
    """Letters and resume point redacted. Archived pages are it already."""
    if not unit.letters and unit.checkpoint is None:
        return unit
    return replace(
        unit,
        letters=tuple(cleansed_letter(letter, redact) for letter in unit.letters),
        checkpoint=unit.checkpoint and _checkpoint(unit.checkpoint, redact),
    )


def cleansed_letter(letter: NewLetter, redact: Redactor) -> NewLetter:
    return replace(
        letter,
        message=redact(letter.message),
        errors=redact.data(letter.errors),
        raw=None if letter.raw is None else redact.data(letter.raw),
        payload=None if letter.payload is None else redact.data(letter.payload),
    )


def _checkpoint(checkpoint: Checkpoint, redact: Redactor) -> Checkpoint:
    return replace(
        checkpoint,
        cursor=_json(checkpoint.cursor, redact),
        enumeration=_json(checkpoint.enumeration, redact),
    )


def _json(value: Any, redact: Redactor) -> Any:
    """Only what holds a secret is decoded anew."""
    if value is None:
        return None
    written = msgspec.json.encode(value)
    kept = redact.data(written)
    return value if kept == written else msgspec.json.decode(kept)
