"""What is sealed, as the store keeps it: wrapped data keys, and the cells sealed with them."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class WrappedKey:
    """A workspace's data key, sealed with the master key. The highest generation seals.

    finished_at: when all of the workspace was sealed with it; None while a rotation is under way.
    """

    workspace: str
    generation: int
    wrapped: bytes
    created_at: int
    finished_at: int | None


@dataclass(frozen=True, slots=True)
class SealedCell:
    """One sealed value and what it is bound to. column: where it stands, as table.column."""

    column: str
    workspace: str
    connection: str
    field: str
    sealed: bytes
