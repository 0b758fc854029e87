"""A table of request and response to next request, for each pager."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from penstock.errors import ConnectorError, PageRefusedError
from penstock.upstream.headers import Headers
from penstock.upstream.paging import Cursor, PageNumber, PageView, SinglePage
from penstock.upstream.request import Request, Response

ASKED = Request("GET", "https://api.acme.test/invoices", params=(("limit", "2"),))


def seen(document: Any, records: list[Any], **headers: str) -> PageView:
    pairs = [(name.replace("_", "-"), value) for name, value in headers.items()]
    answer = Response(ASKED, 200, Headers(pairs), b"", ASKED.url, datetime(2026, 3, 2, tzinfo=UTC))
    return PageView(answer, document, len(records), lambda: records[-1])


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
            (PageNumber(size_param="limit"), 1, {}, None),
            (PageNumber(size_param="limit", size=5), 4, {}, None),
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
