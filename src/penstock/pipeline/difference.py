"""What today's mapping makes of stored documents, beside what they are. Pure.

Documents are counted by what happens to them; of those that change, each field's path is counted
once, with a few examples.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from penstock.contracts import normal
from penstock.model.outcome import Counters

EXAMPLES = 3
MESSAGES = 5
MOST_FIELDS = 200
"""Paths that are told apart; what a map with ever new names adds is one of `OTHERS`."""

OTHERS = "…"


class Change(NamedTuple):
    """One field of one document. old, new: JSON values, None where there is none."""

    path: str
    old: Any
    new: Any


class Example(NamedTuple):
    source_id: str
    old: Any
    new: Any


@dataclass(frozen=True, slots=True)
class FieldChange:
    """documents: in how many the field changes."""

    documents: int
    examples: tuple[Example, ...] = ()

    def __add__(self, other: FieldChange) -> FieldChange:
        examples = (*self.examples, *other.examples)[:EXAMPLES]
        return FieldChange(self.documents + other.documents, examples)


@dataclass(frozen=True, slots=True)
class Difference:
    """Counts of documents.

    gone: the mapping says now that they have ended. filtered: it makes nothing of their record now,
    and what is stored stays. rejected: mapping or contract refuse it; reasons: those, by code.
    untouched: left as they are, by why. fields: by path. messages: why pages could not be read.
    """

    created: int = 0
    updated: int = 0
    unchanged: int = 0
    gone: int = 0
    filtered: int = 0
    rejected: int = 0
    reasons: Mapping[str, int] = field(default_factory=dict)
    untouched: Mapping[str, int] = field(default_factory=dict)
    fields: Mapping[str, FieldChange] = field(default_factory=dict)
    messages: tuple[str, ...] = ()

    def __add__(self, other: Difference) -> Difference:
        return Difference(
            self.created + other.created,
            self.updated + other.updated,
            self.unchanged + other.unchanged,
            self.gone + other.gone,
            self.filtered + other.filtered,
            self.rejected + other.rejected,
            _summed(self.reasons, other.reasons),
            _summed(self.untouched, other.untouched),
            _joined(self.fields, other.fields),
            tuple(dict.fromkeys((*self.messages, *other.messages)))[:MESSAGES],
        )

    @property
    def is_none(self) -> bool:
        """Whether applying it would change no document."""
        return not (self.created or self.updated or self.gone)

    @property
    def counters(self) -> Counters:
        """The same as a run counts records, before anything is written."""
        changed = self.updated + self.gone
        submitted = self.created + changed + self.unchanged + self.rejected
        return Counters(
            fetched=submitted + self.filtered,
            filtered=self.filtered,
            submitted=submitted,
            created=self.created,
            updated=changed,
            unchanged=self.unchanged,
            rejected=self.rejected,
        )

    def as_json(self) -> dict[str, Any]:
        counts = ("created", "updated", "unchanged", "gone", "filtered", "rejected")
        return {
            "documents": {name: getattr(self, name) for name in counts},
            "reasons": dict(sorted(self.reasons.items())),
            "untouched": dict(sorted(self.untouched.items())),
            "fields": [
                {
                    "path": path,
                    "documents": change.documents,
                    "examples": [example._asdict() for example in change.examples],
                }
                for path, change in self.by_documents()
            ],
            "messages": list(self.messages),
        }

    def by_documents(self) -> list[tuple[str, FieldChange]]:
        """The changed fields, those of most documents first."""
        return sorted(self.fields.items(), key=lambda item: (-item[1].documents, item[0]))


def note(fields: dict[str, FieldChange], source_id: str, before: bytes, after: bytes) -> None:
    """Add how two contents of a document differ: each path once, with its first example."""
    seen: set[str] = set()
    for path, old, new in changes(normal.loads(before), normal.loads(after)):
        if path not in seen:
            seen.add(path)
            _count(fields, path, FieldChange(1, (Example(source_id, old, new),)))


def changes(before: Any, after: Any, path: str = "") -> Iterator[Change]:
    """Fields in which two values differ; those of list items under one path, `/lines/*/amount`."""
    if before == after:
        return
    if isinstance(before, dict) and isinstance(after, dict):
        for name in dict.fromkeys((*before, *after)):
            old, new = before.get(name), after.get(name)
            if old != new:
                yield from changes(old, new, f"{path}/{_escaped(name)}")
    elif isinstance(before, list) and isinstance(after, list):
        for place in range(max(len(before), len(after))):
            yield from changes(_at(before, place), _at(after, place), f"{path}/*")
    else:
        yield Change(path, before, after)


def _at(values: Sequence[Any], place: int) -> Any:
    return values[place] if place < len(values) else None


def _escaped(name: str) -> str:
    """As in a JSON pointer (RFC 6901)."""
    return name.replace("~", "~0").replace("/", "~1")


def _summed(a: Mapping[str, int], b: Mapping[str, int]) -> dict[str, int]:
    return dict(Counter(a) + Counter(b))


def _joined(
    a: Mapping[str, FieldChange], b: Mapping[str, FieldChange]
) -> Mapping[str, FieldChange]:
    if not b:
        return a
    joined = dict(a)
    for path, change in b.items():
        _count(joined, path, change)
    return joined


def _count(fields: dict[str, FieldChange], path: str, change: FieldChange) -> None:
    name = path if path in fields or len(fields) < MOST_FIELDS else OTHERS
    fields[name] = fields[name] + change if name in fields else change
