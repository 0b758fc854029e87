"""Links to the next page: read, followed as they stand, and stored without a credential."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from penstock.errors import PageRefusedError
from penstock.upstream.auth import ApiKey, Bearer, Credentials
from penstock.upstream.client import Client
from penstock.upstream.guard import Egress
from penstock.upstream.headers import Headers
from penstock.upstream.links import LinkHeader, NextUrl, parse
from penstock.upstream.paging import PageView
from penstock.upstream.request import Request, Response
from penstock.upstream.trail import Trail

from .clock import FakeClock
from .provider import Provider, page

ASKED = Request("GET", "https://api.acme.test/v1/invoices", params=(("limit", "2"),))
SECRET = "canary/4711+secret"


def seen(document: Any = None, link: str = "", url: str = ASKED.url) -> PageView:
    headers = Headers([("link", link)] if link else [])
    redact = Credentials({"api_key": SECRET}).redact
    answer = Response(
        ASKED, 200, headers, b"", url, datetime(2026, 3, 2, tzinfo=UTC), redact=redact
    )
    return PageView(answer, document, 1, lambda: {})


def targets(header: str, rel: str = "next") -> list[str]:
    return [link.target for link in parse(header) if link.leads(rel)]


class TestLinkHeaderSyntax:
    """RFC 8288, section 3 and appendix B."""

    @pytest.mark.parametrize(
        "header",
        [
            '<https://a.test/?p=2>; rel="next"',
            "<https://a.test/?p=2>; rel=next",
            "<https://a.test/?p=2>;rel=NEXT",
            '<https://a.test/?p=2> ; rel = "next"',
            '<https://a.test/?p=2>; rel="prev next last"',
            '<https://a.test/?p=1>; rel="prev", <https://a.test/?p=2>; rel="next"',
            ', <https://a.test/?p=2>; rel="next" , ,',
            '<https://a.test/?p=2>; title="a, \\"b\\"; rel=last"; rel="next"',
            "<https://a.test/?p=2>; title*=UTF-8''n%c3%a4chste; rel=next; hreflang=de",
            '<https://a.test/?p=2>;; rel="next"; rel="last"',
            '<https://a.test/?p=9,8;7>; rel="last", <https://a.test/?p=2>; rel="next"',
        ],
    )
    def test_the_next_link_is_found(self, header):
        assert targets(header) == ["https://a.test/?p=2"]

    @pytest.mark.parametrize(
        "header",
        [
            "",
            '<https://a.test/?p=1>; rel="prev"',
            "<https://a.test/?p=2>",
            '<https://a.test/?p=2>; title="rel=next"',
            '<https://a.test/?p=2>; rel="last"; rel="next"',
            '<https://a.test/?p=2>; rel="next"; anchor="#elsewhere"',
            '<https://a.test/?p=2>; rel="nextish"',
        ],
    )
    def test_no_other_link_is_taken_for_it(self, header):
        assert targets(header) == []

    @pytest.mark.parametrize(
        "header",
        ["https://a.test/?p=2; rel=next", '<https://a.test/>; rel="next', "<a> <b>", "<a"],
    )
    def test_a_header_that_cannot_be_read_does_not_pass_for_the_end(self, header):
        with pytest.raises(PageRefusedError, match="Link header cannot be read"):
            targets(header)

    def test_other_relations_can_be_asked_for(self):
        header = '<https://a.test/older>; rel="https://a.test/rels/older"'
        assert targets(header, "https://a.test/rels/older") == ["https://a.test/older"]


class TestFollowing:
    def test_a_link_is_taken_as_it_stands(self):
        target = "https://api.acme.test/v1/invoices?cursor=a%2Fb&x[]=1&x%5B%5D=2&empty=&flag"
        following = LinkHeader().next(ASKED, seen(link=f'<{target}>; rel="next"'))
        assert following == Request("GET", target)

    @pytest.mark.parametrize(
        ("target", "url"),
        [
            ("?page=2", "https://api.acme.test/v1/invoices?page=2"),
            ("/v1/invoices;2", "https://api.acme.test/v1/invoices;2"),
            ("invoices/2#top", "https://api.acme.test/v1/invoices/2"),
            ("//eu.acme.test/v1", "https://eu.acme.test/v1"),
        ],
    )
    def test_a_relative_link_is_read_from_the_url_of_the_response(self, target, url):
        """Which is not the one asked for, where the provider redirected."""
        asked = Request("GET", "https://www.acme.test/")
        page = seen({"next": target}, url="https://api.acme.test/v1/invoices?page=1")
        following = NextUrl("next").next(asked, page)
        assert following is not None
        assert following.url == url

    def test_headers_method_and_body_stay(self):
        asked = Request("POST", ASKED.url, (("a", "1"),), (("X-V", "2"),), {"q": 1}, safe=True)
        following = NextUrl("next").next(asked, seen({"next": "/p2"}))
        assert following == Request(
            "POST", "https://api.acme.test/p2", (), (("X-V", "2"),), {"q": 1}, safe=True
        )

    @pytest.mark.parametrize(
        ("path", "document"),
        [
            ("_links.next.href", {"_links": {"next": {"href": "/p2"}}}),
            ("@odata.nextLink", {"@odata.nextLink": "/p2"}),
            ("meta.@odata.nextLink", {"meta": {"@odata.nextLink": "/p2"}}),
        ],
    )
    def test_the_usual_places(self, path, document):
        following = NextUrl(path).next(ASKED, seen(document))
        assert following is not None
        assert following.url == "https://api.acme.test/p2"

    @pytest.mark.parametrize("end", [{}, {"next": None}, {"next": ""}, {"next": False}])
    def test_no_link_ends(self, end):
        assert NextUrl("next").next(ASKED, seen(end)) is None
        assert LinkHeader().next(ASKED, seen(end)) is None

    @pytest.mark.parametrize("odd", [7, ["/p2"], "mailto:a@b.test", "javascript:x", "https://[x"])
    def test_what_leads_nowhere_is_refused(self, odd):
        with pytest.raises(PageRefusedError):
            NextUrl("next").next(ASKED, seen({"next": odd}))


class TestCredentialsInALink:
    """A checkpoint never holds one, and the next request works all the same."""

    @pytest.mark.parametrize(
        "link",
        [
            "https://api.acme.test/p?access_token=ya29.x&after=2",
            "https://api.acme.test/p?API-Key=x&after=2",
            "https://api.acme.test/p?after=2&tenant=canary/4711%2bsecret",
            "https://api.acme.test/p?after=2&k=canary%2F4711%2Bsecret",
            "https://api.acme.test/p?after=2&a=Bearer%20canary%2F4711%2Bsecret",
            "https://ann:canary@api.acme.test/p?after=2",
        ],
    )
    def test_what_auth_puts_back_is_cut_out(self, link):
        following = NextUrl("next").next(ASKED, seen({"next": link}))
        assert following == Request("GET", "https://api.acme.test/p?after=2")

    @pytest.mark.parametrize("mark", ["next_page_token=7", "token=eyJhIjoxfQ", "key=inv_7"])
    def test_a_cursor_is_no_credential(self, mark):
        link = f"https://api.acme.test/p?{mark}"
        following = NextUrl("next").next(ASKED, seen({"next": link}))
        assert following == Request("GET", link)

    @pytest.mark.parametrize(
        "link",
        [
            "https://api.acme.test/p?after=2&X-Amz-Signature=canary",
            "https://api.acme.test/p?after=2&sig=canary&api_key=canary",
            "https://api.acme.test/p/canary/4711+secret?after=2",
        ],
    )
    def test_a_signed_link_is_sent_but_not_stored(self, link):
        following = NextUrl("next").next(ASKED, seen({"next": link}))
        assert following is not None
        assert following.link == link
        assert "canary" not in json.dumps(following.as_json()) + repr(following)
        assert following.as_json()["signed"] is True
        trail = Trail().follow(following.as_json())
        assert "canary" not in json.dumps(trail.as_json())

    @pytest.mark.parametrize(
        ("auth", "arrives"),
        [
            (ApiKey(query="key"), "/v1?after=2&key=canary%2F4711%2Bsecret"),
            (Bearer("api_key"), "/v1?after=2"),
        ],
    )
    def test_the_next_request_carries_the_credential_once(self, auth, arrives):
        """The provider echoes the request's own key into its link, as many do."""
        link = "/v1?key=canary%2F4711%2Bsecret&after=2"
        with Provider([page({"next": link}), page({})]) as provider:
            client = Client(
                provider.url,
                egress=Egress.of([provider.url + "/*"], allow_loopback=True),
                clock=FakeClock(),
                auth=auth,
                credentials=Credentials({"api_key": SECRET}),
            )
            with client:
                first = client.send(Request("GET", "/v1"))
                view = PageView(first, first.json(), 0, lambda: {})
                following = NextUrl("next").next(first.request, view)
                assert following is not None
                stored = json.dumps(following.as_json())
                second = client.send(Request.from_json(json.loads(stored)))
        assert "canary" not in stored + second.url
        assert provider.received[1].target == arrives

    def test_a_signed_link_goes_over_the_wire_letter_for_letter(self):
        link = "/v1?b=%2f&a=x[1]&sig=canary%3d"
        with Provider([page({"next": link}), page({})]) as provider:
            client = Client(
                provider.url,
                egress=Egress.of([provider.url + "/*"], allow_loopback=True),
                clock=FakeClock(),
            )
            with client:
                first = client.send(Request("GET", "/v1"))
                view = PageView(first, first.json(), 0, lambda: {})
                following = NextUrl("next").next(first.request, view)
                assert following is not None
                second = client.send(following)
        assert provider.received[1].target == link
        assert "canary" not in second.url
