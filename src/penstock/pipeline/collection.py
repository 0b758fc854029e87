"""Pages of a collection endpoint; the next one is fetched while this one is worked on."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from penstock.errors import PageRefusedError
from penstock.model import times
from penstock.pipeline.enumeration import Enumeration
from penstock.pipeline.letters import Postmaster
from penstock.pipeline.reading import RecordReader
from penstock.pipeline.source import Page
from penstock.pipeline.stage import HeadsOf, Stage
from penstock.sdk.collection import Endpoint
from penstock.sdk.request import flatten
from penstock.telemetry import kill_point
from penstock.upstream import template, wire
from penstock.upstream.fields import MISSING
from penstock.upstream.paging import Cursor, PageView
from penstock.upstream.request import Request, Response
from penstock.upstream.since import Since

Send = Callable[[Request], Response]


class UnreadablePageError(Exception):
    """Carries the response whose page was refused, so that its bytes are kept."""

    def __init__(self, response: Response, refusal: PageRefusedError) -> None:
        super().__init__(refusal.message)
        self.response = response
        self.refusal = refusal


@dataclass(frozen=True, slots=True)
class CollectionSource:
    """Reads one collection of a connection."""

    endpoint: Endpoint
    values: template.Values
    reader: RecordReader
    postmaster: Postmaster
    send: Send
    heads_of: HeadsOf

    @property
    def since(self) -> Since | None:
        return self.endpoint.since

    def pages(self, cursor: Any, enumeration: Enumeration) -> Generator[Page, None, None]:
        request: Request | None
        request = Request.from_json(cursor) if cursor else self.first(enumeration)
        trail = enumeration.trail
        with _ahead(self.send) as ahead:
            pending = ahead(request)
            while request is not None:
                response = pending.result()
                with _refusals_of(response):
                    envelope = wire.split(response.body, self.endpoint.records)
                    view = page_view(response, envelope)
                    following = self.endpoint.pages.next(request, view)
                    if following is not None:
                        trail = trail.follow(following.as_json())
                        pending = ahead(following)
                kill_point("page.parsed")
                stage = self.read(response, envelope)
                onward = following or self.kept(request, view)
                yield Page(stage, onward and onward.as_json(), following is not None, trail)
                request = following

    def first(self, enumeration: Enumeration) -> Request:
        """The request for the first page, with the watermark in it where there is one."""
        endpoint = self.endpoint
        body = template.deep(endpoint.json, self.values)
        request = Request(
            method=endpoint.method,
            url=template.path(endpoint.path, self.values),
            params=template.pairs(flatten(endpoint.params), self.values),
            headers=template.pairs(endpoint.headers.items(), self.values),
            json=None if body is MISSING else body,
            safe=endpoint.safe,
        )
        request = endpoint.pages.first(request)
        if endpoint.since is None:
            return request
        watermark = None if enumeration.since is None else times.moment(enumeration.since)
        return endpoint.since.apply(request, watermark)

    def kept(self, request: Request, view: PageView) -> Request | None:
        """What the next run starts with, where the provider's cursor outlives the enumeration."""
        pages = self.endpoint.pages
        return pages.kept(request, view) if isinstance(pages, Cursor) else None

    def read(self, response: Response, envelope: wire.Envelope) -> Stage:
        """Stage one response."""
        stage = Stage(times.microseconds(response.received_at), self.postmaster)
        stage.responses.append(response)
        self.reader.read_page(stage, envelope.records, response.received_at, self.heads_of)
        return stage


def page_view(response: Response, envelope: wire.Envelope) -> PageView:
    """What a pager may look at; the last record is decoded only if it asks."""
    records = envelope.records
    return PageView(response, envelope.rest, len(records), lambda: wire.decode_record(records[-1]))


@contextmanager
def _ahead(send: Send) -> Iterator[Callable[[Request], Future[Response]]]:
    """A way to send without waiting; what is still on its way at the end is forgotten."""
    pool = ThreadPoolExecutor(max_workers=1, thread_name_prefix="penstock-fetch")
    try:
        yield lambda request: pool.submit(send, request)
    finally:
        pool.shutdown(wait=False, cancel_futures=True)


@contextmanager
def _refusals_of(response: Response) -> Iterator[None]:
    try:
        yield
    except PageRefusedError as refusal:
        raise UnreadablePageError(response, refusal) from refusal
