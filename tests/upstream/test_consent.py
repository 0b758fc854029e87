"""A person's consent, and everything that somebody else may send in its place (SE12)."""

from __future__ import annotations

from urllib.parse import parse_qsl, urlsplit

import pytest

from penstock.errors import UsageError
from penstock.upstream.auth import Credentials
from penstock.upstream.consent import Consent, NotOursError, challenge
from penstock.upstream.oauth import OAuth2

BACK = "http://127.0.0.1:8123/callback"
OURS = Credentials(
    {"client_secret": "s3cret"},
    {"client_id": "me"},
    places={"settings": {"tenant": "acme", "login_hint": "ann@acme.test"}},
)


def begun(**more) -> Consent:
    oauth = OAuth2(
        grant="authorization_code",
        authorize_url="https://login.acme.test/{settings.tenant}/authorize",
        token_url="https://login.acme.test/{settings.tenant}/token",
        scopes=["read", "offline_access"],
        **more,
    )
    return Consent.begin(oauth, OURS, BACK)


def asked(consent: Consent) -> dict[str, str]:
    return dict(parse_qsl(urlsplit(consent.url).query))


def test_the_page_is_told_all_it_needs():
    consent = begun(authorize_params={"login_hint": "{settings.login_hint}", "x": "{settings.no}"})
    assert consent.url.startswith("https://login.acme.test/acme/authorize?")
    query = asked(consent)
    assert query.pop("state") == consent.state
    assert query.pop("code_challenge") == challenge(consent.verifier)
    assert query == {
        "response_type": "code",
        "client_id": "me",
        "redirect_uri": BACK,
        "scope": "read offline_access",
        "login_hint": "ann@acme.test",
        "code_challenge_method": "S256",
    }


def test_the_challenge_is_that_of_the_standard():
    """RFC 7636, appendix B."""
    verifier = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"
    assert challenge(verifier) == "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"


def test_the_code_is_redeemed_with_what_proves_that_it_is_ours():
    consent = begun()
    code = consent.code({"state": consent.state, "code": "c0de"})
    form = dict(consent.redeem(code, OURS).form)
    assert form == {
        "grant_type": "authorization_code",
        "code": "c0de",
        "redirect_uri": BACK,
        "code_verifier": consent.verifier,
    }


def test_no_two_visits_are_alike():
    first, second = begun(), begun()
    assert first.state != second.state
    assert first.verifier != second.verifier
    with pytest.raises(NotOursError):
        second.code({"state": first.state, "code": "c0de"})


@pytest.mark.parametrize("state", [{}, {"state": ""}, {"state": "guessed"}, {"state": "ä"}])
def test_another_state_is_not_ours(state):
    with pytest.raises(NotOursError):
        begun().code({"code": "injected", **state})


@pytest.mark.parametrize(
    ("declared", "issuer"),
    [
        ({}, "https://evil.test"),
        ({}, "https://login.acme.test.evil.test"),
        ({"issuer": "https://id.acme.test/{settings.tenant}"}, "https://id.acme.test/other"),
        ({"issuer": "https://id.acme.test/{settings.tenant}"}, "https://login.acme.test"),
    ],
)
def test_an_answer_from_another_issuer_is_refused(declared, issuer):
    """RFC 9207: the mix-up."""
    consent = begun(**declared)
    with pytest.raises(UsageError, match="comes from the issuer"):
        consent.code({"state": consent.state, "code": "c0de", "iss": issuer})


@pytest.mark.parametrize(
    ("declared", "issuer"),
    [
        ({}, "https://login.acme.test/acme"),
        ({"issuer": "https://id.acme.test/{settings.tenant}"}, "https://id.acme.test/acme"),
    ],
)
def test_the_right_issuer_is_taken(declared, issuer):
    consent = begun(**declared)
    assert consent.code({"state": consent.state, "code": "c0de", "iss": issuer}) == "c0de"


def test_a_person_may_say_no():
    consent = begun()
    said = {"state": consent.state, "error": "access_denied", "error_description": "not\x1b me"}
    with pytest.raises(UsageError, match="access_denied: not me"):
        consent.code(said)
    with pytest.raises(UsageError, match="no code"):
        consent.code({"state": consent.state})


def test_a_visit_shows_no_secret():
    consent = begun()
    assert consent.state not in repr(consent)
    assert consent.verifier not in repr(consent)
