"""The two open places of a payload: `map` (text to text) and `source_values` (free-form)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import Any

from penstock.contracts import normal as normal_form
from penstock.contracts import temporal
from penstock.contracts.finding import Finding, Found, quote, refuse, type_name
from penstock.contracts.kind import (
    FORBIDDEN,
    NEVER,
    Reader,
    Spot,
    exact,
    is_blank,
    unclean,
    wrong_type,
)
from penstock.contracts.unit import Unit

MEMBERS, NAME_CHARACTERS, VALUE_CHARACTERS = 50, 64, 500
SOURCE_VALUES_BYTES = 65_536
DEPTH = 16
VALUES_VISITED = 1_000_000  # a Python value may hold one list in itself many times over
SAFE_INTEGER = 2**53 - 1
_PRINTED_DIGITS = 4300  # CPython's own bound on printing an int


@dataclass(frozen=True, slots=True)
class Labels:
    """`map`: text to text; blank values are dropped."""

    @property
    def notation(self) -> str:
        return "map"

    def reader(self, spot: Spot) -> Reader:
        def read(value: Any, _unit: Unit) -> Any:
            if not isinstance(value, dict):
                if is_blank(value):
                    return None
                raise wrong_type(spot, "an object of texts", value)
            if len(value) > MEMBERS:
                message = f"{spot.name} has {len(value)} members; at most {MEMBERS} fit"
                raise refuse("limit_exceeded", message, "I-F8")
            findings = [f for name, item in value.items() for f in _label_findings(name, item)]
            if findings:
                raise Found(None, findings)
            kept = {exact(n): exact(v) for n, v in value.items() if not is_blank(v)}
            return kept or None

        return read

    def schema(self) -> dict[str, Any]:
        return {
            "type": "object",
            "minProperties": 1,
            "maxProperties": MEMBERS,
            "propertyNames": {"minLength": 1, "maxLength": NAME_CHARACTERS},
            "additionalProperties": {
                "type": "string",
                "minLength": 1,
                "maxLength": VALUE_CHARACTERS,
            },
        }


def _label_findings(name: Any, item: Any) -> Iterator[Finding]:
    if not isinstance(name, str):
        yield _nameless(name)
        return
    spot = Spot("map", name[:NAME_CHARACTERS], personal=True)
    if not 0 < len(name) <= NAME_CHARACTERS:
        message = f"a member name has {len(name)} characters; 1 to {NAME_CHARACTERS} fit"
        yield Finding("limit_exceeded", message, "I-F8", (name,), stage=3)
    elif FORBIDDEN.search(name):
        yield _at(name, unclean(Spot("map", "the member name")))
    if item is None:
        return
    if not isinstance(item, str):
        wanted = wrong_type(spot, "text", item) if not is_blank(item) else None
        if wanted:
            yield _at(name, wanted)
    elif len(item) > VALUE_CHARACTERS and not is_blank(item):
        message = f"{quote(name)} has {len(item)} characters; at most {VALUE_CHARACTERS} fit"
        yield Finding("limit_exceeded", message, "I-F8", (name,), stage=3)
    elif FORBIDDEN.search(item) and not is_blank(item):
        yield _at(name, unclean(spot))


@dataclass(frozen=True, slots=True)
class SourceValues:
    """`source_values`: an object of objects by provider, free-form below.

    Members without a value are dropped at every level; entries of arrays stay, since their
    positions may mean something. Numbers that JSON readers disagree on become text.
    """

    @property
    def notation(self) -> str:
        return "object"

    def reader(self, spot: Spot) -> Reader:
        def read(value: Any, _unit: Unit) -> Any:
            if not isinstance(value, dict):
                if is_blank(value):
                    return None
                raise wrong_type(spot, "an object of objects by provider", value)
            findings: list[Finding] = []
            for name, item in value.items():
                if isinstance(name, str) and not isinstance(item, dict) and not is_blank(item):
                    findings.append(_at(name, wrong_type(Spot("", name, True), "an object", item)))
            normal = _Leftovers(findings).members(value, 2, ())
            if not findings and len(normal_form.dumps(normal)) > SOURCE_VALUES_BYTES:
                message = f"{spot.name} is over {SOURCE_VALUES_BYTES} bytes in normal form"
                findings.append(Finding("limit_exceeded", message, "I-F8", stage=3))
            if findings:
                raise Found(None, findings)
            return normal or None

        return read

    def schema(self) -> dict[str, Any]:
        return {
            "type": "object",
            "minProperties": 1,
            "additionalProperties": {"type": "object", "minProperties": 1},
        }


class _Leftovers:
    """One walk through `source_values`; refusals gather in `findings`."""

    def __init__(self, findings: list[Finding]) -> None:
        self._findings = findings
        self._left = VALUES_VISITED

    def members(self, value: dict[Any, Any], depth: int, path: tuple[Any, ...]) -> dict[str, Any]:
        normal = {}
        for name, item in value.items():
            if not isinstance(name, str):
                self._findings.append(_nameless(name))
                continue
            if NEVER.search(name):
                self._refuse("invalid_text", "a member name holds NUL or a surrogate", "I-F9", path)
            kept = self.value(item, depth + 1, (*path, name))
            if not is_blank(kept):
                normal[exact(name)] = kept
        return normal

    def value(self, value: Any, depth: int, path: tuple[Any, ...]) -> Any:
        self._left -= 1
        if isinstance(value, (dict, list)) and self._left > 0:
            if depth > DEPTH:
                message = f"the payload is nested deeper than {DEPTH} levels"
                self._refuse("limit_exceeded", message, "I-F8", path)
                return None
            if isinstance(value, dict):
                return self.members(value, depth, path)
            return [self.value(entry, depth + 1, (*path, i)) for i, entry in enumerate(value)]
        if self._left == 0:
            message = f"source_values holds more than {VALUES_VISITED} values"
            self._refuse("limit_exceeded", message, "I-F8", ())
        return self._scalar(value, path) if self._left > 0 else None

    def _scalar(self, value: Any, path: tuple[Any, ...]) -> Any:
        if value is None or isinstance(value, bool):
            return value
        if isinstance(value, str):
            if NEVER.search(value):
                self._refuse("invalid_text", "the text holds NUL or a surrogate", "I-F9", path)
            return exact(value)
        if isinstance(value, int):
            return self._integer(value, path)
        if isinstance(value, Decimal) and value.is_finite():
            return format(value, "f") if -40 < value.adjusted() < 40 else str(value)
        try:
            if isinstance(value, datetime):
                return temporal.moment(str(path[-1]), value)
        except Found as found:
            for finding in found.findings:
                self._refuse(finding.code, finding.message, finding.invariant, path)
            return None
        if isinstance(value, date):
            return value.isoformat()
        what = (
            "a float, which may have lost digits" if isinstance(value, float) else type_name(value)
        )
        self._refuse("invalid_type", f"source_values cannot keep {what}", None, path)
        return None

    def _integer(self, value: int, path: tuple[Any, ...]) -> int | str | None:
        if -SAFE_INTEGER <= value <= SAFE_INTEGER:
            return int(value)
        if value.bit_length() * 3 // 10 > _PRINTED_DIGITS:
            message = f"a number has more than {_PRINTED_DIGITS} digits"
            self._refuse("limit_exceeded", message, "I-F8", path)
            return None
        return str(int(value))

    def _refuse(self, code: str, message: str, invariant: str | None, path: Any) -> None:
        stage = 4 if code in ("invalid_text", "invalid_format") else 3
        self._findings.append(Finding(code, message, invariant, path, stage))


def _nameless(name: object) -> Finding:
    return Finding("malformed_payload", f"member names must be text, not {quote(name)}", stage=2)


def _at(name: str, found: Found) -> Finding:
    return found.findings[0].under(name)
