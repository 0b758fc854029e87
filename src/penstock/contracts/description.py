"""The description of a document type: the one statement from which everything else is made."""

from __future__ import annotations

from dataclasses import dataclass, field

from penstock.contracts.field import Block, Field
from penstock.contracts.rule import Rule

VOID_LIFECYCLES = ("void", "deleted")
_ENVELOPE = "the envelope"
_RESERVED = {
    "document_id": _ENVELOPE,
    "document_type": "the ingest call",
    "document_version_id": _ENVELOPE,
    "version": _ENVELOPE,
    "contract_version": _ENVELOPE,
    "source_id": "the ingest call",
    "source_system": _ENVELOPE,
    "connection_id": _ENVELOPE,
    "entity_id": _ENVELOPE,
    "stream": "the ingest call",
    "idempotency_key": "the ingest call",
    "payload_hash": _ENVELOPE,
    "posting_hash": _ENVELOPE,
    "lifecycle": _ENVELOPE,
    "settlement": _ENVELOPE,
    "provenance": _ENVELOPE,
    "observed_at": _ENVELOPE,
    "recorded_at": _ENVELOPE,
}


@dataclass(frozen=True, slots=True)
class Description:
    """A document type, declared.

    natural_id: the field with the provider's identifier. lifecycles: status to lifecycle, empty for
    types without DOC. dates: the type's own date sources behind document_date, in order. party,
    number: the fields behind the facets. projection: dotted paths of what posting reads (derived
    names too, see `projection`). posts: class P. fixed: fields that never change once set.
    """

    document_type: str
    title: str
    natural_id: str
    fields: tuple[Field, ...]
    rules: tuple[Rule, ...]
    projection: tuple[str, ...]
    version: str = "1.0"
    lifecycles: dict[str, str] = field(default_factory=dict)
    dates: tuple[str, ...] = ()
    party: str | None = None
    number: str | None = None
    posts: bool = False
    fixed: tuple[str, ...] = ()

    @property
    def block(self) -> Block:
        """The payload as a block; its money is governed by its `currency`."""
        reserved = {"id": f"the field {self.natural_id}"} | _RESERVED
        return Block(self.document_type, self.fields, currency="currency", reserved=reserved)

    @property
    def has_lines(self) -> bool:
        return any(f.name == "line_items" for f in self.fields)


def lifecycles(draft: str = "", opened: str = "", void: str = "", **more: str) -> dict[str, str]:
    """Status to lifecycle from lists of words, with the two that every type has."""
    table = {"draft": draft, "open": opened, **more, "void": void}
    found = {status: life for life, words in table.items() for status in words.split()}
    return found | {"deleted": "deleted", "other": "unknown"}
