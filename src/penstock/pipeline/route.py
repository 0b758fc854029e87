"""Pages of a route: the author's function behind the one door."""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial
from typing import Any, Literal

from penstock.clock import Clock
from penstock.errors import (
    ConnectorError,
    PageRefusedError,
    PenstockError,
    RecordRejectedError,
    RouteFailedError,
    UsageError,
)
from penstock.model import times
from penstock.model.identity import as_text, version_id
from penstock.model.outcome import Outcome
from penstock.model.rejection import Rejection
from penstock.model.unit import Head, NewLetter, Wake
from penstock.pipeline.candidate import Candidate
from penstock.pipeline.collection import UnreadablePageError
from penstock.pipeline.decide import Verdict, verdicts
from penstock.pipeline.enumeration import Enumeration
from penstock.pipeline.examine import Origin
from penstock.pipeline.letters import Postmaster, Subject
from penstock.pipeline.mapping import NOW_GONE, mapping_error
from penstock.pipeline.reading import Installation, RecordReader, subject
from penstock.pipeline.source import Page
from penstock.pipeline.stage import HeadsOf, Stage
from penstock.sdk.host import entered
from penstock.sdk.request import Door, Http, RouteRequest
from penstock.sdk.results import (
    CanonicalBatchFailedRecord,
    CanonicalIngestResult,
    IngestStatus,
    Provenance,
)
from penstock.sdk.submission import Submission
from penstock.sdk.sync import SyncPage
from penstock.telemetry import event
from penstock.upstream.files import Download
from penstock.upstream.request import Request, Response
from penstock.upstream.since import Since
from penstock.upstream.trail import Trail
from penstock.upstream.verdict import Verdict as Judgement
from penstock.vault.redaction import Redactor

Answer = CanonicalIngestResult | CanonicalBatchFailedRecord
Examined = Candidate | tuple[Subject, Rejection]


@dataclass(slots=True)
class RefusedRecord:
    """The letter of the record that made a route raise."""

    error: RecordRejectedError
    letter: NewLetter


class RouteHost:
    """Stands behind the door for one call of a route and fills one stage."""

    def __init__(
        self,
        installation: Installation,
        postmaster: Postmaster,
        door: Door,
        heads_of: HeadsOf,
        clock: Clock,
        *,
        run_no: int,
        observing: bool,
    ) -> None:
        self.installation = installation
        self.door = door
        self.heads_of = heads_of
        self.clock = clock
        self.run_no = run_no
        self.observing = observing
        self.stream = postmaster.stream

        self.postmaster = postmaster
        self.turn_page()

    def turn_page(self) -> None:
        """Begin an empty stage."""
        self.stage = Stage(times.microseconds(self.clock.now()), self.postmaster)
        self.refused: list[RefusedRecord] = []
        self.follows = False

    @property
    def redact(self) -> Redactor:
        return self.door.redact

    def send(self, request: Request) -> Response:
        return self._received(self.door.send(replace(request, follows=self.follows)))

    def send_many(self, requests: Sequence[Request]) -> list[Response]:
        asked = [replace(request, follows=self.follows) for request in requests]
        return [self._received(response) for response in self.door.send_many(asked)]

    def download(self, request: Request) -> Download:
        """A file is not archived: its records are kept with what becomes of them."""
        file = self.door.download(request)
        self.stage.received_at = times.microseconds(self.clock.now())
        return file

    def _received(self, response: Response) -> Response:
        self.stage.responses.append(response)
        self.stage.received_at = times.microseconds(response.received_at)
        return response

    def status(self) -> IngestStatus:
        return "observed" if self.observing else "ingested"

    def wake(self, stream: str, *, full: bool) -> None:
        declared = self.installation.loaded.connector.stream(stream)
        if declared.mode != "poll" or stream == self.stream:
            what = "runs just now" if stream == self.stream else f"is a {declared.mode} stream"
            raise UsageError(f"sync.wake: {stream} {what}; name another stream that is polled")
        self.stage.wakes.append(Wake(stream, full))

    def log(self, message: str) -> None:
        event("route.said", stream=self.stream, said=self.redact(message)[:1000])

    def ingest(
        self, stream: str, submissions: Sequence[Submission], *, continue_on_error: bool
    ) -> Sequence[Answer]:
        self.installation.loaded.connector.stream(stream)
        first = self.stage.fetched
        examined = [self._examine(stream, first + index, s) for index, s in enumerate(submissions)]
        self._raise_first(examined, continue_on_error)
        self.stage.fetched += len(submissions)
        for item in examined:
            self._take(item)
        return self._answers(examined, first)

    def ingest_records(
        self, stream: str, records: Sequence[Any], *, gone: bool, as_of: int | None
    ) -> tuple[str, Sequence[Answer]]:
        reader = RecordReader(self.installation, stream)
        first = self.stage.fetched
        received_at = times.moment(self.stage.received_at)
        completion = (
            None if gone else self.installation.completion(stream, self.door, self.clock.now())
        )
        records = records if completion is None else completion.of(records)
        ended = NOW_GONE if gone else None
        examined = reader.read_records(self.stage, records, received_at, gone=ended, as_of=as_of)
        if reader.since is None:
            self._saw(examined)
        return reader.mapping.document, self._answers(examined, first)

    def _examine(self, stream: str, place: int, submission: Submission) -> Examined:
        action = "delete" if submission.is_gone else "write"
        self.installation.check_permission(submission.document_type, action)
        desk = self.installation.desk(stream, submission.document_type)
        received_at = self.stage.received_at
        origin = Origin(
            received_at,
            times.moment(received_at).date(),
            page_index=place,
            gone=submission.payload if submission.is_gone else None,
        )
        candidate = desk.examine(submission, origin)
        if isinstance(candidate, Rejection):
            return subject(desk, submission, origin), candidate
        return candidate

    def _raise_first(self, examined: Sequence[Examined], continue_on_error: bool) -> None:
        """Without continue_on_error nothing of the call is staged; the letter waits for the run."""
        for item in examined:
            if not (isinstance(item, Candidate) or continue_on_error):
                about, rejection = item
                error = RecordRejectedError(rejection)
                letter = self.stage.postmaster.write(about, rejection, self.stage.received_at)
                self.refused.append(RefusedRecord(error, letter))
                raise error

    def keep_caught(self) -> None:
        """Records whose error the author caught: set aside all the same, for none is lost."""
        for refused in self.refused:
            self.stage.letters.append(refused.letter)
            self.stage.rejected += 1
            self.stage.fetched += 1

    def _take(self, item: Examined) -> None:
        if isinstance(item, Candidate):
            self.stage.candidates.append(item)
        else:
            self.stage.set_aside(*item)
        self._saw([item])

    def _saw(self, examined: Sequence[Examined]) -> None:
        """Times of change as the payloads tell them: refused records count, they are kept too."""
        for item in examined:
            if isinstance(item, Candidate):
                self.stage.saw(item.source_updated_at)
            else:
                self.stage.saw(time_told(item[0].payload))

    def _answers(self, examined: Sequence[Examined], first: int) -> list[Answer]:
        """Provisional outcomes: as if the page ended here. first: place of the call's first record.

        A filtered record has no answer and one of several documents has several: where each stands
        in the call is told by its place, not by its position among the answers.
        """
        ids = {item.document_id for item in examined if isinstance(item, Candidate)}
        staged = [c for c in self.stage.candidates if c.document_id in ids]
        heads = self.stage.look_up(ids, self.heads_of)
        decided = dict(zip(map(id, staged), verdicts(staged, heads), strict=True))
        answers: list[Answer] = []
        for item in examined:
            index = place_of(item) - first
            if not isinstance(item, Candidate):
                answers.append(failed_record(index, *item))
            else:
                head = heads.get(item.document_id)
                answers.append(self._result(index, item, decided[id(item)], head))
        return answers

    def _result(
        self, index: int, candidate: Candidate, verdict: Verdict, head: Head | None
    ) -> CanonicalIngestResult:
        connector = self.installation.loaded.connector
        accepted = candidate.accepted
        payload_hash = accepted.payload_hash if accepted else head.payload_hash if head else b""
        source_id = candidate.source_id or (head.source_id if head else "")
        return CanonicalIngestResult(
            status=self.status(),
            document_type=candidate.document_type,
            document_id=as_text(candidate.document_id),
            document_version_id=as_text(version_id(candidate.document_id, verdict.version)),
            payload_hash=payload_hash.hex(),
            provenance=Provenance(
                outcome=Outcome(verdict.outcome),
                connector=connector.key,
                connector_version=connector.version,
                connection=self.installation.connection.name,
                stream=self.stream,
                run=self.run_no,
                source_id=source_id,
                idempotency_key=candidate.key,
                index=index,
                note=verdict.note,
            ),
        )


def place_of(item: Examined) -> int:
    """Position of a record among all that its page was handed."""
    place = item.page_index if isinstance(item, Candidate) else item[0].page_index
    assert place is not None  # every record gets one when it is handed over
    return place


def failed_record(index: int, about: Subject, rejection: Rejection) -> CanonicalBatchFailedRecord:
    """A rejection as the author sees it."""
    return CanonicalBatchFailedRecord(
        failed=True,
        reason=rejection.reason,
        message=rejection.message,
        retryable=rejection.retryable,
        document_type=about.document_type,
        source_id=about.source_id if isinstance(about.source_id, str) else None,
        idempotency_key=about.key if isinstance(about.key, str) else None,
        index=index,
        errors=rejection.errors,
        errors_truncated=rejection.errors_truncated,
    )


def time_told(payload: Any) -> int | None:
    """The time of change in a refused payload, microseconds; None where none can be read.

    A refused record lies in the dead letters, so the watermark may pass it.
    """
    told = payload.get("source_updated_at") if isinstance(payload, Mapping) else None
    try:
        return times.read(times.instant(told))
    except (TypeError, ValueError):
        return None


class RefusedRouteError(Exception):
    """A rejected record escaped a route: carries its letter, to be written by itself."""

    def __init__(self, refused: RefusedRecord) -> None:
        super().__init__(refused.error.message)
        self.refused = refused


@dataclass(frozen=True, slots=True)
class RouteSource:
    """Calls a route until it says there is no more."""

    route: Callable[[RouteRequest], Any]
    host: Callable[[], RouteHost]
    since: Since | None
    now: datetime
    from_: datetime | None = None
    to: datetime | None = None
    kind: Literal["sync", "backfill"] = "sync"

    @property
    def filtered(self) -> bool:
        """The watermark is the route's to use."""
        return True

    def pages(self, cursor: Any, enumeration: Enumeration) -> Generator[Page, None, None]:
        trail = enumeration.trail
        has_more = True
        while has_more:
            host = self.host()
            made = self.call(host, partial(self.route, self.request(host, cursor, enumeration)))
            if isinstance(made, Generator):
                made = yield from self.steps(host, made, trail)
            result = self.result(host, made)
            cursor, has_more = result.cursor, result.has_more
            # A route that waits asks the same thing again on purpose.
            trail = trail.follow(cursor) if has_more and result.again_in is None else trail
            yield page_of(host, result, trail, has_more=has_more)

    def steps(
        self, host: RouteHost, route: Generator[Any, None, Any], trail: Trail
    ) -> Generator[Page, None, Any]:
        """What a route yields: each is committed before its next line runs. What it returns is its
        last page; with nothing to say, the enumeration is complete."""
        with closing(route):
            while True:
                step, returned = self.call(host, partial(_step, route))
                if returned:
                    return step or SyncPage(None, has_more=False, watermark=None)
                result, asked = self.result(host, step), host.stage.asked or {}
                yield page_of(host, result, trail, has_more=True)
                host.turn_page()
                # As a run that was interrupted here would call it.
                known = result.cursor is not None
                host.stage.asked = asked | {"cursor": result.cursor} if known else None

    def request(self, host: RouteHost, cursor: Any, enumeration: Enumeration) -> RouteRequest:
        since = enumeration.since
        host.follows = cursor is not None
        host.stage.asked = self.asked(host, cursor, enumeration)
        return host.installation.request(
            host.stream,
            Http(host),
            self.now,
            host.log,
            cursor=cursor,
            watermark=None if since is None else times.moment(since),
            full=enumeration.full,
            from_=self.from_,
            to=self.to,
        )

    def asked(self, host: RouteHost, cursor: Any, enumeration: Enumeration) -> dict[str, Any]:
        """What the route is called with, as it is archived."""
        told = {
            "route": self.kind,
            "cursor": cursor,
            "since": enumeration.since,
            "full": enumeration.full or None,
            "from": None if self.from_ is None else times.microseconds(self.from_),
            "to": None if self.to is None else times.microseconds(self.to),
            "partition": dict(host.installation.partition) or None,
        }
        return {name: value for name, value in told.items() if value is not None}

    def call(self, host: RouteHost, work: Callable[[], Any]) -> Any:
        """Run author code. What it raises becomes one of our errors, cause kept."""
        try:
            with entered(host):
                return work()
        except PageRefusedError as error:
            if (response := refused_body(host.stage.responses, error)) is not None:
                raise UnreadablePageError(response, error) from error
            raise
        except RecordRejectedError as error:
            for refused in host.refused:
                if refused.error is error:
                    raise RefusedRouteError(refused) from error
            raise
        except PenstockError:
            raise
        except Judgement as verdict:
            raise verdict.error(host.clock.now()) from verdict
        except Exception as error:
            told = mapping_error(error).message.replace("the mapping raised", "raised", 1)
            raise RouteFailedError(f"the route of stream {host.stream} {told}") from error

    def result(self, host: RouteHost, made: Any) -> SyncPage:
        """What a route returned or yielded. Raises ConnectorError where that is no page."""
        if not isinstance(made, SyncPage):
            raise ConnectorError(
                f"the route of stream {host.stream} returned {type(made).__name__}; "
                "end it with return sync.page(…)"
            )
        host.keep_caught()
        return made


def refused_body(responses: Sequence[Response], refusal: PageRefusedError) -> Response | None:
    """The response whose body was refused; None where it was a file, or never came in whole."""
    for response in responses:
        try:
            response.json()
        except PageRefusedError as again:
            if again.message == refusal.message:
                return response
    return None


def _step(route: Generator[Any, None, Any]) -> tuple[Any, bool]:
    """What a generator yields next, or what it returned and True."""
    try:
        return next(route), False
    except StopIteration as end:
        return end.value, True


def page_of(host: RouteHost, result: SyncPage, trail: Trail, *, has_more: bool) -> Page:
    """The host's stage with what the route said of it."""
    asked = times.microseconds(result.watermark) if result.watermark else None
    return Page(host.stage, result.cursor, has_more, trail, asked, result.hold, result.again_in)
