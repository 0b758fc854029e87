"""Reading provider records into a stage: the mapping, the contract, and what may be skipped."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from penstock.contracts import registry
from penstock.errors import PermissionDeniedError, UnknownStreamError
from penstock.model.connection import Account, Connection
from penstock.model.identity import is_well_formed_id
from penstock.model.rejection import Rejection, rejected
from penstock.model.unit import Head, MovedMarks
from penstock.pipeline import mapping as mapped
from penstock.pipeline.brief import Brief, BriefReader
from penstock.pipeline.candidate import Candidate
from penstock.pipeline.examine import Desk, Origin
from penstock.pipeline.letters import Subject, record_bytes
from penstock.pipeline.stage import HeadsOf, Stage
from penstock.sdk.collection import RecordMapping
from penstock.sdk.context import Context
from penstock.sdk.loader import Loaded
from penstock.sdk.submission import Submission
from penstock.upstream import template, wire


@dataclass(frozen=True, slots=True)
class Installation:
    """A connector at work for one connection: all that reading needs to know of both."""

    loaded: Loaded
    connection: Connection

    @property
    def account(self) -> Account | None:
        return self.connection.account

    @property
    def values(self) -> template.Values:
        """What placeholders in the connector's declarations stand for."""
        account = self.account
        return {
            "settings": self.connection.settings,
            "account": account.as_json() if account else {},
            "facts": account.facts if account else {},
        }

    def desk(self, document_type: str) -> Desk:
        """Raises UnknownDocumentTypeError."""
        contract = registry.contract(document_type)
        return Desk.for_type(self.connection.workspace, self.connection.name, contract)

    def check_permission(self, document_type: str, action: str) -> None:
        """Raises PermissionDeniedError naming the line to add."""
        connector = self.loaded.connector
        if not connector.permissions.allows(document_type, action):
            raise PermissionDeniedError(
                f"connector {connector.key} may not {action} {document_type}; add "
                f'documents={{"{document_type}": ["{action}"]}} to its Permissions'
            )

    def mapping(self, stream: str) -> RecordMapping:
        """Raises UnknownStreamError where the stream has no mapping."""
        connector = self.loaded.connector
        connector.stream(stream)
        found = connector.mappings.get(stream)
        if found is None:
            raise UnknownStreamError(
                f"stream {stream} of connector {connector.key} has no mapping; declare it with "
                f"@{connector.key}.mapping({stream!r}, …) or .collection(…)"
            )
        return found

    def context(self, received_at: datetime) -> Context:
        account = self.account
        return Context(
            account=account,
            facts=account.facts if account else {},
            settings=self.connection.settings,
            received_at=received_at,
        )


class RecordReader:
    """Reads the records of one mapped stream into stages."""

    def __init__(self, installation: Installation, stream: str) -> None:
        connector = installation.loaded.connector
        self.installation = installation
        self.mapping = installation.mapping(stream)
        self.namer = mapped.RecordNamer(connector.provider, self.mapping.id)
        self.since = self.mapping.endpoint.since if self.mapping.endpoint else None

        self._desks: dict[str, Desk] = {}
        self._briefs = BriefReader(
            self.namer.single_path,
            self.since.field if self.since else None,
            prefix=f"{connector.provider}:{self.mapping.document}:",
            name=self._desk_of(self.mapping.document).name,
            fingerprint=None if self.mapping.takes_context else self._fingerprint(),
        )

    def read_page(
        self, stage: Stage, raws: Sequence[bytes], received_at: datetime, heads_of: HeadsOf
    ) -> None:
        """Read raw records of a response into the stage.

        A record whose raw bytes and mapping are those that made its current version is not
        mapped again.
        """
        stage.fetched += len(raws)
        briefs = list(map(self._briefs.read, raws))
        if self.since is not None:
            stage.saw(self.since.greatest([brief.changed for brief in briefs]))
        ids = (brief.document_id for brief in briefs if brief.document_id)
        heads = stage.look_up(ids, heads_of)
        context = self.installation.context(received_at)
        fresh: list[tuple[int, Brief]] = []
        for index, brief in enumerate(briefs):
            head = heads.get(brief.document_id) if brief.document_id else None
            if head is not None and brief.raw_mark and head.raw_mark == brief.raw_mark:
                self._repeat(stage, head)
            else:
                fresh.append((index, brief))
        decoded = wire.decode_records([briefs[index].raw for index, _ in fresh])
        today = received_at.date()
        for (index, brief), record in zip(fresh, decoded, strict=True):
            raw, key, document_id, raw_mark, _ = brief
            origin = Origin(stage.received_at, today, raw, raw_mark, index, key, document_id)
            self._read_record(stage, record, context, origin, None)

    def read_records(
        self,
        stage: Stage,
        records: Sequence[Any],
        received_at: datetime,
        *,
        gone: bool,
        as_of: int | None,
    ) -> list[Candidate | tuple[Subject, Rejection]]:
        """Read records that a route decoded itself; what each submission became, in order."""
        context = self.installation.context(received_at)
        answers: list[Candidate | tuple[Subject, Rejection]] = []
        for record in records:
            raw = record_bytes(record)
            origin = Origin(stage.received_at, received_at.date(), raw, None, stage.fetched)
            stage.fetched += 1
            if gone:
                made = mapped.gone(self.mapping, self.namer, record, as_of)
                answers += self._examine_all(stage, made, origin)
            else:
                answers += self._read_record(stage, record, context, origin, as_of)
                self._saw_record(stage, record)
        return answers

    def _read_record(
        self, stage: Stage, record: Any, context: Context, origin: Origin, as_of: int | None
    ) -> list[Candidate | tuple[Subject, Rejection]]:
        if isinstance(record, wire.BadRecordError):
            refused = rejected(record.code, record.message)
            return [self._set_aside(stage, self._subject(origin), refused)]
        known = origin.key if origin.document_id is not None else None
        made = mapped.submissions(self.mapping, self.namer, record, context, as_of, key=known)
        return self._examine_all(stage, made, origin)

    def _examine_all(
        self, stage: Stage, made: list[Submission] | Rejection, origin: Origin
    ) -> list[Candidate | tuple[Subject, Rejection]]:
        if isinstance(made, Rejection):
            return [self._set_aside(stage, self._subject(origin), made)]
        if not made:
            stage.filtered += 1
        stage.extra_emits += max(len(made) - 1, 0)
        if len(made) != 1 or made[0].is_gone:
            origin = origin._replace(raw_mark=None)
        return [self._examine(stage, submission, origin) for submission in made]

    def _examine(
        self, stage: Stage, submission: Submission, origin: Origin
    ) -> Candidate | tuple[Subject, Rejection]:
        desk = self._desk_of(submission.document_type)
        if submission.is_gone:
            self.installation.check_permission(submission.document_type, "delete")
        candidate = desk.examine(submission, origin)
        if isinstance(candidate, Rejection):
            return self._set_aside(stage, subject(desk, submission, origin), candidate)
        stage.candidates.append(candidate)
        return candidate

    def _set_aside(
        self, stage: Stage, about: Subject, rejection: Rejection
    ) -> tuple[Subject, Rejection]:
        stage.set_aside(about, rejection)
        return about, rejection

    def _subject(self, origin: Origin) -> Subject:
        """The letter's subject for a record that did not get as far as a submission."""
        brief = self._briefs.read(origin.raw) if origin.raw else None
        return Subject(
            document_type=self.mapping.document,
            key=brief.key if brief else None,
            document_id=brief.document_id if brief else None,
            raw=origin.raw,
            page_index=origin.page_index,
        )

    def _repeat(self, stage: Stage, head: Head) -> None:
        stage.repeated.append(head.document_id)
        unmarked = head.source_version is None and head.source_updated_at is None
        if unmarked and stage.received_at > head.as_of:
            stage.marks.append(
                MovedMarks(
                    head.document_id, head.version_no, head.raw_mark, None, None, stage.received_at
                )
            )

    def _saw_record(self, stage: Stage, record: Any) -> None:
        if self.since is not None:
            stage.saw(self.since.measure(record))

    def _desk_of(self, document_type: str) -> Desk:
        desk = self._desks.get(document_type)
        if desk is None:
            self.installation.check_permission(document_type, "write")
            desk = self._desks[document_type] = self.installation.desk(document_type)
        return desk

    def _fingerprint(self) -> Any:
        """What else a version depends on: connector version and code, contract version."""
        loaded = self.installation.loaded
        contract = registry.contract(self.mapping.document)
        start = hashlib.sha256(b"penstock raw 1")
        for part in (loaded.connector.key, loaded.connector.version, self.mapping.stream):
            start.update(part.encode() + b"\0")
        start.update(f"{contract.document_type} {contract.version}\0".encode())
        start.update(loaded.code)
        return start


def subject(desk: Desk, submission: Submission, origin: Origin) -> Subject:
    """The letter's subject for a submission that did not pass its contract."""
    key = submission.key
    usable = isinstance(key, str) and is_well_formed_id(key)
    return Subject(
        document_type=submission.document_type,
        key=key,
        source_id=submission.source_id,
        document_id=desk.name(str(key)) if usable else None,
        contract_version=desk.contract.version,
        raw=origin.raw,
        payload=submission.payload,
        page_index=origin.page_index,
        as_of=submission.as_of,
    )
