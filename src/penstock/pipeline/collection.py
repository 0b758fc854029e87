"""Pages of a collection endpoint; what is still to come is fetched and read meanwhile.

A thread fetches the next page and takes it apart while this one is worked on. Where much is new,
a process of its own maps and examines the records of the next pages while this one is committed.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from typing import Any

from penstock.errors import CursorExpiredError, PageRefusedError, UpstreamError
from penstock.model import times
from penstock.model.backfill import Part
from penstock.pipeline.brief import Brief
from penstock.pipeline.completion import Completion
from penstock.pipeline.enumeration import Enumeration
from penstock.pipeline.letters import Postmaster
from penstock.pipeline.reading import Fresh, RecordReader
from penstock.pipeline.reading_process import Answer, ReadingProcess
from penstock.pipeline.source import Page
from penstock.pipeline.stage import HeadsOf, Stage
from penstock.sdk.collection import Endpoint
from penstock.sdk.request import flatten
from penstock.telemetry import carried, kill_point
from penstock.upstream import template, wire
from penstock.upstream.fields import MISSING
from penstock.upstream.graphql import GraphQL
from penstock.upstream.paging import Cursor, PageView
from penstock.upstream.request import Request, Response
from penstock.upstream.since import Since
from penstock.upstream.trail import Trail

Send = Callable[[Request], Response]

NOT_MODIFIED = 304

MANY_FRESH = 1_000
"""Fresh records of an enumeration after which a process of its own is worth its start."""

PAGES_AHEAD = 2
"""So many are read meanwhile that the process beside has always one to go on with."""


class UnreadablePageError(Exception):
    """Carries the response whose page was refused, so that its bytes are kept."""

    def __init__(self, response: Response, refusal: PageRefusedError) -> None:
        super().__init__(refusal.message)
        self.response = response
        self.refusal = refusal


@dataclass(frozen=True, slots=True)
class Arrival:
    """A response taken apart. following: the request after this one; onward: that, or what the next
    run starts with; trail: the way so far, the following request included."""

    response: Response
    briefs: Sequence[Brief]
    following: Request | None
    onward: Request | None
    trail: Trail


@dataclass(slots=True)
class Begun:
    """A page whose repeated records are known. reading: of the fresh ones, where another process
    does it; it has begun with them while those of the page before are still unpacked here."""

    arrival: Arrival
    stage: Stage
    fresh: list[Fresh]
    reading: Answer | None = None

    @property
    def page(self) -> Page:
        arrival = self.arrival
        cursor = arrival.onward and arrival.onward.as_json()
        return Page(self.stage, cursor, arrival.following is not None, arrival.trail)


@dataclass(frozen=True, slots=True)
class CollectionSource:
    """Reads one collection of a connection. beside: makes the process that may read, if any may.
    completion: fetches what the list leaves out. part: of a backfill, in place of what is new."""

    endpoint: Endpoint
    values: template.Values
    reader: RecordReader
    postmaster: Postmaster
    send: Send
    heads_of: HeadsOf
    beside: Callable[[], ReadingProcess] | None = None
    completion: Completion | None = None
    part: Part | None = None

    @property
    def since(self) -> Since | None:
        return self.endpoint.since

    @property
    def filtered(self) -> bool:
        """Whether the watermark is sent."""
        return self.since is not None and self.since.asks

    def pages(self, cursor: Any, enumeration: Enumeration) -> Generator[Page, None, None]:
        request, trail = self.start(cursor, enumeration)
        arrivals = Arrivals(self.arrive, request, trail)
        with closing(arrivals), closing(Beside(self.beside)) as beside:
            queue = deque([self.begin(arrivals.take())])
            while queue:
                self.look_ahead(queue, arrivals, beside)
                begun = queue[0]
                self.finish(begun)
                self.look_ahead(queue, arrivals, beside)
                yield begun.page
                queue.popleft()
                for place, ahead in enumerate(queue):
                    queue[place] = self.seen_again(ahead, begun)
                if not queue and arrivals.expected:
                    beside.expect(begun)
                    queue.append(self.begin(arrivals.take()))

    def start(self, cursor: Any, enumeration: Enumeration) -> tuple[Request, Trail]:
        """The request to begin with, and the way behind it.

        A resume point whose signature could not be stored leads nowhere: the enumeration is read
        again from its first page, and what is stored already changes nothing.
        """
        if cursor and not cursor.get("signed"):
            return Request.from_json(cursor), enumeration.trail
        return self.first(enumeration), Trail()

    def first(self, enumeration: Enumeration) -> Request:
        """The request for the first page: with the watermark in it where there is one, or with the
        bounds of a backfill's slice."""
        endpoint = self.endpoint
        request = endpoint.pages.first(opening(endpoint, self.values))
        if endpoint.since is None:
            return request
        if self.part is not None:
            return endpoint.since.between(request, self.part.from_, self.part.to)
        watermark = None if enumeration.since is None else times.moment(enumeration.since)
        return endpoint.since.apply(request, watermark)

    def arrive(self, request: Request, trail: Trail) -> Arrival:
        """Send a request and take the response apart. Runs beside the work on the page before.

        Raises UnreadablePageError, and what sending raises.
        """
        response = self.fetch(replace(request, follows=trail.steps > 0))
        if response.skipped or self.is_unmodified(response, trail):
            return Arrival(response, (), None, None, trail)
        with _refusals_of(response):
            envelope = self.split(response)
            view = page_view(response, envelope)
            following = self.endpoint.pages.next(request, view)
            if following is not None:
                trail = trail.follow(following.as_json(), view.raw)
        onward = following or self.kept(request, view)
        return Arrival(response, self.reader.glance(envelope.records), following, onward, trail)

    def fetch(self, request: Request) -> Response:
        """Raises CursorExpiredError where the refusal is declared to mean that."""
        try:
            return self.send(request)
        except UpstreamError as error:
            if self.endpoint.is_expired(error.status, error.body):
                raise CursorExpiredError(
                    f"the provider no longer knows the place to go on from: {error.message}"
                ) from error
            raise

    def is_unmodified(self, response: Response, trail: Trail) -> bool:
        """Whether the provider says to the time sent in a header that nothing has changed since.

        Only the first answer can: the others would leave out what stands behind them.
        """
        header = self.since.header if self.since is not None else None
        sent = header is not None and any(name == header for name, _ in response.request.headers)
        return response.status == NOT_MODIFIED and sent and trail.steps == 0

    def split(self, response: Response) -> wire.Envelope:
        """The response cut into records. Where there are none, GraphQL says why in the body."""
        try:
            return wire.split(response.json_text(), self.endpoint.records)
        except PageRefusedError:
            if isinstance(self.endpoint.pages, GraphQL):
                self.endpoint.pages.refuse(response)
            raise

    def kept(self, request: Request, view: PageView) -> Request | None:
        """What the next run starts with, where the provider's cursor outlives the enumeration."""
        pages = self.endpoint.pages
        return pages.kept(request, view) if isinstance(pages, Cursor) else None

    def begin(self, arrival: Arrival) -> Begun:
        """Find out which records of a response have to be read."""
        kill_point("page.parsed")
        stage = Stage(times.microseconds(arrival.response.received_at), self.postmaster)
        stage.responses.append(arrival.response)
        return Begun(arrival, stage, self.reader.sort_out(stage, arrival.briefs, self.heads_of))

    def look_ahead(self, queue: deque[Begun], arrivals: Arrivals, beside: Beside) -> None:
        """Begin with the pages after this one that are here already and can be read meanwhile."""
        while len(queue) <= PAGES_AHEAD and beside.is_ready and arrivals.is_here:
            begun = self.begin(arrivals.take())
            begun.reading = beside.read(begun)
            queue.append(begun)

    def finish(self, begun: Begun) -> None:
        """Stage the fresh records, read by the process beside or else here."""
        reading = begun.reading.result() if begun.reading is not None else None
        received_at = begun.arrival.response.received_at
        if self.completion is not None:
            listed = wire.decode_records([one.raw for one in begun.fresh])
            whole = self.completion.of(listed)
            self.reader.read_whole(begun.stage, begun.fresh, whole, received_at)
            begun.stage.whole = True
        elif reading is None:
            self.reader.read(begun.stage, begun.fresh, received_at)
        else:
            reading.put_into(begun.stage)

    def seen_again(self, ahead: Begun, committed: Begun) -> Begun:
        """A page begun before the one before it was committed: what that changed is asked again."""
        changed = {candidate.document_id for candidate in committed.stage.candidates}
        if not changed.isdisjoint(ahead.stage.repeated):
            return self.begin(ahead.arrival)
        for document_id in changed & ahead.stage.heads.keys():
            del ahead.stage.heads[document_id]
        return ahead


class Arrivals:
    """The responses of an enumeration, in order; the next one comes in while one is worked on."""

    def __init__(
        self, arrive: Callable[[Request, Trail], Arrival], request: Request, trail: Trail
    ) -> None:
        self._arrive = carried(arrive)

        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="penstock-fetch")
        self._pending: Future[Arrival] | None = self._thread.submit(self._arrive, request, trail)

    @property
    def expected(self) -> bool:
        return self._pending is not None

    @property
    def is_here(self) -> bool:
        """Whether the next one can be taken without waiting or an error."""
        pending = self._pending
        return pending is not None and pending.done() and pending.exception() is None

    def take(self) -> Arrival:
        """The next response; the one after it is on its way from here on."""
        assert self._pending is not None  # asked for only where one is expected
        arrival = self._pending.result()
        self._pending = None
        if arrival.following is not None:
            self._pending = self._thread.submit(self._arrive, arrival.following, arrival.trail)
        return arrival

    def close(self) -> None:
        """What is still on its way is forgotten."""
        self._thread.shutdown(wait=False, cancel_futures=True)


class Beside:
    """The process that reads beside us, once an enumeration has proved long enough for one."""

    def __init__(self, make: Callable[[], ReadingProcess] | None) -> None:
        self._make = make

        self._process: ReadingProcess | None = None
        self._fresh = 0

    @property
    def is_ready(self) -> bool:
        return self._process is not None and self._process.is_ready

    def expect(self, begun: Begun) -> None:
        """Another page follows this one: start the process if there was much to read so far."""
        self._fresh += len(begun.fresh)
        if self._make is not None and self._process is None and self._fresh >= MANY_FRESH:
            self._process = self._make()

    def read(self, begun: Begun) -> Answer:
        assert self._process is not None  # is_ready was asked
        return self._process.read(begun.fresh, begun.arrival.response.received_at)

    def close(self) -> None:
        if self._process is not None:
            self._process.close()


def opening(endpoint: Endpoint, values: template.Values) -> Request:
    """The request of an endpoint, placeholders filled, before any paging."""
    body = template.deep(endpoint.json, values)
    return Request(
        method=endpoint.method,
        url=template.path(endpoint.path, values),
        params=template.pairs(flatten(endpoint.params), values),
        headers=template.pairs(endpoint.headers.items(), values),
        json=None if body is MISSING else body,
        safe=endpoint.safe,
    )


def page_view(response: Response, envelope: wire.Envelope) -> PageView:
    """What a pager may look at; the last record is decoded only if it asks."""
    records = envelope.records
    return PageView(
        response,
        envelope.rest,
        len(records),
        last=lambda: wire.decode_record(records[-1]),
        raw=records,
    )


@contextmanager
def _refusals_of(response: Response) -> Iterator[None]:
    try:
        yield
    except PageRefusedError as refusal:
        raise UnreadablePageError(response, refusal) from refusal
