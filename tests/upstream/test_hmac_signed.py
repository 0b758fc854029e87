"""Signatures: published vectors, and that what is signed is what is sent."""

from __future__ import annotations

import base64
import hashlib
import hmac

import pytest

from penstock.errors import ConnectorError, SecretError
from penstock.upstream.auth import Credentials
from penstock.upstream.client import Client
from penstock.upstream.guard import Egress
from penstock.upstream.hmac_signed import HmacSigned
from penstock.upstream.request import Request

from .clock import FakeClock
from .provider import Provider, page

CLOCK = FakeClock()  # 2026-03-02T10:00:00Z
OURS = Credentials({"api_secret": "s3cret"}, {"api_key": "key-1"}, clock=CLOCK)
ASKED = Request("POST", "https://api.acme.test/v2/orders", params=(("q", "ä b"),), json={"a": 1})


def signed(
    scheme: HmacSigned, request: Request = ASKED, credentials: Credentials = OURS
) -> Request:
    made = next(scheme.flow(request, credentials))
    assert isinstance(made, Request)
    return made


def sent(scheme: HmacSigned, request: Request = ASKED) -> dict[str, str]:
    return dict(signed(scheme, request).headers)


def test_a_published_vector():
    """RFC 4231, test case 2."""
    key = Credentials({"api_secret": "Jefe"}, {"data": "what do ya want for nothing?"})
    scheme = HmacSigned("api_secret", sign="{data}", headers={"X-Sign": "{signature}"})
    (pair,) = signed(scheme, credentials=key).headers
    expected = "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"
    assert pair == ("X-Sign", expected)


def test_every_part_as_it_goes_over_the_wire():
    parts = "{method}|{host}|{path}|{query}|{target}|{url}|{body}|{body_hash}|{timestamp}|{api_key}"
    scheme = HmacSigned("api_secret", sign=parts, headers={"S": "{signature}"}, encoding="base64")
    body = b'{"a":1}'
    text = "|".join(
        (
            *("POST", "api.acme.test", "/v2/orders", "q=%C3%A4%20b", "/v2/orders?q=%C3%A4%20b"),
            "https://api.acme.test/v2/orders?q=%C3%A4%20b",
            *(body.decode(), hashlib.sha256(body).hexdigest(), "1772445600", "key-1"),
        )
    )
    expected = base64.b64encode(hmac.digest(b"s3cret", text.encode(), "sha256")).decode()
    assert sent(scheme)["S"] == expected


@pytest.mark.parametrize(
    ("form", "written"),
    [
        ("unix", "1772445600"),
        ("unix_ms", "1772445600000"),
        ("rfc3339", "2026-03-02T10:00:00Z"),
        ("http", "Mon, 02 Mar 2026 10:00:00 GMT"),
    ],
)
def test_the_time_comes_from_the_clock(form, written):
    headers = {"X-Time": "{timestamp}", "X-Sign": "{signature}"}
    scheme = HmacSigned("api_secret", sign="{timestamp}", headers=headers, timestamp=form)
    assert sent(scheme)["X-Time"] == written


def test_a_nonce_is_used_once_and_sent_as_it_is_signed():
    scheme = HmacSigned("api_secret", sign="{nonce}", headers={"N": "{nonce}", "S": "{signature}"})
    first, second = sent(scheme), sent(scheme)
    assert first["N"] != second["N"]
    assert first["S"] == hmac.digest(b"s3cret", first["N"].encode(), "sha256").hex()


@pytest.mark.parametrize(
    ("form", "spelled"), [("text", "key"), ("hex", "6b6579"), ("base64", "a2V5")]
)
def test_a_secret_is_text_or_spelled_bytes(form, spelled):
    ours = Credentials({"api_secret": spelled}, clock=CLOCK)
    scheme = HmacSigned("api_secret", sign="x", headers={"S": "{signature}"}, key=form)
    (pair,) = signed(scheme, credentials=ours).headers
    assert pair[1] == hmac.digest(b"key", b"x", "sha256").hex()


def test_a_signature_may_stand_in_the_query():
    scheme = HmacSigned(
        "api_secret", sign="{query}", params={"sign": "{signature}"}, encoding="base64url"
    )
    made = signed(scheme)
    digest = hmac.digest(b"s3cret", b"q=%C3%A4%20b", "sha256")
    assert made.param("sign") == base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
    assert ASKED.param("sign") is None


def test_the_signed_bytes_are_the_sent_bytes():
    """The provider signs what it received, and finds the same."""
    scheme = HmacSigned("api_secret", sign="{target}\n{body}", headers={"X-Sign": "{signature}"})
    with Provider([page({})]) as provider:
        egress = Egress.of([provider.url + "/*"], allow_loopback=True)
        client = Client(provider.url, egress=egress, clock=CLOCK, auth=scheme, credentials=OURS)
        with client:
            asked = Request(
                "POST", "/ab/ö", params=(("x", "1,2 ü+&"),), json={"ß": [1, "2"]}, safe=True
            )
            client.send(asked)
    (received,) = provider.received
    text = received.target.encode() + b"\n" + received.body
    assert received.headers["x-sign"] == hmac.digest(b"s3cret", text, "sha256").hex()


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ({"hash": "crc32"}, "hash 'crc32' is none of sha256"),
        ({"encoding": "rot13"}, "encoding"),
        ({"timestamp": "tea time"}, "timestamp"),
        ({"key": "runes"}, "key"),
        ({"headers": {"X": "{timestamp}"}}, "stands in none"),
    ],
)
def test_what_cannot_be_is_refused_at_once(wrong, told):
    declared = {"sign": "{body}", "headers": {"X": "{signature}"}}
    with pytest.raises(ConnectorError, match=told):
        HmacSigned("api_secret", **{**declared, **wrong})


def test_a_secret_in_another_spelling_is_never_shown():
    scheme = HmacSigned("api_secret", sign="x", headers={"S": "{signature}"}, key="hex")
    with pytest.raises(SecretError, match="is no hex") as refusal:
        signed(scheme)
    assert "s3cret" not in str(refusal.value)


def test_the_settings_it_needs_are_known():
    scheme = HmacSigned("api_secret", sign="{api_key}{body}", headers={"X": "{signature}"})
    assert scheme.settings == {"api_secret", "api_key"}
