from __future__ import annotations

import base64
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from penstock.errors import ConnectorError, SecretError
from penstock.upstream.auth import NO_AUTH, ApiKey, Basic, Bearer, Credentials, InTurn, TokenRequest
from penstock.upstream.headers import Headers
from penstock.upstream.request import Request, Response

from .clock import FakeClock

ASKED = Request("GET", "https://api.acme.test/invoices")
OURS = Credentials({"api_key": "s3cret/+key", "password": "pässword"}, {"user": "ann"})


def signed(scheme, credentials=OURS) -> Request:
    return next(scheme.flow(ASKED, credentials))


class TestSchemes:
    def test_bearer(self):
        assert signed(Bearer(secret="api_key")).headers == (
            ("Authorization", "Bearer s3cret/+key"),
        )

    def test_api_key_in_a_header(self):
        assert signed(ApiKey()).headers == (("X-Api-Key", "s3cret/+key"),)
        assert signed(ApiKey(header="Key")).headers == (("Key", "s3cret/+key"),)

    def test_api_key_in_the_query(self):
        assert signed(ApiKey(query="key")).params == (("key", "s3cret/+key"),)

    def test_api_key_in_the_body(self):
        asked = replace(ASKED, json={"auth": {"user": "ann"}, "q": 1})
        made = next(ApiKey(json="auth.key").flow(asked, OURS))
        assert made.json == {"auth": {"user": "ann", "key": "s3cret/+key"}, "q": 1}
        assert signed(ApiKey(json="key")).json == {"key": "s3cret/+key"}
        with pytest.raises(ConnectorError, match="finds no place"):
            next(ApiKey(json="key").flow(replace(ASKED, json=[1]), OURS))

    def test_basic_from_a_setting_and_a_secret(self):
        name, _, value = signed(Basic("user", "password")).headers[0][1].partition(" ")
        assert (name, base64.b64decode(value).decode()) == ("Basic", "ann:pässword")

    def test_basic_without_a_password(self):
        value = signed(Basic("api_key")).headers[0][1].removeprefix("Basic ")
        assert base64.b64decode(value) == b"s3cret/+key:"

    def test_no_auth(self):
        assert signed(NO_AUTH) is ASKED

    def test_several_in_turn(self):
        both = signed(InTurn((ApiKey(query="key"), Bearer())))
        assert both.params == (("key", "s3cret/+key"),)
        assert both.headers == (("Authorization", "Bearer s3cret/+key"),)
        assert signed(InTurn((Bearer(),))) == signed(Bearer())
        assert signed(InTurn(())) == ASKED

    def test_the_last_scheme_answers_a_response_first(self):
        """Each sees the responses to what it has signed, and whatever it repeats is signed anew."""
        told = []

        class Twice:
            def __init__(self, name):
                self.name = name

            def flow(self, request, credentials):
                for time in (1, 2):
                    answer = yield request.with_headers((self.name, "x"))
                    told.append((self.name, time, answer))

        flow = InTurn((Twice("outer"), Twice("inner"))).flow(ASKED, OURS)
        made = [next(flow), *(flow.send(number) for number in (1, 2, 3))]
        with pytest.raises(StopIteration):
            flow.send(4)
        assert {request.headers for request in made} == {(("outer", "x"), ("inner", "x"))}
        assert told == [
            *(("inner", 1, 1), ("inner", 2, 2), ("outer", 1, 2)),
            *(("inner", 1, 3), ("inner", 2, 4), ("outer", 2, 4)),
        ]

    def test_a_token_request_passes_the_other_schemes_unsigned(self):
        ask = TokenRequest("https://login.acme.test/token", (("grant_type", "x"),))

        class Asks:
            def flow(self, request, credentials):
                answer = yield ask
                yield request.with_headers(("X-Token", answer))

        flow = InTurn((Bearer(), Asks(), ApiKey(query="key"))).flow(ASKED, OURS)
        assert next(flow) is ask
        made = flow.send("t0ken")
        assert made.param("key") == "s3cret/+key"
        assert dict(made.headers) == {"Authorization": "Bearer s3cret/+key", "X-Token": "t0ken"}

    def test_a_copy_is_signed(self):
        for scheme in (Bearer(), ApiKey(), ApiKey(query="key"), Basic("user")):
            assert signed(scheme) != ASKED
            assert Request("GET", "https://api.acme.test/invoices") == ASKED


class TestFaults:
    def test_a_missing_secret_is_named(self):
        with pytest.raises(SecretError, match="no value for 'token'"):
            signed(Bearer(secret="token"))

    @pytest.mark.parametrize("value", ["hidden\n", " hidden", "hid\x00den", "hid\r\nX: den"])
    def test_a_secret_that_breaks_a_header_is_never_shown(self, value):
        with pytest.raises(SecretError, match="line break") as refusal:
            signed(Bearer(), Credentials({"api_key": value}))
        assert "hid" not in str(refusal.value)

    def test_a_secret_beyond_ascii_fits_no_header(self):
        with pytest.raises(SecretError, match="no header field can carry"):
            signed(Bearer(secret="password"))

    def test_a_user_name_with_a_colon(self):
        with pytest.raises(SecretError, match="colon"):
            signed(Basic("user"), Credentials({}, {"user": "a:b"}))

    def test_one_place_for_an_api_key(self):
        with pytest.raises(ConnectorError):
            ApiKey(header="a", query="b")
        with pytest.raises(ConnectorError):
            ApiKey(json="a", query="b")


class TestHiding:
    def test_a_mapping_of_names(self):
        assert dict(OURS) == {name: OURS[name] for name in ("user", "api_key", "password")}
        assert len(OURS) == 3

    def test_repr_shows_names_only(self):
        assert repr(OURS) == "Credentials(api_key, password, user)"

    def test_secrets_are_hidden_in_every_spelling(self):
        text = "s3cret/+key, s3cret%2F%2Bkey, p%C3%A4ssword for ann"
        assert OURS.redact(text) == "***, ***, *** for ann"

    def test_a_secret_within_another_leaves_nothing_behind(self):
        assert Credentials({"a": "longer", "b": "longer-tail"}).redact("longer-tail") == "***"

    def test_short_values_do_not_garble_everything(self):
        assert Credentials({"pin": "1"}).redact("page 11") == "page 11"


def test_the_scheme_of_the_guide_does_what_it_says():
    guide = (Path(__file__).parents[2] / "docs" / "authors.md").read_text()
    (block,) = re.findall(r"```python\n([^`]*class Ticket[^`]*)```", guide)
    names: dict[str, Any] = {}
    exec(block, names)
    flow = names["Ticket"]().flow(ASKED, OURS)
    desk = next(flow)
    assert (desk.method, desk.url) == ("POST", "https://api.acme.test/tickets")
    assert dict(desk.headers) == {"X-Key": "s3cret/+key"}
    answer = Response(ASKED, 200, Headers(), b'{"ticket":"t-1"}', desk.url, FakeClock().now())
    assert dict(flow.send(answer).headers) == {"X-Ticket": "t-1"}
    with pytest.raises(StopIteration):
        flow.send(answer)
