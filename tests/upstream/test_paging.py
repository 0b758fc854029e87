"""A table of request and response to next request, for each pager."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from penstock.errors import ConnectorError, PageRefusedError
from penstock.upstream.counted import Offset, PageNumber
from penstock.upstream.headers import Headers
from penstock.upstream.paging import Cursor, PageView, SinglePage
from penstock.upstream.request import Request, Response
from penstock.upstream.wire import BadRecordError

ASKED = Request("GET", "https://api.acme.test/invoices", params=(("limit", "2"),))


def seen(document: Any, records: list[Any], **headers: str) -> PageView:
    pairs = [(name.replace("_", "-"), value) for name, value in headers.items()]
    answer = Response(ASKED, 200, Headers(pairs), b"", ASKED.url, datetime(2026, 3, 2, tzinfo=UTC))
    raw = [json.dumps(record).encode() for record in records]
    return PageView(answer, document, len(records), lambda: records[-1], raw)


def stored(request: Request | None) -> Request:
    """The request as the next run finds it in the checkpoint."""
    assert request is not None
    return Request.from_json(json.loads(json.dumps(request.as_json())))


def test_single_page_ends_at_once():
    assert SinglePage().first(ASKED) is ASKED
    assert SinglePage().next(ASKED, seen({"has_more": True}, [1])) is None


class TestCursorInTheBody:
    pager = Cursor("meta.next", param="cursor")

    def after(self, document: Any, records: tuple[Any, ...] = (1,)) -> str | None:
        following = self.pager.next(ASKED, seen(document, list(records)))
        return following and following.param("cursor")

    def test_goes_on_with_the_mark(self):
        assert self.after({"meta": {"next": "c2"}}) == "c2"

    @pytest.mark.parametrize("end", [None, ""])
    def test_empty_mark_ends(self, end):
        assert self.after({"meta": {"next": end}}) is None

    def test_absent_mark_ends(self):
        assert self.after({"meta": {}}) is None

    def test_empty_page_with_a_mark_goes_on(self):
        assert self.after({"meta": {"next": "c2"}}, ()) == "c2"

    def test_numbers_become_text(self):
        assert self.after({"meta": {"next": 0}}) == "0"
        assert self.after({"meta": {"next": 12345678901234567890}}) == "12345678901234567890"

    @pytest.mark.parametrize("odd", [True, ["c2"], {"c": 2}])
    def test_anything_else_is_refused(self, odd):
        with pytest.raises(PageRefusedError, match="the cursor is a"):
            self.after({"meta": {"next": odd}})

    def test_a_flag_that_says_no_ends_whatever_the_mark(self):
        assert self.after({"meta": {"next": "c2"}, "has_more": False}) is None
        assert self.after({"meta": {"next": "c2"}, "has_more": True}) == "c2"

    def test_the_rest_of_the_request_stays(self):
        following = self.pager.next(ASKED, seen({"meta": {"next": "c2"}}, [1]))
        assert following == ASKED.with_params(("cursor", "c2"))
        assert ASKED.param("cursor") is None


def test_cursor_in_a_response_header():
    pager = Cursor(header="X-Next", param="cursor")
    following = pager.next(ASKED, seen({}, [1], x_next="c2"))
    assert following is not None
    assert following.param("cursor") == "c2"
    assert pager.next(ASKED, seen({}, [1])) is None


def test_cursor_sent_in_the_body_keeps_its_type():
    asked = Request("POST", ASKED.url, json={"query": "q", "page": {"size": 2}}, safe=True)
    following = Cursor("next", json="page.after").next(asked, seen({"next": 7}, [1]))
    assert following is not None
    assert following.json == {"query": "q", "page": {"size": 2, "after": 7}}
    assert asked.json == {"query": "q", "page": {"size": 2}}


class TestCursorSentInAHeader:
    pager = Cursor("next", request_header="X-Cursor")

    def test_it_replaces_the_one_before(self):
        second = stored(self.pager.next(ASKED, seen({"next": "c2"}, [1])))
        third = stored(self.pager.next(second, seen({"next": 3}, [1])))
        assert (second.headers, third.headers) == ((("X-Cursor", "c2"),), (("X-Cursor", "3"),))

    @pytest.mark.parametrize("odd", ["a\r\nX-Evil: 1", "schlüssel"])
    def test_a_mark_that_no_header_can_carry_is_refused(self, odd):
        with pytest.raises(PageRefusedError, match="no header field can carry"):
            self.pager.next(ASKED, seen({"next": odd}, [1]))


class TestCursorFromTheLastRecord:
    pager = Cursor(param="starting_after")

    def test_goes_on_behind_it(self):
        following = self.pager.next(ASKED, seen({"has_more": True}, [{"id": "a"}, {"id": "b"}]))
        assert following == ASKED.with_params(("starting_after", "b"))

    def test_ends_when_the_flag_says_so(self):
        assert self.pager.next(ASKED, seen({"has_more": False}, [{"id": "a"}])) is None

    def test_without_a_flag_the_empty_page_ends(self):
        assert self.pager.next(ASKED, seen({}, [{"id": "a"}])) is not None
        assert self.pager.next(ASKED, seen({}, [])) is None

    def test_more_announced_behind_an_empty_page_is_refused(self):
        with pytest.raises(PageRefusedError, match="announces more"):
            self.pager.next(ASKED, seen({"has_more": True}, []))

    def test_a_record_without_the_field_is_refused(self):
        with pytest.raises(PageRefusedError, match="the last record has no 'id'"):
            self.pager.next(ASKED, seen({"has_more": True}, [{"key": 1}]))

    def test_a_record_that_cannot_be_read_is_refused(self):
        def torn() -> Any:
            raise BadRecordError("a text holds half of a surrogate pair")

        page = seen({"has_more": True}, [{"id": "a"}])
        with pytest.raises(PageRefusedError, match="half of a surrogate pair"):
            self.pager.next(ASKED, PageView(page.response, page.document, 1, torn))


class TestKeptCursor:
    def test_the_last_mark_starts_the_next_run(self):
        pager = Cursor("next", param="cursor", keep=True)
        last = seen({"next": "c9", "has_more": False}, [1])
        assert pager.next(ASKED, last) is None
        assert pager.kept(ASKED, last) == ASKED.with_params(("cursor", "c9"))

    def test_without_keep_nothing_is(self):
        assert Cursor("next", param="cursor").kept(ASKED, seen({"next": "c9"}, [1])) is None


@pytest.mark.parametrize(
    "slip",
    [
        {},
        {"param": "a", "json": "b"},
        {"path": "a", "header": "b", "param": "c"},
        {"param": "a", "record": "id"},
        {"param": "a", "request_header": "b"},
        {"request_header": "Authorization"},
    ],
)
def test_cursor_declarations_that_cannot_work(slip):
    with pytest.raises(ConnectorError):
        Cursor(**slip)


class TestPageNumber:
    def test_starts_where_the_provider_starts(self):
        assert PageNumber(start=0).first(ASKED).param("page") == "0"
        sized = PageNumber("p", size_param="per_page", size=50).first(ASKED)
        assert (sized.param("p"), sized.param("per_page")) == ("1", "50")

    @pytest.mark.parametrize(
        ("pager", "count", "document", "following"),
        [
            (PageNumber(), 1, {}, "2"),
            (PageNumber(), 0, {}, None),
            (PageNumber(size_param="limit"), 2, {}, "2"),
            (PageNumber(size_param="limit"), 1, {}, "2"),
            (PageNumber(size_param="limit", size=5), 4, {}, "2"),
            (PageNumber(size=5), 4, {}, None),
            (PageNumber(size=5), 5, {}, "2"),
            (PageNumber(pages="meta.pages"), 2, {"meta": {"pages": "1"}}, None),
            (PageNumber(pages="meta.pages"), 0, {"meta": {"pages": 2}}, "2"),
            (PageNumber(pages="meta.pages"), 0, {"meta": {"pages": 0}}, None),
            (PageNumber(pages="meta.pages"), 0, {}, None),
            (PageNumber(pages="meta.pages"), 2, {"meta": {"pages": 2}}, "2"),
            (PageNumber(pages="meta.pages"), 2, {"meta": {"pages": 1}}, None),
            (PageNumber(pages="meta.pages"), 2, {}, "2"),
        ],
    )
    def test_goes_on_until_the_last_page(self, pager, count, document, following):
        reached = pager.next(pager.first(ASKED), seen(document, [1] * count))
        assert (reached and reached.param("page")) == following

    def test_the_resume_point_is_the_next_request(self):
        second = PageNumber().next(PageNumber().first(ASKED), seen({}, [1]))
        assert second is not None
        resumed = Request.from_json(json.loads(json.dumps(second.as_json())))
        third = PageNumber().next(resumed, seen({}, [1]))
        assert third is not None
        assert third.param("page") == "3"

    def test_a_short_page_proves_nothing(self):
        """SA31: asked for 100 the provider sends 50, or filters what it has cut out."""
        pager = PageNumber(size_param="limit", size=100)
        second = stored(pager.next(pager.first(ASKED), seen({}, [1] * 50)))
        third = stored(pager.next(second, seen({}, [1] * 3)))
        assert (third.param("limit"), third.param("page")) == ("100", "3")
        assert pager.next(third, seen({}, [])) is None

    def test_the_number_may_stand_in_the_body(self):
        pager = PageNumber(json="paging.page")
        asked = Request("POST", ASKED.url, json={"paging": {"size": 2}})
        second = stored(pager.next(pager.first(asked), seen({}, [1, 2])))
        assert second.json == {"paging": {"size": 2, "page": 2}}

    def test_more_pages_than_the_provider_serves_stop_the_run(self):
        pager = PageNumber(depth=2)
        second = stored(pager.next(pager.first(ASKED), seen({}, [1])))
        assert pager.next(second, seen({}, [])) is None
        with pytest.raises(PageRefusedError, match="no more than 2 pages") as refusal:
            pager.next(second, seen({}, [1]))
        assert refusal.value.code == "depth_reached"


class TestOffset:
    pager = Offset(size=5)

    def second(self, count: int = 5) -> Request:
        return stored(self.pager.next(self.pager.first(ASKED), seen({}, [*range(count)])))

    def test_a_page_begins_with_the_last_row_of_the_one_before(self):
        first, second = self.pager.first(ASKED), self.second()
        assert (first.param("offset"), first.param("limit")) == ("0", "5")
        assert second.param("offset") == "4"

    def test_where_it_stands_the_next_page_follows(self):
        third = self.pager.next(self.second(), seen({}, [4, 5, 6, 7, 8]))
        assert stored(third).param("offset") == "8"

    @pytest.mark.parametrize("shifted", [[5, 6, 7, 8, 9], [3, 4, 5, 6, 7], [7], []])
    def test_where_another_row_stands_one_page_is_read_again(self, shifted):
        """SA14: rows deleted or inserted meanwhile."""
        again = stored(self.pager.next(self.second(), seen({}, shifted)))
        assert again.param("offset") == "0"
        onward = stored(self.pager.next(again, seen({}, [0, 1, 2, 4, 5])))
        assert onward.param("offset") == "4"
        assert stored(self.pager.next(onward, seen({}, [5, 6, 7, 8, 9]))).param("offset") == "8"

    def test_rows_that_look_new_every_time_do_not_keep_it_from_getting_on(self):
        request, offsets = self.pager.first(ASKED), []
        for time in range(30):
            offsets.append(int(request.param("offset") or 0))
            request = stored(self.pager.next(request, seen({}, [[time, row] for row in range(5)])))
        assert offsets[-1] > 25

    @pytest.mark.parametrize(
        ("page", "document"),
        [([4], {}), ([4, 5, 6, 7, 8], {"total": 9})],
        ids=["the row before alone", "the last row of all"],
    )
    def test_it_ends_with(self, page, document):
        pager = Offset(size=5, total="total")
        assert pager.next(self.second(), seen(document, page)) is None

    def test_an_empty_first_page_ends(self):
        assert self.pager.next(self.pager.first(ASKED), seen({}, [])) is None

    def test_a_short_page_proves_nothing(self):
        """SA31: the provider caps the size, or filters what it has cut out."""
        third = stored(self.pager.next(self.second(), seen({}, [4, 5, 6])))
        assert (third.param("offset"), third.param("limit")) == ("6", "5")
        assert self.pager.next(third, seen({}, [6])) is None

    def test_a_page_of_the_providers_own_fixed_length_does(self):
        pager = Offset(size_param=None, size=5)
        assert pager.next(pager.first(ASKED), seen({}, [0, 1, 2])) is None

    def test_more_rows_than_the_provider_lists_stop_the_run(self):
        pager = Offset(size=5, depth=5)
        first = pager.first(ASKED)
        assert pager.next(first, seen({}, [])) is None
        with pytest.raises(PageRefusedError, match="no more than 5 rows") as refusal:
            pager.next(first, seen({}, [0, 1, 2, 3, 4]))
        assert refusal.value.code == "depth_reached"

    def test_no_window_reaches_beyond_what_is_listed(self):
        """Search engines refuse a window whole that begins within 10,000 rows and ends behind."""
        pager = Offset(size=5, depth=8)
        second = stored(pager.next(pager.first(ASKED), seen({}, [0, 1, 2, 3, 4])))
        assert (second.param("offset"), second.param("limit")) == ("4", "4")
        assert pager.next(second, seen({}, [4])) is None
        with pytest.raises(PageRefusedError, match="no more than 8 rows"):
            pager.next(second, seen({}, [4, 5, 6, 7]))

    def test_a_size_in_the_body(self):
        pager = Offset(json="options.offset", size_param="options.count", size=3)
        first = pager.first(Request("POST", ASKED.url))
        assert first.json == {"options": {"offset": 0, "count": 3}}
        second = stored(pager.next(first, seen({}, [0, 1, 2])))
        assert second.json == {"options": {"offset": 2, "count": 3}}

    def test_the_offset_may_stand_in_the_body(self):
        pager = Offset(json="options.offset", size_param=None)
        asked = Request("POST", ASKED.url, json={"options": {"count": 3}})
        second = stored(pager.next(pager.first(asked), seen({}, [0, 1, 2])))
        assert second.json == {"options": {"count": 3, "offset": 2}}
