"""Tokens that expire, against a provider that takes them seriously."""

from __future__ import annotations

import threading
import time
from contextlib import ExitStack, closing
from dataclasses import replace

import pytest
from joserfc import jwk

from penstock.errors import (
    ConnectorError,
    CursorExpiredError,
    NeedsReauthError,
    ParkedError,
    PenstockError,
    SecretError,
    UpstreamError,
    UpstreamUnavailableError,
)
from penstock.model import times
from penstock.model.token import TokenPair
from penstock.upstream import grant
from penstock.upstream.auth import ApiKey, Credentials, InTurn
from penstock.upstream.client import Client
from penstock.upstream.grant import LOOK_EVERY_S, PATIENCE_S, Grant, OwnTokens
from penstock.upstream.guard import Egress
from penstock.upstream.oauth import OAuth2
from penstock.upstream.request import Request

from .clock import FakeClock
from .oauth_provider import CLIENT, SECRET, OAuthProvider

SECRETS = {"client_secret": SECRET}
SETTINGS = {"client_id": CLIENT}


class StoppingClock(FakeClock):
    """Sleepers move it on at once, but not beyond a moment at which others still work."""

    def __init__(self):
        super().__init__()
        self._stop_at = float("inf")

    def stop_at(self, moment: float) -> None:
        self._stop_at = moment

    def sleep(self, seconds: float) -> None:
        if self.monotonic() < self._stop_at:
            super().sleep(seconds)
        else:
            time.sleep(0.001)  # lets the others work; nothing depends on how long it takes


class Shared(OwnTokens):
    """Tokens that several threads share, with one attempt at a time as in the store."""

    def __init__(self):
        super().__init__()
        self.lock = threading.Lock()

    def begin(self, grant):
        with self.lock:
            if self.grant.generation != grant.generation or self.grant.attempt != grant.attempt:
                return None
            self.grant = replace(self.grant, attempt=f"me-{grant.attempt}", is_free=False)
            return self.grant


@pytest.fixture
def clock():
    return StoppingClock()


@pytest.fixture
def provider(clock):
    with OAuthProvider(clock=clock) as served:
        yield served


@pytest.fixture
def plant(provider, clock):
    """Makes plants, and closes them in the end."""
    with ExitStack() as made:
        yield lambda **given: made.enter_context(closing(Plant(provider, clock, **given)))


class Plant:
    """A client of the provider, and what it keeps."""

    def __init__(self, provider, clock, *, tokens=None, secrets=(), schemes=None, **oauth):
        declared = {"grant": "refresh_token", "token_url": "{settings.host}/token", **oauth}
        self.oauth = OAuth2(**declared)
        self.tokens = tokens or OwnTokens()
        self.credentials = Credentials(
            {**SECRETS, "refresh_token": provider.new_refresh_token(), **dict(secrets)},
            SETTINGS,
            clock=clock,
            places={"settings": {"host": provider.url, **SETTINGS}},
            tokens=self.tokens,
        )
        self.client = Client(
            provider.url,
            auth=InTurn((*(schemes or ()), self.oauth)),
            credentials=self.credentials,
            egress=Egress.of([provider.url + "/*"], allow_loopback=True),
            clock=clock,
        )

    def close(self):
        self.client.close()

    def get(self, path="/items", **request):
        return self.client.send(Request("GET", path, **request)).json()


class TestRenewing:
    def test_the_first_request_asks_for_a_token_first(self, provider, clock, plant):
        ours = plant(grant="client_credentials", scopes=["read", "write"])
        assert ours.get()["data"]
        assert provider.asked == [{"grant_type": "client_credentials", "scope": "read write"}]
        ours.get()
        assert len(provider.asked) == 1

    def test_a_token_is_renewed_a_minute_before_its_end(self, provider, clock, plant):
        ours = plant()
        ours.get()
        clock.advance(3600 - 61)
        ours.get()
        assert provider.counts.token_calls == 1
        clock.advance(1)
        ours.get()
        assert (provider.counts.token_calls, provider.counts.refused) == (2, 0)

    def test_a_token_that_lives_a_minute_is_renewed_half_way(self, provider, clock, plant):
        provider.lives_s = lambda _: 60
        ours = plant()
        ours.get()
        clock.advance(29)
        ours.get()
        assert provider.counts.token_calls == 1
        clock.advance(1)
        ours.get()
        assert provider.counts.token_calls == 2

    def test_without_expires_in_only_a_401_renews(self, provider, clock, plant):
        provider.lives_s = lambda _: None
        ours = plant()
        ours.get()
        clock.advance(10**8)
        ours.get()
        assert provider.counts.token_calls == 1
        provider.end_access()
        assert ours.get()["data"]
        assert (provider.counts.token_calls, provider.counts.refused) == (2, 1)

    def test_a_token_that_expires_in_the_middle(self, provider, clock, plant):
        """SA25: sixteen see the 401, one refreshes, and every request is answered."""
        clock.stop_at(10.0)
        ours = plant(tokens=Shared())
        ours.get()
        provider.end_access()
        barrier = threading.Barrier(16)
        answers = []

        def use():
            barrier.wait()
            answers.append(ours.get()["data"])

        threads = [threading.Thread(target=use) for _ in range(16)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(answers) == 16
        assert provider.counts.refused >= 2
        assert provider.counts.token_calls == 2

    def test_a_401_for_ever(self, provider, clock, plant):
        """SA26: one refresh, one repetition, and then it is said."""
        ours = plant()
        ours.get()
        provider.refuses = lambda target: True
        before = provider.counts.seen["/items"]
        with pytest.raises((NeedsReauthError, UpstreamError), match="401"):
            ours.get()
        assert provider.counts.seen["/items"] == before + 2
        assert provider.counts.token_calls == 2

    def test_a_401_that_stays_on_a_later_page_is_an_expired_cursor(self, provider, clock, plant):
        """SA13 in the shape that some providers give it."""
        ours = plant()
        provider.refuses = lambda target: "page=2" in target
        with pytest.raises(CursorExpiredError, match="place to go on from is gone"):
            ours.get("/items?page=2", follows=True)
        assert provider.counts.refused == 2
        assert ours.get()["data"]

    def test_a_renewed_token_is_never_a_new_refresh_token_unless_one_was_given(
        self, provider, clock, plant
    ):
        provider.manners = "lax"
        ours = plant()
        for _ in range(3):
            ours.get()
            provider.end_access()
        assert len({form["refresh_token"] for form in provider.asked}) == 1


class TestWaiting:
    def test_a_refresher_of_unknown_fate_is_given_up_after_its_call_must_be_over(
        self, provider, clock, plant
    ):
        """SA27: no lock with a time to live, only patience by one's own clock."""
        tokens = Shared()
        tokens.grant = Grant(
            1, TokenPair("old", provider.new_refresh_token()), (), "elsewhere", is_free=False
        )
        ours = plant(tokens=tokens)
        assert ours.get()["data"]
        assert clock.monotonic() == pytest.approx(PATIENCE_S, abs=2 * LOOK_EVERY_S)
        assert provider.counts.token_calls == 1

    def test_whoever_waits_takes_what_the_other_one_saved(self, provider, clock, plant):
        """SA27: the endpoint takes 15 s, two ask, one rotation."""
        assert two_with_a_slow_endpoint(provider, clock, plant) == [True, True]
        assert provider.counts.token_calls == 2
        assert provider.counts.invalid_grant == 0

    def test_a_lock_with_a_time_to_live_is_broken_by_it(self, provider, clock, plant, monkeypatch):
        """The control: who waits for a second only, uses the token that is being used."""
        monkeypatch.setattr(grant, "PATIENCE_S", 1.0)
        assert two_with_a_slow_endpoint(provider, clock, plant) != [True, True]
        assert provider.counts.invalid_grant == 1


def two_with_a_slow_endpoint(provider, clock, plant) -> list[bool]:
    """Who is answered, of two that need a new token at once."""
    clock.stop_at(15.0)
    tokens, calling, answered = Shared(), threading.Event(), []
    first, second = (plant(tokens=tokens) for _ in range(2))
    first.get()
    provider.end_access()

    def slow():
        if calling.is_set():
            return
        calling.set()
        while clock.monotonic() < 15:  # the other one waits through this very clock
            time.sleep(0.001)

    def use(client):
        try:
            answered.append(bool(client.get()["data"]))
        except PenstockError:
            answered.append(False)

    provider.before_answer = slow
    thread = threading.Thread(target=use, args=(first,))
    thread.start()
    assert calling.wait(10)
    use(second)
    clock.advance(15.0)
    thread.join()
    return answered


class TestRefused:
    def test_a_revoked_grant_is_lost_with_the_providers_own_reason(self, provider, clock, plant):
        ours = plant()
        ours.get()
        provider.families.clear()
        provider.end_access()
        with pytest.raises(NeedsReauthError, match=r"refuses to renew it \(invalid_grant: unknown"):
            ours.get()
        assert provider.counts.invalid_grant == 1

    def test_a_pair_kept_beside_the_current_one_is_tried_once(self, provider, clock, plant):
        """A late answer may be the good one."""
        tokens = OwnTokens(
            Grant(3, TokenPair("at", "revoked"), (TokenPair("at", provider.new_refresh_token()),))
        )
        ours = plant(tokens=tokens)
        assert ours.get()["data"]
        assert provider.counts.invalid_grant == 1

    def test_a_token_endpoint_that_fails_for_a_while_is_asked_again(self, provider, clock, plant):
        provider.failing = 3
        assert plant().get()["data"]
        assert provider.counts.token_calls == 4
        assert len(clock.slept) == 3

    def test_one_that_fails_for_long_ends_the_request_and_not_the_grant(
        self, provider, clock, plant
    ):
        provider.failing = 100
        ours = plant()
        with pytest.raises((UpstreamUnavailableError, ParkedError), match="/token"):
            ours.get()
        assert clock.monotonic() < PATIENCE_S
        provider.failing = 0
        clock.advance(3600)
        assert ours.get()["data"]

    def test_a_lost_answer_of_a_strict_provider(self, provider, clock, plant):
        """SA27, answer lost: the old token is tried once, and then it is said."""
        ours = plant()
        ours.get()
        provider.end_access()
        provider.lost_answers = 1
        with pytest.raises(NeedsReauthError, match="used twice"):
            ours.get()
        assert provider.lost_answers == 0
        assert provider.counts.invalid_grant == 1

    def test_a_lost_answer_of_a_provider_that_grants_grace(self, provider, clock, plant):
        provider.manners, provider.lost_answers = "grace", 1
        assert plant().get()["data"]
        assert provider.lost_answers == 0

    @pytest.mark.parametrize(
        ("answer", "raised"),
        [
            ((200, {"hello": "there"}), UpstreamError),
            ((404, {}), UpstreamError),
            ((302, {}), UpstreamError),
            ((400, {"error": "temporarily_unavailable"}), UpstreamUnavailableError),
            ((401, {"error": "invalid_client"}), NeedsReauthError),
            ((200, {"error": "bad_refresh_token"}), NeedsReauthError),
        ],
    )
    def test_what_an_endpoint_may_say(self, provider, clock, plant, answer, raised):
        ours = plant()
        provider.error = answer
        with pytest.raises(raised):
            ours.get()
        provider.error = None
        assert ours.get()["data"]  # nothing was used up, so the next run may be lucky


class TestWhoWeAre:
    def test_basic_is_form_encoded(self, provider, clock, plant):
        assert "/+" in SECRET
        assert plant(client_auth="basic").get()["data"]
        assert "client_secret" not in provider.asked[0]

    def test_post(self, provider, clock, plant):
        assert plant(client_auth="post").get()["data"]
        assert provider.asked[0]["client_secret"] == SECRET

    def test_a_private_key(self, provider, clock, plant):
        key = jwk.generate_key("RSA", 2048)
        provider.public_key = key.as_pem(private=False).decode()
        pem = {"private_key": key.as_pem(private=True).decode()}
        ours = plant(client_auth="private_key_jwt", secrets=pem)
        assert ours.get()["data"]
        assert "client_secret" not in provider.asked[0]
        provider.end_access()
        assert ours.get()["data"]  # a new assertion: the provider takes each once

    def test_a_jwt_bearer(self, provider, clock, plant):
        key = jwk.generate_key("RSA", 2048)
        provider.public_key = key.as_pem(private=False).decode()
        pem = {"private_key": key.as_pem(private=True).decode()}
        claims = {"iss": "robot@acme.test", "scope": "read", "sub": "{settings.client_id}"}
        ours = plant(grant="jwt_bearer", claims=claims, secrets=pem)
        assert ours.get()["data"]
        (asked,) = provider.asked
        assert set(asked) == {"grant_type", "assertion"}

    def test_a_key_that_does_not_fit_is_never_shown(self, provider, clock, plant):
        secrets = {"private_key": "no key at all"}
        ours = plant(client_auth="private_key_jwt", secrets=secrets)
        with pytest.raises(SecretError, match="'private_key' is no private key") as refusal:
            ours.get()
        assert "no key at all" not in str(refusal.value)

    def test_more_parameters_are_templates(self, provider, clock, plant):
        more = {"audience": "{settings.host}/api", "left_out": "{settings.nothing}"}
        assert plant(params=more).get()["data"]
        assert provider.asked[0]["audience"] == provider.url + "/api"
        assert "left_out" not in provider.asked[0]


class TestAmongOthers:
    def test_other_schemes_sign_requests_and_not_the_token_call(self, provider, clock, plant):
        for schemes in ((ApiKey("client_secret", header="X-Key"),), ()):
            ours = plant(schemes=schemes)
            provider.end_access()
            assert ours.get()["data"]
            assert not any("x-key" in map(str.lower, headers) for headers in provider.headers)

    def test_a_scheme_behind_signs_the_repeated_request_anew(self, provider, clock, plant):
        signed = []

        class Stamp:
            def flow(self, request, credentials):
                signed.append(request.headers)
                yield request.with_headers(("X-Stamp", str(len(signed))))

        ours = plant()
        ours.client._auth = InTurn((ours.oauth, Stamp()))
        ours.get()
        provider.end_access()
        ours.get()
        tokens = [dict(headers)["Authorization"] for headers in signed]
        assert len(tokens) == 3
        assert tokens[0] == tokens[1] != tokens[2]

    def test_tokens_are_redacted(self, provider, clock, plant):
        ours = plant()
        ours.get()
        for token in provider.access:
            assert ours.credentials.redact(f"seen {token}") == "seen ***"


class TestDeclaration:
    @pytest.mark.parametrize(
        ("wrong", "told"),
        [
            ({"grant": "password"}, "grant 'password' is none of client_credentials"),
            ({"client_auth": "magic"}, "client_auth 'magic'"),
            ({"grant": "authorization_code"}, "authorize_url"),
            ({"authorize_url": "https://login.acme.test"}, "authorize_url"),
            ({"scopes": "read write"}, "list of names"),
            ({"facts": {"url": "answer.url"}}, '"token.member"'),
            ({"algorithm": "HS256"}, "signs with no private key"),
        ],
    )
    def test_what_cannot_be_is_refused_at_once(self, wrong, told):
        declared = {"grant": "refresh_token", "token_url": "https://login.acme.test/token"}
        with pytest.raises(ConnectorError, match=told):
            OAuth2(**{**declared, **wrong})

    def test_a_pair_shows_no_token(self):
        assert "secret" not in repr(TokenPair("secret at", "secret rt", 7))
        assert (
            TokenPair.from_text(
                TokenPair("a", None, times.microseconds(FakeClock().now())).as_text()
            ).access_token
            == "a"
        )
