from __future__ import annotations

import base64

import pytest

from penstock.errors import ConnectorError, SecretError
from penstock.upstream.auth import NO_AUTH, ApiKey, Basic, Bearer, Credentials, InTurn
from penstock.upstream.request import Request

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
