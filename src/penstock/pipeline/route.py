"""Pages of a route: the author's function behind the one door."""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from penstock.clock import Clock
from penstock.errors import (
    ConnectorError,
    PageRefusedError,
    PenstockError,
    RecordRejectedError,
    RouteFailedError,
)
from penstock.model import times
from penstock.model.identity import as_text, version_id
from penstock.model.outcome import Outcome
from penstock.model.rejection import Rejection
from penstock.model.unit import Head, NewLetter
from penstock.pipeline.candidate import Candidate
from penstock.pipeline.collection import UnreadablePageError
from penstock.pipeline.decide import Verdict, verdicts
from penstock.pipeline.enumeration import Enumeration
from penstock.pipeline.examine import Origin
from penstock.pipeline.letters import Postmaster, Subject
from penstock.pipeline.mapping import mapping_error
from penstock.pipeline.reading import Installation, RecordReader, subject
from penstock.pipeline.source import Page
from penstock.pipeline.stage import HeadsOf, Stage
from penstock.sdk.host import entered
from penstock.sdk.request import Http, RouteRequest
from penstock.sdk.results import (
    CanonicalBatchFailedRecord,
    CanonicalIngestResult,
    IngestStatus,
    Provenance,
)
from penstock.sdk.submission import Submission
from penstock.sdk.sync import SyncPage
from penstock.telemetry import event
from penstock.upstream.request import Request, Response
from penstock.upstream.since import Since

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
        send: Callable[[Request], Response],
        heads_of: HeadsOf,
        clock: Clock,
        *,
        run_no: int,
        observing: bool,
    ) -> None:
        self.installation = installation
        self.send_on = send
        self.heads_of = heads_of
        self.clock = clock
        self.run_no = run_no
        self.observing = observing
        self.stream = postmaster.stream

        self.stage = Stage(times.microseconds(clock.now()), postmaster)
        self.refused: list[RefusedRecord] = []

    def send(self, request: Request) -> Response:
        response = self.send_on(request)
        self.stage.responses.append(response)
        self.stage.received_at = times.microseconds(response.received_at)
        return response

    def status(self) -> IngestStatus:
        return "observed" if self.observing else "ingested"

    def log(self, message: str) -> None:
        event("route.said", stream=self.stream, said=message[:1000])

    def ingest(
        self, stream: str, submissions: Sequence[Submission], *, continue_on_error: bool
    ) -> Sequence[Answer]:
        self.installation.loaded.connector.stream(stream)
        examined = [self._examine(index, s) for index, s in enumerate(submissions)]
        self._raise_first(examined, continue_on_error)
        self.stage.fetched += len(submissions)
        for item in examined:
            self._take(item)
        return self._answers(examined)

    def ingest_records(
        self, stream: str, records: Sequence[Any], *, gone: bool, as_of: int | None
    ) -> tuple[str, Sequence[Answer]]:
        reader = RecordReader(self.installation, stream)
        received_at = times.moment(self.stage.received_at)
        examined = reader.read_records(self.stage, records, received_at, gone=gone, as_of=as_of)
        return reader.mapping.document, self._answers(examined)

    def _examine(self, index: int, submission: Submission) -> Examined:
        action = "delete" if submission.is_gone else "write"
        self.installation.check_permission(submission.document_type, action)
        desk = self.installation.desk(submission.document_type)
        received_at = self.stage.received_at
        place = self.stage.fetched + index
        origin = Origin(received_at, times.moment(received_at).date(), page_index=place)
        candidate = desk.examine(submission, origin)
        if isinstance(candidate, Rejection):
            return subject(desk, submission, origin), candidate
        return candidate

    def _raise_first(self, examined: Sequence[Examined], continue_on_error: bool) -> None:
        """Without continue_on_error nothing of the call is staged; the letter waits for the run."""
        for item in examined:
            if isinstance(item, tuple) and not continue_on_error:
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
        if isinstance(item, tuple):
            about, rejection = item
            self.stage.set_aside(about, rejection)
            self.stage.saw(time_told(about.payload))
            return
        self.stage.candidates.append(item)
        self.stage.saw(item.source_updated_at)

    def _answers(self, examined: Sequence[Examined]) -> list[Answer]:
        """Provisional outcomes: as if the page ended here."""
        ids = {item.document_id for item in examined if isinstance(item, Candidate)}
        staged = [c for c in self.stage.candidates if c.document_id in ids]
        heads = self.stage.look_up(ids, self.heads_of)
        decided = dict(zip(map(id, staged), verdicts(staged, heads), strict=True))
        answers: list[Answer] = []
        for index, item in enumerate(examined):
            if isinstance(item, tuple):
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
            document_type=candidate.contract.document_type,
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

    def pages(self, cursor: Any, enumeration: Enumeration) -> Generator[Page, None, None]:
        trail = enumeration.trail
        has_more = True
        while has_more:
            host = self.host()
            result = self.call(host, self.request(host, cursor, enumeration))
            cursor, has_more = result.cursor, result.has_more
            trail = trail.follow(cursor) if has_more else trail
            asked = times.microseconds(result.watermark) if result.watermark else None
            yield Page(host.stage, cursor, has_more, trail, asked)

    def request(self, host: RouteHost, cursor: Any, enumeration: Enumeration) -> RouteRequest:
        connection = host.installation.connection
        since = enumeration.since
        return RouteRequest(
            stream=host.stream,
            cursor=cursor,
            watermark=None if since is None else times.moment(since),
            full=enumeration.full,
            from_=self.from_,
            to=self.to,
            now=self.now,
            settings=connection.settings,
            account=connection.account,
            facts=connection.account.facts if connection.account else {},
            http=Http(host.send),
            log=host.log,
        )

    def call(self, host: RouteHost, request: RouteRequest) -> SyncPage:
        """Run the author's function. What it raises becomes one of our errors, cause kept."""
        try:
            with entered(host):
                result = self.route(request)
        except PageRefusedError as error:
            raise UnreadablePageError(host.stage.responses[-1], error) from error
        except RecordRejectedError as error:
            for refused in host.refused:
                if refused.error is error:
                    raise RefusedRouteError(refused) from error
            raise
        except PenstockError:
            raise
        except Exception as error:
            told = mapping_error(error).message.replace("the mapping raised", "raised", 1)
            raise RouteFailedError(f"the route of stream {host.stream} {told}") from error
        if not isinstance(result, SyncPage):
            raise ConnectorError(
                f"the route of stream {host.stream} returned {type(result).__name__}; "
                "end it with return sync.page(…)"
            )
        host.keep_caught()
        return result
