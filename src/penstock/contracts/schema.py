"""JSON Schema 2020-12 of a contract, made from its description.

The schema speaks of a payload whose members without a value (null, blank text, [] and {}) are left
out. Scale by currency, real dates and control characters are beyond it; the rules of section 5 are
listed as sentences under x-penstock-rules.
"""

from __future__ import annotations

from typing import Any

from penstock.contracts.description import Description
from penstock.contracts.field import Block, Field, Many, Nested
from penstock.contracts.kind import Kind

DIALECT = "https://json-schema.org/draft/2020-12/schema"


def json_schema(described: Description) -> dict[str, Any]:
    """The schema of one document type, strict: no member beside the listed ones."""
    blocks: dict[str, Block] = {}
    _collect(described.fields, blocks)
    return {
        "$schema": DIALECT,
        "$id": f"urn:penstock:contract:{described.document_type}:{described.version}",
        "title": described.document_type,
        "description": described.title,
        "x-penstock-version": described.version,
        "x-penstock-natural-id": described.natural_id,
        **_object(described.block),
        "x-penstock-lifecycle": described.lifecycles,
        "x-penstock-rules": [
            {
                "invariant": rule.invariant,
                "severity": "warning" if rule.warning else "error",
                "rule": f"{rule.rows}[]: {rule.says}" if rule.rows else rule.says,
            }
            for rule in described.rules
        ],
        "$defs": {name: _object(blocks[name]) for name in sorted(blocks)},
    }


def _collect(fields: tuple[Field, ...], blocks: dict[str, Block]) -> None:
    for declared in fields:
        if (block := block_of(declared.kind)) is not None and block.name not in blocks:
            blocks[block.name] = block
            _collect(block.fields, blocks)


def block_of(kind: Kind) -> Block | None:
    """The block that a field's values, or their entries, are objects of."""
    if isinstance(kind, Many):
        return block_of(kind.of)
    return kind.block if isinstance(kind, Nested) else None


def _object(block: Block) -> dict[str, Any]:
    schema: dict[str, Any] = {
        "type": "object",
        "properties": {declared.name: _property(declared) for declared in block.fields},
        "required": [declared.name for declared in block.fields if declared.required],
        "additionalProperties": False,
    }
    if block.any_of:
        schema["anyOf"] = [{"required": [name]} for name in block.any_of]
    return schema


def _property(declared: Field) -> dict[str, Any]:
    schema = declared.kind.schema()
    if declared.meaning:
        schema["description"] = declared.meaning
    if declared.default is not None:
        schema["default"] = declared.default
    schema["x-penstock-notation"] = declared.kind.notation
    if declared.personal:
        schema["x-penstock-personal"] = True
    return schema
