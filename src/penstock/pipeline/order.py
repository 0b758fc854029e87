"""Which of two states of a document is the older one (contracts, I-V1)."""

from __future__ import annotations

from typing import NamedTuple, Protocol


class Marks(NamedTuple):
    """What a provider says about the age of a record. Instants in microseconds."""

    source_version: str | None
    source_updated_at: int | None
    as_of: int


class Marked(Protocol):
    @property
    def source_version(self) -> str | None: ...
    @property
    def source_updated_at(self) -> int | None: ...
    @property
    def as_of(self) -> int: ...


def older(a: Marked, b: Marked) -> bool:
    """True if a is strictly older than b.

    Version numbers decide where both are digits, then the times of change, then the times of
    reception; equal or missing marks pass the question on.
    """
    version_a, version_b = a.source_version, b.source_version
    if version_a != version_b and _counts(version_a) and _counts(version_b):
        number_a, number_b = int(version_a or 0), int(version_b or 0)
        if number_a != number_b:
            return number_a < number_b
    changed_a, changed_b = a.source_updated_at, b.source_updated_at
    if changed_a is not None and changed_b is not None and changed_a != changed_b:
        return changed_a < changed_b
    return a.as_of < b.as_of


def _counts(version: str | None) -> bool:
    return version is not None and version.isascii() and version.isdigit()
