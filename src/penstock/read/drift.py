"""Drift as people see it: what changed in a stream's records, and what they look like now."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from penstock.model.shape import Field, Shape
from penstock.read import notation
from penstock.store.rows import StoredDrift


@dataclass(frozen=True, slots=True)
class DriftView:
    """One difference. detail: the new type, value or number of digits, None for other kinds.

    idempotency_key, page_index: the first record that showed it, and its place in the archived
    page. accepted_at: None while it waits for a person.
    """

    id: int
    connection: str
    stream: str
    kind: str
    path: str
    detail: str | None
    message: str
    idempotency_key: str | None
    run: int
    page: int | None
    page_index: int | None
    first_seen_at: str | None
    accepted_at: str | None

    @classmethod
    def of(cls, row: StoredDrift) -> DriftView:
        return cls(
            id=row.drift_no,
            connection=row.connection,
            stream=row.stream,
            kind=row.kind,
            path=row.path,
            detail=row.detail or None,
            message=row.message,
            idempotency_key=row.idempotency_key,
            run=row.run_no,
            page=row.page_no,
            page_index=row.page_index,
            first_seen_at=notation.instant(row.first_seen_at),
            accepted_at=notation.instant(row.accepted_at),
        )

    def as_json(self) -> dict[str, Any]:
        return notation.members(self)


@dataclass(frozen=True, slots=True)
class FieldView:
    """One path of a shape. Of the `seen` records or objects that were looked at, so many had it;
    values: of what may be an enumeration, None where it is none."""

    path: str
    types: tuple[str, ...]
    seen: int
    present: int
    nulls: int
    values: tuple[str, ...] | None
    digits: int | None
    scale: int | None

    @classmethod
    def of(cls, path: str, field: Field) -> FieldView:
        is_number = "number" in field.types
        return cls(
            path=path,
            types=tuple(sorted(field.types)),
            seen=field.seen,
            present=field.present,
            nulls=field.nulls,
            values=tuple(sorted(field.values)) if field.values else None,
            digits=field.whole if is_number else None,
            scale=field.scale if is_number else None,
        )

    def as_json(self) -> dict[str, Any]:
        return notation.members(self)


@dataclass(frozen=True, slots=True)
class ShapeView:
    """learnt: whether a first enumeration is complete, so that later records are compared with it.
    crowded: whether there are more fields than are watched."""

    connection: str
    stream: str
    learnt: bool
    crowded: bool
    fields: tuple[FieldView, ...]

    @classmethod
    def of(cls, connection: str, stream: str, shape: Shape) -> ShapeView:
        paths = sorted(path for path in shape.fields if path)
        late = shape.recent
        return cls(
            connection=connection,
            stream=stream,
            learnt=shape.learnt_in is not None,
            crowded=shape.crowded,
            fields=tuple(
                FieldView.of(path, shape.fields[path] + late.get(path, Field())) for path in paths
            ),
        )

    def as_json(self) -> dict[str, Any]:
        return notation.members(self)
