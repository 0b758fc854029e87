"""What an examination finds: refusals and remarks, their stages, and how values are quoted."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

from penstock.model.rejection import ERRORS_LISTED, Flag, RecordError, Rejection

QUOTED_CHARACTERS = 64

_STAGES = {
    "payload_too_large": 2,
    "malformed_payload": 2,
    "missing_field": 3,
    "unknown_field": 3,
    "reserved_field": 3,
    "invalid_type": 3,
    "limit_exceeded": 3,
    "invalid_text": 4,
    "invalid_format": 4,
    "invalid_enum": 4,
    "invalid_currency": 4,
    "scale_exceeds_currency": 4,
    "out_of_range": 4,
}
_RULE_STAGE = 5

Step = str | int


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing to say about a payload. path: member names and indexes from the payload down."""

    code: str
    message: str
    invariant: str | None = None
    path: tuple[Step, ...] = ()
    stage: int = _RULE_STAGE
    warning: bool = False

    def under(self, step: Step) -> Finding:
        return replace(self, path=(step, *self.path))

    @property
    def pointer(self) -> str:
        """The path as an RFC 6901 JSON Pointer."""
        return "".join("/" + str(s).replace("~", "~0").replace("/", "~1") for s in self.path)


class Found(Exception):
    """Raised by a reader that has findings; `normal` is what can still be used of the value.

    On the way of a clean record no reader raises, so collecting everything costs it nothing.
    """

    def __init__(self, normal: Any, findings: Iterable[Finding]) -> None:
        super().__init__()
        self.normal = normal
        self.findings = tuple(findings)


def refuse(code: str, message: str, invariant: str | None = None) -> Found:
    """Stage 3 or 4 says no to this value."""
    return Found(None, [Finding(code, message, invariant, stage=_STAGES[code])])


def remark(normal: Any, code: str, message: str, invariant: str) -> Found:
    """The value is accepted and the document carries a flag."""
    return Found(normal, [Finding(code, message, invariant, warning=True)])


def quote(value: object) -> str:
    """At most 64 characters of a value that is not personal."""
    if isinstance(value, int) and not isinstance(value, bool) and value.bit_length() > 200:
        return "of more than 60 digits"  # CPython refuses to print very long ones
    text = str(value)
    if len(text) > QUOTED_CHARACTERS:
        text = text[: QUOTED_CHARACTERS - 1] + "…"
    return text.encode("utf-8", "replace").decode()


def type_name(value: object) -> str:
    """The JSON word for what a value is."""
    for types, word in _WORDS:
        if isinstance(value, types):
            return word
    return f"a Python {type(value).__name__[:QUOTED_CHARACTERS]}"


_WORDS: tuple[tuple[Any, str], ...] = (
    (bool, "a boolean"),
    (str, "text"),
    (int, "a number"),
    (float, "a number"),
    (dict, "an object"),
    (list, "an array"),
    (type(None), "null"),
)


def rejection(findings: Iterable[Finding]) -> Rejection:
    """All refusals in the order of contracts, section 6: stage, path, code."""
    ordered = sorted((f for f in findings if not f.warning), key=_order)
    errors = tuple(RecordError(f.code, f.pointer, f.message, f.invariant) for f in ordered)
    more = max(0, len(errors) - ERRORS_LISTED)
    return Rejection(errors[:ERRORS_LISTED], errors_truncated=more > 0, more=more)


def flags(findings: Iterable[Finding]) -> tuple[Flag, ...]:
    """All remarks, in the same order."""
    ordered = sorted((f for f in findings if f.warning), key=_order)
    return tuple(Flag(f.code, f.pointer, f.message, f.invariant) for f in ordered)


def _order(finding: Finding) -> tuple[Any, ...]:
    # An index and a name never stand at the same place, but a total order needs no proof of that.
    steps = tuple((0, s, "") if isinstance(s, int) else (1, 0, s) for s in finding.path)
    return finding.stage, steps, finding.code
