"""How much there is: documents by type, open dead letters by reason, waiting drift by kind."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Counts:
    """documents: type to {"documents", "deleted", "versions"}. letters: reason to open letters.
    drift: kind to how many wait to be accepted."""

    documents: Mapping[str, Mapping[str, int]]
    letters: Mapping[str, int]
    drift: Mapping[str, int]

    @property
    def open_letters(self) -> int:
        return sum(self.letters.values())

    def as_json(self) -> dict[str, Any]:
        return {
            "documents": {kind: dict(counts) for kind, counts in self.documents.items()},
            "dead_letters": dict(self.letters),
            "drift": dict(self.drift),
        }
