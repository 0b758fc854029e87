"""The fast lane: payloads that are plainly in order, examined at the speed of C.

The careful examination in `contract` is the law; the lane only recognises payloads that must pass
it without a finding, and makes the same bytes. Wherever it is not sure it says None and the
careful examination decides: another currency inside a document, blank text, white space at an end
of a text. (Of a void document the law asks less than the lane: what passes here passes there.)
Types, lengths and names are checked by msgspec on classes made from the description; whatever may
need a normal form goes through the field's own reader; sums are taken by `quick_sums`. Take the
lane away and nothing changes but the time.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from datetime import date
from operator import attrgetter
from typing import Any

import msgspec

from penstock.contracts import normal, temporal
from penstock.contracts.accepted import Accepted
from penstock.contracts.description import Description
from penstock.contracts.document_rules import FUTURE_DAYS
from penstock.contracts.finding import Found
from penstock.contracts.line_rules import LINE_RULES
from penstock.contracts.plan import Plan, Unsure, written
from penstock.contracts.quick_sums import lines_hold
from penstock.contracts.rule import Rule, Scene
from penstock.contracts.unit import Unit, Units, are_normal

LARGEST_BYTES = 16_384
"""Longer content is left to the careful examination, which weighs the payload. What the lane
drops (null, [] and {}) cannot blow shorter content up to the limit."""

_ENCODE = msgspec.json.Encoder(order="deterministic").encode
_CONVERT = msgspec.convert
_SUSPICIOUS = re.compile(r'[\x7f-\x9f]|"\s|\s"|\\[^"\\nrt]|"\\[nrt]|\\[nrt]"').search
_BLANK_END = re.compile(rb' (?:"|(?<=" ))').search
_NO_PATHS: frozenset[Any] = frozenset()


class Lane:
    """The fast lane of one document type."""

    def __init__(self, description: Description) -> None:
        self._description = description

        self._plan = Plan(description.block)
        # msgspec looks at a class when it is first asked for, and two threads that ask at once
        # crash the process (0.22): so it looks here.
        msgspec.json.Decoder(self._plan.struct)
        self._visit = written(self._plan)
        self._has_lines = description.has_lines
        self._rules = tuple(
            rule for rule in description.rules if not _asked_here(rule, description)
        )
        self._asks_always = any(not _triggers(rule) for rule in self._rules)
        self._touching = _getter([name for rule in self._rules for name in _triggers(rule)])
        self._dates = ("document_date", *description.dates) if description.lifecycles else ()
        self._read_version = self._plan.readers["source_version"]
        self._falls_due = any(f.name == "due_date" for f in description.fields)

    def examine(
        self,
        payload: dict[Any, Any],
        source_id: str | None,
        observed_on: date | None,
        table: Units,
    ) -> Accepted | None:
        """What the careful examination answers, or None where that has to be asked."""
        lifecycle = None
        if self._description.lifecycles:
            try:
                lifecycle = self._description.lifecycles[payload["status"]]
            except (KeyError, TypeError):
                return None
        unit = table.governing(payload.get("currency"), table.unknown)
        if unit.withdrawn is not None:
            return None
        try:
            return self._examine(payload, source_id, observed_on, lifecycle, unit)
        except (msgspec.ValidationError, Found, Unsure, UnicodeEncodeError, TypeError):
            return None

    def _examine(
        self,
        payload: dict[Any, Any],
        source_id: str | None,
        observed_on: date | None,
        lifecycle: str | None,
        unit: Unit,
    ) -> Accepted:
        document = _CONVERT(payload, self._plan.struct)
        identity = self._identity(document, source_id)
        self._normalise(document, unit)
        on_date = self._plain_date(document, observed_on) if self._dates else None
        self._hold(document, identity, lifecycle, on_date, unit)
        version, updated_at = document.source_version, document.source_updated_at
        if version is not None and self._read_version(version, unit) is None:
            raise Unsure
        document.source_version = document.source_updated_at = None
        content = self._clean(_ENCODE(document), document, unit)
        described = self._description
        return Accepted(
            content,
            normal.digest(content),
            identity,
            version,
            temporal.microseconds(updated_at) if updated_at is not None else None,
            lifecycle,
            document.status if lifecycle is not None else None,
            on_date,
            getattr(document, described.party) if described.party else None,
            getattr(document, described.number) if described.number else None,
            (),
        )

    def _identity(self, document: Any, source_id: str | None) -> str:
        natural: str | None = getattr(document, self._description.natural_id)
        if natural is None:
            natural = source_id
        if natural is None or (source_id is not None and source_id != natural):
            raise Unsure
        return natural

    def _normalise(self, document: Any, unit: Unit) -> None:
        money: list[str] = []
        self._visit(document, unit, money)
        if money and not are_normal(money, unit):
            self._plan.reread(document, unit)

    def _plain_date(self, document: Any, observed_on: date | None) -> str:
        """The document date, where I-D1, I-D2 and I-D4 have nothing to say about it."""
        for name in self._dates:
            if (found := getattr(document, name)) is not None:
                on_date = temporal.local_day(found, "UTC")
                break
        else:
            raise Unsure
        if observed_on is not None and on_date > temporal.days_after(observed_on, FUTURE_DAYS):
            raise Unsure
        if self._falls_due and document.due_date is not None and document.due_date < on_date:
            raise Unsure
        return on_date

    def _hold(
        self, document: Any, identity: str, lifecycle: str | None, on_date: str | None, unit: Unit
    ) -> None:
        """The rules: sums of lines at once, of the others those that are touched."""
        if self._has_lines and not (document.line_items and lines_hold(document, unit.exponent)):
            raise Unsure
        if not (self._asks_always or any(self._touching(document))):
            return
        record = msgspec.to_builtins(document)
        kind = self._description.document_type
        scene = Scene(kind, record, unit, identity, lifecycle, on_date, None, None)
        for rule in self._rules:
            for _finding in rule.ask(scene, _NO_PATHS):
                raise Unsure

    def _clean(self, content: bytes, document: Any, unit: Unit) -> bytes:
        """The content, if it has no control characters and no text that is blank at an end."""
        if len(content) > LARGEST_BYTES:
            raise Unsure
        plain = content.isascii() and not (b"\\" in content or b"\x7f" in content)
        if plain and not _BLANK_END(content):
            return content
        if _SUSPICIOUS(content.decode()):
            raise Unsure
        self._plan.reread(document, unit)  # line ends and tabs stand in texts, but not in ids
        return normal.utf16_ordered(content, document)


_IN_THE_LANE = frozenset({"I-D1", "I-D2", "I-D4"})
_LINES_IN_THE_LANE = frozenset({"I-L3", "I-T1", *(rule.invariant for rule in LINE_RULES)})


def _asked_here(rule: Rule, description: Description) -> bool:
    """What `_plain_date` and `lines_hold` have seen to."""
    return rule.invariant in _IN_THE_LANE or (
        description.has_lines and rule.invariant in _LINES_IN_THE_LANE
    )


def _triggers(rule: Rule) -> tuple[str, ...]:
    """The members whose presence makes a rule worth asking; a rule of rows needs the rows."""
    return (rule.rows,) if rule.rows else rule.when


def _getter(names: Sequence[str]) -> Callable[[Any], tuple[Any, ...]]:
    """The members of those names as a tuple."""
    if len(names) == 1:
        one = attrgetter(names[0])
        return lambda item: (one(item),)
    return attrgetter(*names)
