"""Reading provider records into a stage: the mapping, the contract, and what may be skipped."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, NamedTuple

from penstock.contracts import registry
from penstock.errors import PermissionDeniedError, UnknownStreamError
from penstock.model.connection import Account, Connection
from penstock.model.identity import is_well_formed_id
from penstock.model.rejection import Rejection, rejected
from penstock.model.unit import Head, MovedMarks
from penstock.pipeline import mapping as mapped
from penstock.pipeline.brief import Brief, BriefReader
from penstock.pipeline.candidate import Candidate
from penstock.pipeline.completion import Completion, Ended, Incomplete
from penstock.pipeline.examine import Desk, Origin
from penstock.pipeline.letters import Subject, record_bytes
from penstock.pipeline.stage import HeadsOf, Stage
from penstock.sdk.collection import RecordMapping
from penstock.sdk.context import Context
from penstock.sdk.emit import Gone
from penstock.sdk.loader import Loaded
from penstock.sdk.request import Door, Http, RouteRequest
from penstock.sdk.submission import Submission
from penstock.telemetry import event
from penstock.upstream import template, wire
from penstock.upstream.since import Span

DECODED_AT_ONCE = 32
"""So few that records and payloads are still in the processor's cache when they are read: a whole
page decoded at once takes half as long again."""


class Fresh(NamedTuple):
    """A raw record to be read: its place in the page, and what the first glance showed."""

    place: int
    raw: bytes
    key: str | None
    document_id: bytes | None
    raw_mark: bytes | None


@dataclass(frozen=True, slots=True)
class Installation:
    """A connector at work for one connection: all that reading needs to know of both.

    parent: the payload of the document that a child collection is fetched below. partition: what
    a backfill's slice is limited to beside its time.
    """

    loaded: Loaded
    connection: Connection
    parent: Mapping[str, Any] | None = None
    partition: Mapping[str, str] = field(default_factory=dict)

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
            "facts": self.facts,
            "parent": self.parent or {},
            "partition": self.partition,
        }

    @property
    def base_url(self) -> str:
        return template.url(self.loaded.connector.base_url, self.values)

    @property
    def facts(self) -> dict[str, Any]:
        """What is known since connecting: from the tokens, and from the discovery, which wins."""
        account = self.account
        return {**self.connection.facts, **(account.facts if account else {})}

    def desk(self, stream: str, document_type: str) -> Desk:
        """Raises UnknownDocumentTypeError."""
        contract = registry.contract(document_type)
        return Desk.for_type(self.connection.workspace, self.connection.name, stream, contract)

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

    def completion(self, stream: str, door: Door, now: datetime) -> Completion | None:
        """What fetches the rest of a stream's records, where it is declared."""
        function = self.loaded.connector.completions.get(stream)
        if function is None:
            return None

        def log(message: str) -> None:
            event("completion.said", stream=stream, said=door.redact(message)[:1000])

        return Completion(function, self.request(stream, Http(door), now, log))

    def request(
        self,
        stream: str,
        http: Http,
        now: datetime,
        log: Callable[[str], None],
        *,
        cursor: Any = None,
        watermark: datetime | None = None,
        full: bool = False,
        from_: datetime | None = None,
        to: datetime | None = None,
    ) -> RouteRequest:
        """What author code that asks the provider is called with."""
        return RouteRequest(
            stream=stream,
            cursor=cursor,
            watermark=watermark,
            full=full,
            from_=from_,
            to=to,
            now=now,
            settings=self.connection.settings,
            account=self.account,
            facts=self.facts,
            http=http,
            log=log,
            partition=self.partition,
        )

    def context(self, received_at: datetime) -> Context:
        return Context(
            account=self.account,
            facts=self.facts,
            settings=self.connection.settings,
            received_at=received_at,
            parent=self.parent,
        )


class RecordReader:
    """Reads the records of one mapped stream into stages."""

    def __init__(self, installation: Installation, stream: str) -> None:
        connector = installation.loaded.connector
        self.installation = installation
        self.mapping = installation.mapping(stream)
        self.namer = mapped.RecordNamer(connector.provider, self.mapping.id)
        self.since = self.mapping.endpoint.since if self.mapping.endpoint else None
        self.sweeps = self.mapping.endpoint is not None and self.mapping.endpoint.sweeps

        self._desks: dict[str, Desk] = {}
        self._briefs = BriefReader(
            self.namer.single_path,
            self.since.field if self.since else None,
            prefix=f"{connector.provider}:{self.mapping.document}:",
            name=self._desk_of(self.mapping.document).name,
            fingerprint=None if self.mapping.takes_context else self._fingerprint(),
        )

    def glance(self, raws: Sequence[bytes]) -> list[Brief]:
        """The briefs of raw records. Touches nothing: it may run beside the rest."""
        return list(map(self._briefs.read, raws))

    def sort_out(self, stage: Stage, briefs: Sequence[Brief], heads_of: HeadsOf) -> list[Fresh]:
        """Count the records of a response, note the repeated ones; those to be read.

        A record whose raw bytes and mapping are those that made its current version is not
        mapped again.
        """
        stage.fetched += len(briefs)
        if self.since is not None:
            self._measure(stage, self.since.span([brief.changed for brief in briefs]))
        if self.sweeps:
            stage.sighted += [brief.document_id for brief in briefs if brief.document_id]
        ids = (brief.document_id for brief in briefs if brief.document_id)
        heads = stage.look_up(ids, heads_of)
        fresh: list[Fresh] = []
        for index, (raw, key, document_id, raw_mark, _) in enumerate(briefs):
            head = heads.get(document_id) if document_id else None
            if head is not None and raw_mark and head.raw_mark == raw_mark:
                self._repeat(stage, head)
            else:
                fresh.append(Fresh(index, raw, key, document_id, raw_mark))
                stage.raws[index] = raw
        stage.look(self.mapping.stream).places += [one.place for one in fresh]
        return fresh

    def read(self, stage: Stage, fresh: Sequence[Fresh], received_at: datetime) -> None:
        """Map and examine raw records into the stage."""
        context = self.installation.context(received_at)
        today = received_at.date()
        look = stage.look(self.mapping.stream)
        for start in range(0, len(fresh), DECODED_AT_ONCE):
            some = fresh[start : start + DECODED_AT_ONCE]
            raws = [raw for _, raw, _, _, _ in some]
            decoded = wire.decode_records(raws)
            look.add(raws, decoded)
            for (index, raw, key, document_id, raw_mark), record in zip(some, decoded, strict=True):
                origin = Origin(stage.received_at, today, raw, raw_mark, index, key, document_id)
                self._read_record(stage, record, context, origin)
                if self.sweeps and document_id is None:
                    self._sight(stage, record)

    def read_whole(
        self, stage: Stage, fresh: Sequence[Fresh], records: Sequence[Any], received_at: datetime
    ) -> None:
        """The same for records that were completed: `records` stand in the place of the listed."""
        context = self.installation.context(received_at)
        look = stage.look(self.mapping.stream)
        for (place, _, key, document_id, mark), record in zip(fresh, records, strict=True):
            raw = raw_of(record)
            origin = Origin(
                stage.received_at, received_at.date(), raw, mark, place, key, document_id
            )
            if raw is not None:
                stage.raws[place] = raw
                look.add([raw], [record])
            self._read_record(stage, record, context, origin)

    def read_records(
        self,
        stage: Stage,
        records: Sequence[Any],
        received_at: datetime,
        *,
        gone: Gone | None,
        as_of: int | None,
    ) -> list[Candidate | tuple[Subject, Rejection]]:
        """Read records that a route decoded itself; what each submission became, in order.

        gone: they have ended, and only their ids are read.
        """
        context = self.installation.context(received_at)
        answers: list[Candidate | tuple[Subject, Rejection]] = []
        look = stage.look(self.mapping.stream)
        for record in records:
            raw = raw_of(record)
            origin = Origin(
                received_at=stage.received_at,
                observed_on=received_at.date(),
                raw=raw,
                page_index=stage.fetched,
                as_of=as_of,
                gone=gone,
            )
            stage.fetched += 1
            if raw is not None:
                stage.raws[stage.fetched - 1] = raw
                if gone is None:
                    look.places.append(stage.fetched - 1)
                    look.add([raw], [record])
            answers += self._read_record(stage, record, context, origin)
            if gone is None and self.since is not None:
                stage.saw(self.since.measure(record))
        return answers

    def _read_record(
        self, stage: Stage, record: Any, context: Context, origin: Origin
    ) -> list[Candidate | tuple[Subject, Rejection]]:
        if isinstance(record, wire.BadRecordError):
            refused = rejected(record.code, record.message)
            return [self._set_aside(stage, self._subject(origin), refused)]
        if isinstance(record, Incomplete):
            named = self._subject(origin._replace(raw=record_bytes(record.record)))
            about = replace(named, raw=None, payload=record.record)
            return [self._set_aside(stage, about, mapped.completion_error(record.error))]
        if isinstance(record, Ended):
            record, origin = record.record, origin._replace(gone=record.gone)
        as_of, gone = origin.as_of, origin.gone
        if gone is not None:
            made = mapped.gone(self.mapping, self.namer, record, as_of, gone)
        else:
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
            stream=self.mapping.stream,
            document_type=self.mapping.document,
            key=brief.key if brief else None,
            document_id=brief.document_id if brief else None,
            raw=origin.raw,
            page_index=origin.page_index,
            as_of=origin.as_of,
            gone=origin.gone,
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

    def _measure(self, stage: Stage, span: Span) -> None:
        stage.saw(span.high)
        stage.saw(span.low)
        stage.unmarked += span.unread

    def _sight(self, stage: Stage, record: Any) -> None:
        """Note whose record was shown, where the first glance could not tell."""
        try:
            key = self.namer.key(self.mapping.document, self.namer.record_id(record))
        except Exception:
            key = None
        if isinstance(key, str) and is_well_formed_id(key):
            stage.sighted.append(self._desk_of(self.mapping.document).name(key))
        else:
            stage.nameless += 1

    def _desk_of(self, document_type: str) -> Desk:
        desk = self._desks.get(document_type)
        if desk is None:
            self.installation.check_permission(document_type, "write")
            desk = self.installation.desk(self.mapping.stream, document_type)
            self._desks[document_type] = desk
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


def raw_of(record: Any) -> bytes | None:
    """A record's bytes as they are kept; None where it is not the record that was asked for."""
    if isinstance(record, Incomplete):
        return None
    if isinstance(record, Ended):
        return record_bytes(record.record)
    if isinstance(record, wire.BadRecordError) and record.raw is not None:
        return record.raw
    return record_bytes(record)


def subject(desk: Desk, submission: Submission, origin: Origin) -> Subject:
    """The letter's subject for a submission that did not pass its contract."""
    key = submission.key
    usable = isinstance(key, str) and is_well_formed_id(key)
    return Subject(
        stream=desk.stream,
        document_type=submission.document_type,
        key=key,
        source_id=submission.source_id,
        document_id=desk.name(str(key)) if usable else None,
        contract_version=desk.contract.version,
        raw=origin.raw,
        payload=submission.payload,
        page_index=origin.page_index,
        as_of=submission.as_of,
        gone=origin.gone,
        source_version=submission.source_version,
    )
