"""Why a record was set aside: every reason at once, in the order of contracts, section 6."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

ERRORS_LISTED = 100

RETRYABLE_CODES = frozenset(
    {
        "invalid_page",
        "records_path_missing",
        "mapping_error",
        "mapping_timeout",
        "connection_disabled",
        "write_conflict",
        "store_unavailable",
        "deadline_exceeded",
        "internal_error",
    }
)


@dataclass(frozen=True, slots=True)
class RecordError:
    """One reason. path: an RFC 6901 JSON Pointer into the submitted payload."""

    code: str
    path: str
    message: str
    invariant: str | None = None

    def as_json(self) -> dict[str, Any]:
        return {
            "code": self.code,
            "path": self.path,
            "invariant": self.invariant,
            "message": self.message,
        }


@dataclass(frozen=True, slots=True)
class Flag:
    """A warning that travels with an accepted document."""

    code: str
    path: str
    message: str
    invariant: str | None = None


@dataclass(frozen=True, slots=True)
class Rejection:
    """A record that did not become a document. errors: at least one, at most ERRORS_LISTED."""

    errors: tuple[RecordError, ...]
    errors_truncated: bool = False
    more: int = 0
    """How many errors were found beyond the listed ones."""

    @property
    def reason(self) -> str:
        return self.errors[0].code

    @property
    def message(self) -> str:
        others = len(self.errors) - 1 + self.more
        tail = f" (and {others} more error{'s' if others > 1 else ''})" if others else ""
        return self.errors[0].message + tail

    @property
    def retryable(self) -> bool:
        return self.reason in RETRYABLE_CODES


def rejected(code: str, message: str, *, path: str = "", invariant: str | None = None) -> Rejection:
    """A rejection with one reason."""
    return Rejection((RecordError(code, path, message, invariant),))
