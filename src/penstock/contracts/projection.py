"""The posting projection: of a document, only what posting reads.

Two versions with the same projection post the same, so a new version is not a new entry.
"""

from __future__ import annotations

from typing import Any

from penstock.contracts import normal, temporal
from penstock.contracts.description import Description

DERIVED = ("lifecycle", "document_date", "effective_date", "has_provider_movement")
_PROVIDER_MOVEMENTS = ("charge_id", "balance_transaction_id")


def project(described: Description, record: dict[str, Any], zone: str) -> dict[str, Any]:
    """The projection of a record in normal form; members without a value are absent.

    Arrays are sorted by the serialised form of their entries, since their order posts nothing.
    zone: the IANA accounting zone that makes an instant a day.
    """
    wanted = _tree(tuple(name for name in described.projection if name not in DERIVED))
    projected: dict[str, Any] = _pick(record, wanted)
    for name in described.projection:
        if name in DERIVED and (value := _derived(name, described, record, zone)) is not None:
            projected[name] = value
    return projected


def document_date(described: Description, record: dict[str, Any], zone: str = "UTC") -> str | None:
    """The first date source with a value (contracts, 1.5)."""
    for name in ("document_date", *described.dates):
        if (value := record.get(name)) is not None:
            return temporal.local_day(value, zone) if len(value) > 10 else str(value)
    return None


def _derived(name: str, described: Description, record: dict[str, Any], zone: str) -> Any:
    if name == "lifecycle":
        return described.lifecycles.get(record.get("status", ""))
    if name == "document_date":
        return document_date(described, record, zone)
    if name == "effective_date":
        return record.get("effective_date") or document_date(described, record, zone)
    return any(member in record for member in _PROVIDER_MOVEMENTS)


def _tree(paths: tuple[str, ...]) -> dict[str, Any]:
    tree: dict[str, Any] = {}
    for path in paths:
        place = tree
        for step in path.split("."):
            place = place.setdefault(step, {})
    return tree


def _pick(value: Any, wanted: dict[str, Any]) -> Any:
    """`wanted` with nothing below a name means all of it."""
    if isinstance(value, list):
        return sorted((_pick(entry, wanted) for entry in value), key=normal.dumps)
    if not wanted or not isinstance(value, dict):
        return value
    return {name: _pick(value[name], below) for name, below in wanted.items() if name in value}
