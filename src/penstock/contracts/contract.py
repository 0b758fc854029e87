"""A contract at work: payloads are examined, versions compared, content projected."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from typing import Any

from penstock.contracts import normal, projection, temporal
from penstock.contracts.accepted import Accepted, Facets
from penstock.contracts.columns import columns, views
from penstock.contracts.description import VOID_LIFECYCLES, Description
from penstock.contracts.field import Field, missing, reader_of
from penstock.contracts.finding import Finding, Found, flags, quote, rejection, type_name
from penstock.contracts.kind import Spot
from penstock.contracts.page import page
from penstock.contracts.quick import Lane
from penstock.contracts.rule import Scene
from penstock.contracts.schema import json_schema
from penstock.contracts.structure import deep_findings, is_too_large, stage_two, too_large
from penstock.contracts.tally import tally
from penstock.contracts.unit import Units
from penstock.contracts.unit import units as units_of
from penstock.model import times
from penstock.model.column import Column, SqlView
from penstock.model.rejection import Flag, RecordError, Rejection, rejected

_MOVES = {
    "draft": ("open", "uncollectible", "void", "deleted"),
    "open": ("uncollectible", "void", "deleted"),
    "uncollectible": ("open", "void", "deleted"),
    "void": ("deleted",),
    "deleted": (),
}


class Contract:
    """One document type. Made once by the registry; safe to use from several threads."""

    def __init__(self, description: Description) -> None:
        self.description = description

        self.document_type = description.document_type
        self.version = description.version
        self.natural_id = description.natural_id
        self.fields: tuple[Field, ...] = description.fields
        self._read = reader_of(description.block, Spot(self.document_type, ""))
        self._read_zeroed = reader_of(description.block, Spot(self.document_type, "", zeroed=True))
        self._lane = Lane(description)
        self._has_lines = description.has_lines
        self._outside = tuple(f.name for f in self.fields if f.outside)
        self._always = tuple(rule for rule in description.rules if rule.always)

    def examine(
        self,
        payload: object,
        source_id: str | None = None,
        observed_on: date | None = None,
        units: Mapping[str, int] | None = None,
    ) -> Accepted | Rejection:
        """What the payload is, or every reason why it is refused. Bad data never raises.

        source_id: that of the ingest call (contracts, D4). observed_on: the day it was received,
        for I-D2. units: currencies declared beside ISO 4217 with their exponents, {"BTC": 8}.
        """
        if not isinstance(payload, dict):
            message = f"a payload is one object, not {type_name(payload)}"
            return rejected("malformed_payload", message)
        table = units_of(units)
        accepted = self._lane.examine(payload, source_id, observed_on, table)
        return accepted or self.examine_closely(payload, source_id, observed_on, table)

    def compare(
        self, previous_content: bytes, accepted: Accepted
    ) -> tuple[tuple[RecordError, ...], tuple[Flag, ...]]:
        """Stage 6: what the step from the current version to this one breaks (I-V3, I-V4)."""
        before, after = normal.loads(previous_content), normal.loads(accepted.content)
        errors = tuple(
            RecordError("immutable_field", f"/{name}", _changed(name, before, after), "I-V3")
            for name in self.description.fixed
            if name in before and before[name] != after.get(name)
        )
        found = [flag for check in (_currency_flag, self._lifecycle_flag)
                 if (flag := check(before, after)) is not None]  # fmt: skip
        return errors, tuple(found) if not errors else ()

    def lifecycle(self, content: bytes) -> str | None:
        """The lifecycle that the content's status means; None for types without one."""
        return self._lifecycle_of(normal.loads(content))

    def facets(self, content: bytes) -> Facets:
        """The four facets of stored content, as `examine` gave them when it was accepted."""
        return self._facets_of(normal.loads(content))

    def posting_projection(
        self, content: bytes, accounting_zone: str = "UTC"
    ) -> dict[str, Any] | None:
        """What posting (or, of master data, a policy) reads; None where that is nothing."""
        if not self.description.projection:
            return None
        return projection.project(self.description, normal.loads(content), accounting_zone)

    def posting_hash(self, content: bytes, accounting_zone: str = "UTC") -> str | None:
        """Hex SHA-256 over the posting projection; None for types that do not post."""
        if not self.description.posts:
            return None
        projected = self.posting_projection(content, accounting_zone)
        return normal.digest(normal.dumps(projected)).hex()

    def read(
        self, content: bytes, source_version: str | None, source_updated_at: int | None
    ) -> dict[str, Any]:
        """Stored content as a payload, with the two source marks (microseconds) put back in."""
        payload: dict[str, Any] = normal.loads(content)
        if source_version is not None:
            payload["source_version"] = source_version
        if source_updated_at is not None:
            payload["source_updated_at"] = times.write(times.moment(source_updated_at))
        return payload

    def json_schema(self) -> dict[str, Any]:
        """JSON Schema 2020-12 of a payload; x-penstock-rules says what a schema cannot."""
        return json_schema(self.description)

    def columns(self) -> tuple[Column, ...]:
        """What a payload is as a row of a table."""
        return columns(self.description)

    def views(self) -> tuple[SqlView, ...]:
        """The SQL views that documents of this type are read through."""
        return views(self.description)

    def reference(self) -> str:
        """The type's reference page, Markdown."""
        return page(self.description)

    def examine_closely(
        self, payload: dict[Any, Any], source_id: str | None, observed_on: date | None, table: Units
    ) -> Accepted | Rejection:
        """The law itself: what `examine` answers, found without the fast lane."""
        lifecycle = self._lifecycle_of(payload)
        zeroed = lifecycle in VOID_LIFECYCLES
        findings: list[Finding] = []
        try:
            record = (self._read_zeroed if zeroed else self._read)(payload, table.unknown)
        except Found as found:
            record = found.normal
            findings.extend(found.findings)
        findings.extend(self._identify(record, source_id, findings))
        scene = self._scene(record, source_id, observed_on, lifecycle, table)
        refused = frozenset(f.path for f in findings if not f.warning)
        for rule in self._always if zeroed else self.description.rules:
            findings.extend(rule.ask(scene, refused))
        if any(not finding.warning for finding in findings):
            return _refuse(payload, findings)
        if is_too_large(payload):
            return rejection([too_large()])
        return self._accept(scene, findings)

    def _lifecycle_of(self, record: dict[Any, Any]) -> str | None:
        status = record.get("status")
        return self.description.lifecycles.get(status) if isinstance(status, str) else None

    def _identify(
        self, record: dict[str, Any], source_id: str | None, findings: list[Finding]
    ) -> tuple[Finding, ...]:
        """I-F5: natural id or source_id of the call; the call wins where they differ (D4)."""
        name = self.natural_id
        natural = record.get(name)
        if natural is None and source_id is None:
            refused = any(f.path == (name,) for f in findings)
            return () if refused else (missing(name, invariant="I-F5"),)
        if natural is None or source_id in (None, natural):
            return ()
        message = f"{name} {quote(natural)} is not the call's source_id {quote(source_id)}"
        return (Finding("source_id_mismatch", message, "I-F5", (name,), warning=True),)

    def _scene(
        self,
        record: dict[str, Any],
        source_id: str | None,
        observed_on: date | None,
        lifecycle: str | None,
        table: Units,
    ) -> Scene:
        return Scene(
            document_type=self.document_type,
            record=record,
            unit=table.governing(record.get("currency"), table.unknown),
            source_id=source_id if source_id is not None else record.get(self.natural_id),
            lifecycle=lifecycle,
            on_date=projection.document_date(self.description, record),
            observed_on=observed_on,
            tally=tally(record) if self._has_lines else None,
        )

    def _accept(self, scene: Scene, findings: list[Finding]) -> Accepted:
        record = scene.record
        version, updated_at = (record.pop(name, None) for name in self._outside)
        content = normal.dumps(record)
        assert scene.source_id is not None, "I-F5 has seen to it"
        return Accepted(
            content,
            normal.digest(content),
            scene.source_id,
            version,
            temporal.microseconds(updated_at) if updated_at else None,
            scene.lifecycle,
            *self._facets_of(record),
            flags(findings) if findings else (),
        )

    def _facets_of(self, record: dict[str, Any]) -> Facets:
        described = self.description
        return Facets(
            record.get("status") if described.lifecycles else None,
            projection.document_date(described, record) if described.lifecycles else None,
            record.get(described.party) if described.party else None,
            record.get(described.number) if described.number else None,
        )

    def _lifecycle_flag(self, before: dict[str, Any], after: dict[str, Any]) -> Flag | None:
        old, new = self._lifecycle_of(before), self._lifecycle_of(after)
        if old in (None, "unknown", new) or new in (None, "unknown") or new in _MOVES[str(old)]:
            return None
        message = f"lifecycle moves from {old} to {new}"
        return Flag("lifecycle_backwards", "/status", message, "I-V4")


def _currency_flag(before: dict[str, Any], after: dict[str, Any]) -> Flag | None:
    if "currency" not in before or before["currency"] == after.get("currency"):
        return None
    return Flag("currency_changed", "/currency", _changed("currency", before, after), "I-V3")


def _changed(name: str, before: dict[str, Any], after: dict[str, Any]) -> str:
    return f"{name} changed from {quote(before[name])} to {quote(after.get(name, 'no value'))}"


def _refuse(payload: dict[Any, Any], findings: list[Finding]) -> Rejection:
    """Every reason, those of places that no reader went to included; stage 2 stands alone."""
    if (finding := stage_two(payload)) is not None:
        return rejection([finding])
    told = {(finding.code, finding.path) for finding in findings}
    unvisited = (f for f in deep_findings(payload) if (f.code, f.path) not in told)
    return rejection([*findings, *unvisited])
