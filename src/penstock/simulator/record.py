"""What every kind of record has in common, and the kinds there are."""

from __future__ import annotations

from datetime import datetime
from typing import Any, ClassVar, Protocol, TypeVar

DOCUMENTS = ("customer", "bank_account", "invoice", "payment", "bank_transaction")
"""Kinds by their canonical names; the API lists each under its plural."""


class Record(Protocol):
    """One thing the company knows, as a frozen value."""

    document: ClassVar[str]

    @property
    def id(self) -> str: ...

    @property
    def test(self) -> bool:
        """Sandbox data, which a reader filters out."""

    def shape(self, updated_at: datetime) -> dict[str, Any]:
        """The record as the API delivers it."""

    def facts(self) -> dict[str, str]:
        """What a reader must have understood, in canonical names and forms."""


R = TypeVar("R", bound=Record)
