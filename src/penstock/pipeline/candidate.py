"""A record that passed its contract, on its way to a decision."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from penstock.contracts.accepted import Accepted
    from penstock.contracts.contract import Contract


@dataclass(slots=True)
class Candidate:
    """accepted: None for a delete. raw: the provider's record where there is one, for the letter
    should the store refuse it; payload: what the author submitted otherwise. raw_mark: 16 bytes
    over raw and mapping, None where the same raw need not mean the same outcome."""

    document_id: bytes
    contract: Contract
    key: str
    source_id: str | None
    accepted: Accepted | None
    source_version: str | None
    source_updated_at: int | None
    as_of: int
    raw_mark: bytes | None
    raw: bytes | None
    payload: Any
    page_index: int | None
