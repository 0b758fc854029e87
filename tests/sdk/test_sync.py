"""The end of a page: what a route may return as its resume point."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from penstock import ingest, sync
from penstock.errors import OutsideRouteError, UsageError
from penstock.sdk.host import entered
from penstock.sdk.results import CanonicalBatchIngestResult, IngestStatus
from penstock.sdk.sync import CURSOR_BYTES, LONGEST_PAUSE
from penstock.upstream.request import Request, Response


class QuietHost:
    """A door behind which nothing happens. woken: (stream, full)."""

    def __init__(self) -> None:
        self.woken: list[tuple[str, bool]] = []

    def send(self, request: Request) -> Response:
        raise AssertionError("nothing is sent")

    def status(self) -> IngestStatus:
        return "ingested"

    def ingest(self, stream: str, submissions: Any, *, continue_on_error: bool) -> Sequence[Any]:
        return []

    def ingest_records(
        self, stream: str, records: Any, *, gone: bool, as_of: int | None
    ) -> tuple[str, Sequence[Any]]:
        return "customer", []

    def wake(self, stream: str, *, full: bool) -> None:
        self.woken.append((stream, full))

    def log(self, message: str) -> None:
        raise AssertionError("nothing is said")


@pytest.fixture(autouse=True)
def _inside_a_route() -> Iterator[None]:
    with entered(QuietHost()):
        yield


def empty_batch() -> CanonicalBatchIngestResult:
    return ingest.batch("customer", [], stream="customers", idempotency_key="k")


def test_an_empty_page_is_the_end() -> None:
    page = sync.page()
    assert (page.cursor, page.has_more, page.watermark) == (None, False, None)


def test_a_page_carries_what_the_route_names() -> None:
    mark = datetime(2026, 3, 1, tzinfo=UTC)
    page = sync.page(empty_batch(), cursor={"at": [1, "b"]}, has_more=True, watermark=mark)
    assert (page.cursor, page.has_more, page.watermark) == ({"at": [1, "b"]}, True, mark)


def test_a_cursor_of_64_kib_is_the_longest() -> None:
    quotes = 2
    assert sync.page(cursor="c" * (CURSOR_BYTES - quotes)).cursor
    with pytest.raises(UsageError, match=f"has {CURSOR_BYTES + 1} bytes, at most {CURSOR_BYTES}"):
        sync.page(cursor="c" * (CURSOR_BYTES - quotes + 1))


def test_bytes_count_and_not_characters() -> None:
    with pytest.raises(UsageError, match="at most"):
        sync.page(cursor="é" * (CURSOR_BYTES // 2))


@pytest.mark.parametrize("cursor", [object(), {"a": object()}, {1, object()}, "\ud800"])
def test_a_cursor_is_json(cursor: Any) -> None:
    with pytest.raises(UsageError, match="cursor must be JSON"):
        sync.page(cursor=cursor)


def test_a_cursor_that_holds_itself() -> None:
    circle: list[Any] = []
    circle.append(circle)
    with pytest.raises(UsageError, match="cursor must be JSON"):
        sync.page(cursor=circle)


def test_more_needs_a_cursor() -> None:
    with pytest.raises(UsageError, match="needs a cursor"):
        sync.page(has_more=True)


@pytest.mark.parametrize("cursor", [0, "", False, [], {}])
def test_a_falsy_cursor_is_one(cursor: Any) -> None:
    assert sync.page(cursor=cursor, has_more=True).cursor == cursor


def test_a_watermark_carries_its_zone() -> None:
    with pytest.raises(UsageError, match="aware"):
        sync.page(watermark=datetime(2026, 3, 1))


@pytest.mark.parametrize("first", [{"cursor": 1}, "abc", [1]])
def test_the_first_argument_is_a_batch(first: Any) -> None:
    with pytest.raises(UsageError, match="not " + type(first).__name__):
        sync.page(first)


def test_a_door_is_closed_with_its_route() -> None:
    with entered(QuietHost()):
        sync.page()
    sync.page()  # the outer one is current again


def test_a_door_is_closed_when_its_route_raises() -> None:
    from contextvars import Context

    def route() -> None:
        with entered(QuietHost()):
            raise KeyError

    def outside() -> None:
        with pytest.raises(KeyError):
            route()
        with pytest.raises(OutsideRouteError, match=r"sync\.page works only inside"):
            sync.page()

    Context().run(outside)


def test_a_page_may_be_held() -> None:
    assert not sync.page().hold
    assert sync.page(cursor="a", has_more=True, hold=True).hold


@pytest.mark.parametrize("again_in", [90, 90.0, timedelta(seconds=90)])
def test_waiting_with_a_cursor_goes_on_with_it(again_in: Any) -> None:
    page = sync.page(cursor={"job": 7}, again_in=again_in)
    assert (page.again_in, page.has_more) == (timedelta(seconds=90), True)
    assert not sync.page(again_in=again_in).has_more


@pytest.mark.parametrize("again_in", [0, -1, "soon", 1e30, LONGEST_PAUSE + timedelta(seconds=1)])
def test_a_pause_that_is_none(again_in: Any) -> None:
    with pytest.raises(UsageError, match="again_in"):
        sync.page(cursor="a", again_in=again_in)
    assert sync.page(cursor="a", again_in=LONGEST_PAUSE).again_in == LONGEST_PAUSE


def test_waking_goes_through_the_door() -> None:
    host = QuietHost()
    with entered(host):
        sync.wake("invoices")
        sync.wake("payments", full=True)
    assert host.woken == [("invoices", False), ("payments", True)]
