"""What a reader must end up with: the company's own account of its records."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from penstock.simulator.calendar import rfc3339
from penstock.simulator.entry import Entry, Fate


@dataclass(frozen=True, slots=True)
class Expected:
    """One kind of document, after every change so far was read.

    fetched: records a full run meets; it splits into filtered (sandbox records), dead letters (by
    reason code) and facts (one member for each document: source id to canonical fields as text).
    versions: of all documents together, one for each accepted content that differed from the
    content before it.
    """

    fetched: int
    filtered: int
    dead_letters: Mapping[str, int]
    facts: Mapping[str, Mapping[str, str]]
    versions: int

    @property
    def documents(self) -> int:
        return len(self.facts)

    @property
    def set_aside(self) -> int:
        return sum(self.dead_letters.values())

    @property
    def unchanged(self) -> int:
        """What a full run counts as unchanged when everything was read before."""
        return len(self.facts)

    @classmethod
    def of(cls, entries: Iterable[Entry]) -> Expected:
        by_fate: dict[Fate, list[Entry]] = {fate: [] for fate in Fate}
        for entry in entries:
            by_fate[entry.fate].append(entry)
        accepted, refused = by_fate[Fate.ACCEPTED], by_fate[Fate.SET_ASIDE]
        return cls(
            fetched=sum(map(len, by_fate.values())),
            filtered=len(by_fate[Fate.FILTERED]),
            dead_letters=dict(sorted(Counter(e.fault.reason for e in refused if e.fault).items())),
            facts={entry.record.id: entry.record.facts() for entry in accepted},
            versions=sum(entry.versions for entry in accepted),
        )

    def as_json(self) -> dict[str, Any]:
        """The counts, without the facts."""
        return {
            "fetched": self.fetched,
            "filtered": self.filtered,
            "dead_letters": dict(self.dead_letters),
            "documents": self.documents,
            "versions": self.versions,
        }


@dataclass(frozen=True, slots=True)
class Truth:
    """expected: by canonical document type. now: the moment of the company's calendar."""

    now: datetime
    expected: Mapping[str, Expected]

    @property
    def fetched(self) -> int:
        return sum(e.fetched for e in self.expected.values())

    @property
    def filtered(self) -> int:
        return sum(e.filtered for e in self.expected.values())

    @property
    def documents(self) -> int:
        return sum(e.documents for e in self.expected.values())

    @property
    def versions(self) -> int:
        return sum(e.versions for e in self.expected.values())

    @property
    def dead_letters(self) -> dict[str, int]:
        """All kinds together, by reason code."""
        totals: Counter[str] = Counter()
        for expected in self.expected.values():
            totals.update(expected.dead_letters)
        return dict(sorted(totals.items()))

    def as_json(self) -> dict[str, Any]:
        """The counts, without the facts."""
        return {
            "now": rfc3339(self.now),
            "documents": self.documents,
            "versions": self.versions,
            "dead_letters": self.dead_letters,
            "expected": {name: e.as_json() for name, e in self.expected.items()},
        }


@dataclass(frozen=True, slots=True)
class Moved:
    """What one tick means for a reader that had everything: records of one kind by outcome.

    created includes faulty records that are now shown right (their dead letters are settled);
    touched have a new stamp and the same content; filtered and set_aside are new ones of their
    sort.
    """

    created: int = 0
    updated: int = 0
    touched: int = 0
    filtered: int = 0
    set_aside: int = 0

    def as_json(self) -> dict[str, int]:
        return asdict(self)
