"""Every pager over an API that pages its way: each record comes, whatever the provider does."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock.errors import PageRefusedError
from penstock.upstream.counted import Offset, PageNumber
from penstock.upstream.request import Request
from penstock.upstream.trail import Trail
from penstock.upstream.wire import decode_record

from .paged_api import WAYS, Listing, PagedApi, Way, view


def row(number: int) -> dict[str, Any]:
    return {"id": f"cus_{number}"}


def nothing() -> None:
    """Between two requests."""


def stored(request: Request) -> Request:
    return Request.from_json(json.loads(json.dumps(request.as_json())))


def pages(
    way: Way, api: PagedApi, request: Request | None, meanwhile: Callable[[], None] = nothing
) -> Iterator[tuple[list[str], Request | None]]:
    """(ids of a page, resume point) of each page, every request taken from its checkpoint."""
    trail = Trail()
    while request is not None:
        page = view(api.send(stored(request)), way.records)
        request = way.pager.next(stored(request), page)
        if request is not None:
            trail = trail.follow(request.as_json(), page.raw)
        yield [decode_record(raw)["id"] for raw in page.raw], request
        meanwhile()


def read(way: Way, api: PagedApi, request: Request | None) -> list[str]:
    return [name for page, _ in pages(way, api, request) for name in page]


def once(way: Way, names: list[str]) -> list[str]:
    """Without the rows that an offset reads twice on purpose."""
    return list(dict.fromkeys(names)) if isinstance(way.pager, Offset) else names


listings = st.builds(
    lambda kept, cap, usual: Listing(
        [row(n) if is_kept else None for n, is_kept in enumerate(kept)], cap, usual
    ),
    st.lists(st.booleans(), max_size=40),
    st.integers(1, 9),
    st.integers(1, 9),
)


def fitting(way: Way, listing: Listing) -> PagedApi:
    """Where the API has no filter of its own that shortens its pages, all rows are visible."""
    if not way.filters:
        listing = Listing(listing.visible, listing.cap, listing.usual)
    return PagedApi(listing, way.style)


@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)
@given(listing=listings)
def test_each_record_comes_exactly_once(way: Way, listing: Listing) -> None:
    """Also across empty pages, and where the provider caps the size it is asked for."""
    api = fitting(way, listing)
    expected = [record["id"] for record in api.listing.visible]
    assert once(way, read(way, api, way.first())) == expected


@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)
@given(listing=listings)
def test_from_every_checkpoint_the_rest_comes(way: Way, listing: Listing) -> None:
    api = fitting(way, listing)
    expected = [record["id"] for record in api.listing.visible]
    seen: list[str] = []
    for page, resume in pages(way, api, way.first()):
        seen += page
        assert once(way, seen + read(way, api, resume)) == expected


@given(
    rows=st.integers(4, 40),
    size=st.integers(3, 9),
    gone=st.sets(st.integers(0, 39), min_size=1),
    after=st.integers(1, 12),
    place=st.integers(0, 39),
)
def test_rows_that_move_while_an_offset_is_read(rows, size, gone, after, place):
    """SA14, `offset_drift`: up to a page's rows are deleted and one is inserted in between."""
    listing = Listing([row(n) for n in range(rows)], cap=100)
    deleted = {f"cus_{n}" for n in sorted(gone)[:size]}
    api, way = PagedApi(listing, WAYS["offset"].style), Way(WAYS["offset"].style, Offset(size=size))
    stayed = {record["id"] for record in listing.rows} - deleted

    def shift() -> None:
        if len(api.requests) == after:
            listing.rows = [record for record in listing.rows if record["id"] not in deleted]
            listing.rows.insert(place, row(99))

    found = {name for page, _ in pages(way, api, way.first(), shift) for name in page}
    assert stayed <= found


@pytest.mark.parametrize(
    ("name", "pager", "lost"),
    [("offset", Offset(size=3), set()), ("page number", PageNumber(), {"cus_3"})],
)
def test_a_row_deleted_behind_the_reader_pulls_another_over_the_border(name, pager, lost):
    """SA14: it is found by the overlap; without one it would be lost."""
    listing = Listing([row(n) for n in range(9)])
    api, way = PagedApi(listing, WAYS[name].style), Way(WAYS[name].style, pager)

    def shift() -> None:
        if len(api.requests) == 1:
            del listing.rows[0]

    found = {name for page, _ in pages(way, api, way.first(), shift) for name in page}
    assert {f"cus_{n}" for n in range(9)} - found == lost


def ignores_its_cursor(listing: Listing, asked: Any) -> Any:
    return WAYS["page number"].style(listing, type(asked)({}, {}, None))


def test_a_provider_that_ignores_the_page_number_stops_the_run():
    """SA12: endless pages without new keys."""
    api = PagedApi(Listing([row(n) for n in range(5)]), ignores_its_cursor)
    with pytest.raises(PageRefusedError, match="the same records again"):
        read(WAYS["page number"], api, WAYS["page number"].first())
    assert len(api.requests) < 6
