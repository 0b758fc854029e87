"""Documents derived once more: archived records through today's mapping, contract and decision.

Reading and deciding ask nobody and write nothing, so a span of versions may be derived in any
process, on any host; what comes of it is a value. A record counts only in the place of the very
version it was derived from: where the document has moved on meanwhile, it is stale.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Generator, Iterable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, NamedTuple

import msgspec

from penstock.clock import Clock
from penstock.errors import MendError, PageRefusedError, PenstockError
from penstock.model import times
from penstock.model.identity import from_text
from penstock.model.outcome import Outcome
from penstock.model.rejection import Rejection
from penstock.model.unit import DocumentState, Head
from penstock.pipeline.archived_answers import ArchivedAnswers, response_of
from penstock.pipeline.candidate import Candidate
from penstock.pipeline.collection import UnreadablePageError
from penstock.pipeline.decide import Verdict, effects, verdicts
from penstock.pipeline.difference import Difference, FieldChange, note
from penstock.pipeline.enumeration import Enumeration
from penstock.pipeline.letters import Postmaster, payload_bytes
from penstock.pipeline.parent import payload_of
from penstock.pipeline.reading import Fresh, Installation, RecordReader
from penstock.pipeline.reading_process import Reading
from penstock.pipeline.route import RefusedRouteError, RouteHost, RouteSource
from penstock.pipeline.stage import Stage
from penstock.store.roles import Archive, Documents
from penstock.store.rows import StoredPage, Trace
from penstock.upstream import wire

NEVER_ARCHIVED = "never_archived"
"""It came in a file, or before penstock archived what its kind of record came from."""

FORGOTTEN = "forgotten"
"""The page is older than pages are kept."""

NEWER_SEEN = "newer_seen"
"""A later record changed nothing under the mapping of its day and is not archived."""

DEAD_LETTER = "dead_letter"
"""A later record was refused and waits to be replayed."""

ORIGIN_UNKNOWN = "origin_unknown"
"""Its page does not say how the route was called, or below which parent it was fetched."""

UNREADABLE = "unreadable"
"""Today's connector finds no records in the page, or its route fails over it."""

GONE = "gone"


class Span(NamedTuple):
    """The versions with numbers behind `after`, up to `upto`."""

    after: int
    upto: int


class DerivedPage(msgspec.Struct, array_like=True):
    """What the records of one archived page came to, ready to be decided. raws: of those that the
    store refuses, by their place."""

    page_no: int
    parent_id: bytes | None
    received_at: int
    fetched: int
    reading: Reading
    raws: dict[int, bytes]

    def stage(self, postmaster: Postmaster) -> Stage:
        """As it was staged; decided on whatever heads there are now."""
        own = replace(postmaster, parent_id=self.parent_id)
        stage = Stage(self.received_at, own, page_no=self.page_no, raws=self.raws)
        stage.fetched = self.fetched
        self.reading.put_into(stage)
        return stage


class Derived(msgspec.Struct, array_like=True):
    """What a span of versions came to. failure: a sentence, in place of all else, and whether
    somebody has to mend something."""

    difference: Difference
    pages: list[DerivedPage] = []
    failure: tuple[str, bool] | None = None


class _UntouchedError(Exception):
    """The documents of a page cannot be derived: why, and a sentence about it."""

    def __init__(self, why: str, message: str = "") -> None:
        super().__init__(message)
        self.why = why
        self.message = message


@dataclass(frozen=True, slots=True)
class Deriver:
    """Derives the documents of one stream. keeps: what comes of the records is wanted, too, and
    not only how it differs."""

    installation: Installation
    stream: str
    archive: Archive
    documents: Documents
    clock: Clock
    keeps: bool = False
    _readers: dict[bytes | None, RecordReader] = field(default_factory=dict)

    def derive(self, span: Span) -> Derived:
        """Raises MendError where the connector does not allow what it does now."""
        connection = self.installation.connection
        place = (connection.workspace, connection.name, self.stream)
        traces = self.archive.traces(*place, after=span.after, upto=span.upto)
        if self.stream in self.installation.loaded.connector.completions:
            # That one has ended its completion told, and nothing archived.
            traces = [trace for trace in traces if trace.head.state == DocumentState.LIVE]
        untouched = Counter(why for trace in traces if (why := why_not(trace)))
        difference, pages = Difference(untouched=untouched), []
        for page_no, group in by_page(traces).items():
            try:
                stage = self.stage(self.archive.unit(page_no), group)
            except _UntouchedError as left:
                told = (f"page {page_no}: {left.message}",) if left.message else ()
                difference += Difference(untouched={left.why: len(group)}, messages=told)
                continue
            heads = {trace.head.document_id: trace for trace in group}
            take_places(stage, heads, self.documents)
            found, raws = compared(stage, heads)
            difference += found
            if self.keeps:
                pages.append(derived_page(page_no, stage, raws))
        return Derived(difference, pages)

    def stage(self, unit: Sequence[StoredPage], group: Sequence[Trace]) -> Stage:
        """The records of an archived unit, read once more. Raises _UntouchedError."""
        asked = msgspec.json.decode(unit[0].asked) if unit[0].asked else {}
        connector = self.installation.loaded.connector
        mapping = connector.mappings.get(self.stream)
        if "route" in asked:
            return self.staged_by_route(unit, asked, group)
        if mapping is not None and "records" in asked:
            return self.staged_by_mapping(unit[0], asked, "", group)
        if mapping is None or mapping.endpoint is None:
            raise _UntouchedError(ORIGIN_UNKNOWN)
        if self.stream in connector.completions:
            raise _UntouchedError(NEVER_ARCHIVED)
        return self.staged_by_mapping(unit[0], asked, mapping.endpoint.records, group)

    def staged_by_mapping(
        self, page: StoredPage, asked: Mapping[str, Any], path: str, group: Sequence[Trace]
    ) -> Stage:
        """Those records of a page that current versions came from. path: to the records."""
        parent_id = from_text(asked["parent"]) if "parent" in asked else None
        reader = self.reader(parent_id)
        response = response_of(page)
        try:
            records = wire.split(response.json_text(), path).records
        except PageRefusedError as refused:
            raise _UntouchedError(UNREADABLE, refused.message) from refused
        places = sorted({trace.page_index for trace in group if trace.page_index is not None})
        if places and places[-1] >= len(records):
            message = f"it has {len(records)} records, where {places[-1] + 1} were expected"
            raise _UntouchedError(UNREADABLE, message)
        stage = Stage(page.received_at, self.postmaster(parent_id))
        briefs = reader.glance([records[place] for place in places])
        fresh = [Fresh(place, *brief[:4]) for place, brief in zip(places, briefs, strict=True)]
        stage.raws.update((one.place, one.raw) for one in fresh)
        reader.read(stage, fresh, response.received_at)
        return stage

    def staged_by_route(
        self, unit: Sequence[StoredPage], asked: Mapping[str, Any], group: Sequence[Trace]
    ) -> Stage:
        """What today's route makes of the archived responses, of documents that came from them.

        Others may be told of on the same page: they are not its business any more.
        """
        connector = self.installation.loaded.connector
        routes = connector.sync_routes if asked["route"] == "sync" else connector.backfill_routes
        route = routes.get(self.stream)
        if route is None:
            raise _UntouchedError(ORIGIN_UNKNOWN)
        installation = replace(self.installation, partition=asked.get("partition") or {})
        answers = ArchivedAnswers(installation.base_url, list(unit))
        host = RouteHost(
            installation,
            self.postmaster(None),
            answers,
            self.documents.heads,
            self.clock,
            run_no=0,
            observing=False,
        )
        source = RouteSource(
            route=route,
            host=lambda: host,
            since=None,
            now=times.moment(unit[0].received_at),
            from_=_moment(asked.get("from")),
            to=_moment(asked.get("to")),
            kind=asked["route"],
        )
        enumeration = Enumeration(
            unit[0].received_at, asked.get("since"), bool(asked.get("full", False))
        )
        _call_once(source, host, asked.get("cursor"), enumeration)
        wanted = {trace.head.document_id for trace in group}
        stage = host.stage
        stage.candidates = [c for c in stage.candidates if c.document_id in wanted]
        stage.letters = [letter for letter in stage.letters if letter.document_id in wanted]
        mapping_errors = sum(letter.reason == "mapping_error" for letter in stage.letters)
        stage.mapping_errors, stage.filtered = mapping_errors, 0
        stage.rejected = len(stage.letters) - mapping_errors
        return stage

    def reader(self, parent_id: bytes | None) -> RecordReader:
        """The reader of the stream's records, below that parent as it is now."""
        if parent_id not in self._readers:
            self._readers.clear()  # of many parents, the pages of one stand together
            self._readers[parent_id] = RecordReader(self.below(parent_id), self.stream)
        return self._readers[parent_id]

    def below(self, parent_id: bytes | None) -> Installation:
        """Raises _UntouchedError where the mapping looks at a parent and nobody knows which."""
        mapping = self.installation.mapping(self.stream)
        endpoint = mapping.endpoint
        if endpoint is None or endpoint.parent is None:
            return self.installation
        if parent_id is not None:
            parent = payload_of(self.installation, endpoint, parent_id, self.documents)
            return replace(self.installation, parent=parent)
        if mapping.takes_context:
            raise _UntouchedError(ORIGIN_UNKNOWN)
        return self.installation

    def postmaster(self, parent_id: bytes | None) -> Postmaster:
        connection = self.installation.connection
        return Postmaster(connection.workspace, connection.name, self.stream, parent_id)


def why_not(trace: Trace) -> str | None:
    """Why a document is left as it is before anything is read; None where nothing speaks against
    deriving it."""
    if trace.page_no is None:
        return NEVER_ARCHIVED
    if trace.has_letter:
        return DEAD_LETTER
    if trace.newer:
        return NEWER_SEEN
    return None if trace.kept else FORGOTTEN


def by_page(traces: Iterable[Trace]) -> dict[int, list[Trace]]:
    """Those that can be derived, by the page their records stand in."""
    pages: dict[int, list[Trace]] = {}
    for trace in traces:
        if why_not(trace) is None and trace.page_no is not None:
            pages.setdefault(trace.page_no, []).append(trace)
    return pages


def take_places(stage: Stage, traces: Mapping[bytes, Trace], documents: Documents) -> None:
    """Let every candidate stand in the place of the version it was derived from, and be as old.

    What a record also tells of other documents counts only where there are none.
    """
    others = [c.document_id for c in stage.candidates if c.document_id not in traces]
    taken = documents.heads(others) if others else {}
    stage.candidates = [
        _in_place(candidate, traces.get(candidate.document_id))
        for candidate in stage.candidates
        if candidate.document_id not in taken
    ]
    stage.letters = [
        replace(letter, as_of=trace.head.as_of)
        if (trace := traces.get(letter.document_id or b"")) is not None
        else letter
        for letter in stage.letters
    ]
    stage.sighted, stage.wakes, stage.looks, stage.extra_emits = [], [], {}, 0
    stage.fetched = (
        len(stage.candidates) + stage.rejected + stage.mapping_errors + stage.filtered
    )  # what a record makes is counted one by one, since some of it may be left out


def compared(stage: Stage, traces: Mapping[bytes, Trace]) -> tuple[Difference, dict[int, bytes]]:
    """How a page's documents would change, and the raw records that the store's state refuses."""
    heads: dict[bytes, Head | None] = {i: trace.head for i, trace in traces.items()}
    contents = {trace.head.version_no: trace.content for trace in traces.values()}
    decided = verdicts(stage.candidates, heads)
    refused = effects(stage.candidates, decided, heads, contents).refused
    passed = [
        (candidate, verdict)
        for place, (candidate, verdict) in enumerate(zip(stage.candidates, decided, strict=True))
        if place not in refused and verdict.outcome is not Outcome.STALE
    ]
    counts = Counter(_what_happens(candidate, verdict) for candidate, verdict in passed)
    fields: dict[str, FieldChange] = {}
    for candidate, verdict in passed:
        if verdict.outcome is Outcome.UPDATED and candidate.accepted is not None:
            trace = traces[candidate.document_id]
            note(fields, trace.head.source_id, trace.content, candidate.accepted.content)
    reasons = Counter(letter.reason for letter in stage.letters)
    reasons.update(rejection.reason for rejection in refused.values())
    difference = Difference(
        created=counts[Outcome.CREATED],
        updated=counts[Outcome.UPDATED],
        unchanged=counts[Outcome.UNCHANGED],
        gone=counts[GONE],
        filtered=_filtered(stage, traces),
        rejected=reasons.total(),
        reasons=reasons,
        fields=fields,
    )
    return difference, _refused_raws(stage, refused)


def derived_page(page_no: int, stage: Stage, raws: dict[int, bytes]) -> DerivedPage:
    return DerivedPage(
        page_no,
        stage.postmaster.parent_id,
        stage.received_at,
        stage.fetched,
        Reading.of(stage),
        raws,
    )


def _call_once(source: RouteSource, host: RouteHost, cursor: Any, enumeration: Enumeration) -> None:
    """Call a route for one page; of one that yields, to its first yield."""
    try:
        made = source.call(host, partial(source.route, source.request(host, cursor, enumeration)))
        if isinstance(made, Generator):
            with closing(made):
                made = source.call(host, partial(next, made, None))
        if made is not None:
            source.result(host, made)
    except MendError:
        raise
    except UnreadablePageError as error:
        raise _UntouchedError(UNREADABLE, error.refusal.message) from error
    except RefusedRouteError as error:
        raise _UntouchedError(UNREADABLE, error.refused.error.message) from error
    except PenstockError as error:
        raise _UntouchedError(UNREADABLE, error.message) from error


def _in_place(candidate: Candidate, trace: Trace | None) -> Candidate:
    if trace is None:
        return candidate._replace(replaces=0)
    return candidate._replace(replaces=trace.head.version_no, as_of=trace.head.as_of)


def _what_happens(candidate: Candidate, verdict: Verdict) -> str:
    gone = verdict.outcome is Outcome.UPDATED and candidate.accepted is None
    return GONE if gone else verdict.outcome


def _filtered(stage: Stage, traces: Mapping[bytes, Trace]) -> int:
    """How many documents the records say nothing of any more."""
    told = {candidate.document_id for candidate in stage.candidates}
    told |= {letter.document_id for letter in stage.letters if letter.document_id is not None}
    nameless = sum(letter.document_id is None for letter in stage.letters)
    return max(len(traces.keys() - told) - nameless, 0)


def _refused_raws(stage: Stage, refused: Mapping[int, Rejection]) -> dict[int, bytes]:
    """Raw records by their place; of what a route submitted itself the payload is kept, as plain
    JSON. Of all other records neither is wanted any more."""
    raws: dict[int, bytes] = {}
    for place, candidate in enumerate(stage.candidates):
        index = candidate.page_index
        if place in refused and index in stage.raws:
            raws[index] = stage.raws[index]
        elif candidate.payload is not None:
            plain = msgspec.json.decode(payload_bytes(candidate.payload))
            kept = plain if place in refused else None
            stage.candidates[place] = candidate._replace(payload=kept)
    return raws


def _moment(microseconds: int | None) -> Any:
    return None if microseconds is None else times.moment(microseconds)
