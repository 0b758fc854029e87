from __future__ import annotations

import json
from datetime import UTC, datetime
from decimal import Decimal

import pytest

from penstock.errors import PageRefusedError
from penstock.upstream.headers import Headers
from penstock.upstream.request import Request, Response

LIST = Request("GET", "https://api.acme.test/invoices", params=(("limit", "200"), ("tag", "a")))


def response(body: bytes, **headers: str) -> Response:
    pairs = [(name.replace("_", "-"), value) for name, value in headers.items()]
    return Response(LIST, 200, Headers(pairs), body, LIST.url, datetime(2026, 3, 2, tzinfo=UTC))


class TestResumePoint:
    def test_survives_json(self):
        request = Request(
            "POST",
            "https://api.acme.test/search",
            params=(("a", "1"), ("a", "2")),
            headers=(("X-Version", "3"),),
            json={"after": None},
            safe=True,
            expect=(404,),
        )
        assert Request.from_json(json.loads(json.dumps(request.as_json()))) == request

    def test_is_short(self):
        assert Request("GET", "https://a.test/x").as_json() == {
            "method": "GET",
            "url": "https://a.test/x",
        }

    def test_never_holds_a_credential(self):
        signed = LIST.with_headers(("AUTHORIZATION", "Bearer s3cret"), ("Cookie", "s3cret"))
        assert "s3cret" not in json.dumps(signed.as_json())


class TestCopies:
    def test_parameters_of_the_same_name_are_replaced(self):
        moved = LIST.with_params(("cursor", "c1")).with_params(("cursor", "c2"))
        assert moved.params == (("limit", "200"), ("tag", "a"), ("cursor", "c2"))
        assert moved.param("cursor") == "c2"
        assert LIST.param("cursor") is None

    def test_header_names_have_no_case(self):
        assert LIST.with_headers(("If-None-Match", "1")).with_headers(
            ("if-none-match", "2")
        ).headers == (("if-none-match", "2"),)


class TestResponse:
    def test_json_is_exact(self):
        assert response(b'{"total": 40.50}').json() == {"total": Decimal("40.50")}

    def test_json_that_is_none(self):
        with pytest.raises(PageRefusedError) as refusal:
            response(b"<html>").json()
        assert refusal.value.code == "invalid_page"

    def test_text_obeys_its_charset(self):
        assert response(
            "Köln".encode("latin-1"), content_type="text/plain; charset=latin-1"
        ).text() == ("Köln")
        assert response(b"K\xf6ln", content_type="text/plain; charset=klingon").text() == "K�ln"
        assert response("Köln".encode()).text() == "Köln"

    def test_headers_have_no_case_and_are_joined(self):
        headers = Headers([("Link", "<a>"), ("link", "<b>"), ("Set-Cookie", "s3cret")])
        assert headers["LINK"] == "<a>, <b>"
        assert len(headers) == 2
        assert "s3cret" not in repr(headers)


class TestCharsets:
    """DS9: UTF-8, or what is declared where that cannot be a habit."""

    @pytest.mark.parametrize("charset", ["utf-16", "UTF-16LE", '"utf-16be"'])
    def test_declared_utf_16_is_read(self, charset):
        body = '{"name": "Žofie"}'.encode(charset.strip('"'))
        declared = f"application/json; charset={charset}"
        assert response(body, content_type=declared).json() == {"name": "Žofie"}

    @pytest.mark.parametrize("charset", ["utf-8", "iso-8859-1", "windows-1252", "klingon"])
    def test_otherwise_it_is_utf_8(self, charset):
        declared = f"application/json; charset={charset}"
        assert response('["Žofie"]'.encode(), content_type=declared).json() == ["Žofie"]
        with pytest.raises(PageRefusedError, match="not UTF-8"):
            response('["é"]'.encode("latin-1"), content_type=declared).json()

    def test_what_is_declared_has_to_be_there(self):
        odd = response(b'"a"\xff', content_type="application/json; charset=utf-16-le")
        with pytest.raises(PageRefusedError, match="not UTF-8"):
            odd.json()
        declared = response(b"\x00\xd8", content_type="application/json; charset=utf-16le")
        with pytest.raises(PageRefusedError, match="not the utf-16le that it declares") as refusal:
            declared.json()
        assert refusal.value.code == "invalid_page"
