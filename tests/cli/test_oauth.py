"""Connecting where a person's consent is asked for, and connecting again."""

from __future__ import annotations

import re
import threading
import urllib.error
import urllib.request
from urllib.parse import parse_qsl, urlencode, urlsplit

import pytest

from penstock.cli import callback
from penstock.errors import UsageError

from ..upstream.oauth_plant import connector
from ..upstream.oauth_provider import SECRET, OAuthProvider

CONSENT = (
    'grant="authorization_code", authorize_url="{settings.host}/authorize", '
    'facts={"realm": "callback.realmId", "instance_url": "token.instance_url"}'
)
PAGE = re.compile(r"^(http://\S+/authorize\?\S+)$", re.MULTILINE)


@pytest.fixture
def oauth():
    with OAuthProvider() as provider:
        provider.extra = {"instance_url": provider.url}
        yield provider


class Person:
    """Reads what `penstock connect` says, and goes where it sends them."""

    def __init__(self, monkeypatch, *, visit=None):
        self.seen: list[tuple[int, str]] = []
        self.visit = visit or self.agree
        self.threads: list[threading.Thread] = []
        self.say = callback.output.say
        monkeypatch.setattr(callback.output, "say", self.hear)

    def hear(self, sentence: str) -> None:
        self.say(sentence)
        if found := PAGE.search(sentence):
            thread = threading.Thread(target=self.visit, args=(found[1],))
            self.threads.append(thread)
            thread.start()

    def agree(self, page: str) -> None:
        self.get(page)

    def get(self, url: str) -> None:
        try:
            with urllib.request.urlopen(url, timeout=30) as answer:
                self.seen.append((answer.status, answer.read().decode()))
        except urllib.error.HTTPError as error:
            with error:
                self.seen.append((error.code, error.read().decode()))

    def leave(self) -> None:
        for thread in self.threads:
            thread.join()


def connect(shell, oauth, tmp_path, *more: str, declared: str = CONSENT, base_url=None):
    places = {"base_url": base_url} if base_url else {}
    target = connector(tmp_path, declared, **places)
    line = f"connect {target} --name acme --set host={oauth.url} --allow-loopback"
    return shell(line, "--secret", f"client_secret={SECRET}", *more)


def test_a_consent_makes_a_connection(shell, oauth, tmp_path, monkeypatch):
    """State, PKCE and the exact redirect are checked by the provider, which is not ours."""
    ann = Person(monkeypatch)
    assert connect(shell, oauth, tmp_path).code == 0
    ann.leave()
    assert ann.seen == [(200, "penstock has the consent. You may close this page.")]
    (shown,) = shell.json("connections")
    assert shown["state"] == "active"
    assert shown["facts"] == {"realm": "realm-9", "instance_url": oauth.url}
    assert shell("run acme").code == 0
    everything = shell.database.read_bytes()
    for token in (*oauth.access, *oauth.refresh):
        assert token.encode() not in everything


def test_facts_are_there_before_the_first_request(shell, oauth, tmp_path, monkeypatch):
    Person(monkeypatch)
    oauth.extra = {"instance_url": oauth.url}
    assert connect(shell, oauth, tmp_path, base_url="{facts.instance_url}").code == 0
    assert shell("run acme").code == 0


def test_a_lost_connection_is_shown_and_connected_again(shell, oauth, tmp_path, monkeypatch):
    Person(monkeypatch)
    connect(shell, oauth, tmp_path)
    oauth.families.clear()
    oauth.end_access()
    assert shell("run acme").code == 3
    (shown,) = shell.json("connections")
    assert shown["state"] == "needs_reauth"
    assert "penstock connect" in shown["reason"]
    (stream,) = shell.json("streams")
    assert (stream["state"], stream["reason"]) == ("needs_reauth", shown["reason"])
    calls = oauth.counts.token_calls
    refused = shell("run acme")
    assert refused.code == 2
    assert shown["reason"] in refused.err
    assert shell("connections resume acme").code == 2
    assert oauth.counts.token_calls == calls
    assert shown["reason"] in shell("doctor").out + shell("doctor").err

    assert connect(shell, oauth, tmp_path).code == 0
    assert shell.json("connections")[0]["state"] == "active"
    assert shell.json("streams")[0]["state"] != "needs_reauth"
    assert shell("run acme").code == 0


def test_another_account_is_refused(shell, oauth, tmp_path, monkeypatch):
    Person(monkeypatch)
    connect(shell, oauth, tmp_path)
    oauth.account = "2"
    refused = connect(shell, oauth, tmp_path)
    assert refused.code == 2
    assert "belongs to 1" in refused.err
    oauth.account = "1"
    assert shell("run acme").code == 0  # with the grant that it had


def test_a_forged_callback_is_turned_away_and_the_right_one_is_taken(
    shell, oauth, tmp_path, monkeypatch
):
    """SE12: state missing, wrong and replayed; another path; the real person comes last."""

    def visit(page: str) -> None:
        query = dict(parse_qsl(urlsplit(page).query))
        back = query["redirect_uri"]
        for forged in ({}, {"state": "guessed"}, {"state": query["state"] + "x"}):
            ann.get(f"{back}?{urlencode({'code': 'injected', **forged})}")
        ann.get(back.replace("/callback", "/elsewhere") + f"?state={query['state']}&code=injected")
        assert oauth.counts.token_calls == 0
        ann.get(page)

    ann = Person(monkeypatch, visit=visit)
    assert connect(shell, oauth, tmp_path).code == 0
    ann.leave()
    assert [status for status, _ in ann.seen] == [200, 200, 200, 404, 200]
    assert all("no consent that was asked for" in text for _, text in ann.seen[:3])
    assert oauth.counts.invalid_grant == 0


def test_an_injected_code_fails_at_the_provider(shell, oauth, tmp_path, monkeypatch):
    """SE12: a code of another visit, with the right state: PKCE does not fit."""

    def visit(page: str) -> None:
        query = dict(parse_qsl(urlsplit(page).query))
        _, others = oauth.consent({**query, "code_challenge": "another visit's"})
        ann.get(f"{query['redirect_uri']}?{urlencode(others)}")

    ann = Person(monkeypatch, visit=visit)
    refused = connect(shell, oauth, tmp_path)
    assert refused.code == 2
    assert "not yours" in refused.err
    assert oauth.counts.invalid_grant == 1
    assert shell.json("connections") == []


def test_an_answer_of_another_issuer_is_refused(shell, oauth, tmp_path, monkeypatch):
    """SE12: the mix-up."""
    Person(monkeypatch)
    oauth.issuer = "https://evil.test"
    refused = connect(shell, oauth, tmp_path)
    assert refused.code == 2
    assert "https://evil.test" in refused.err
    assert oauth.counts.token_calls == 0


def test_a_registered_redirect_is_used_to_the_letter(shell, oauth, tmp_path, monkeypatch):
    Person(monkeypatch)
    told = connect(shell, oauth, tmp_path, "--redirect-url", "http://localhost/oauth/back")
    assert told.code == 0
    (form,) = (form for form in oauth.asked if form["grant_type"] == "authorization_code")
    assert re.fullmatch(r"http://localhost:\d+/oauth/back", form["redirect_uri"])


@pytest.mark.parametrize(
    "url", ["https://127.0.0.1/x", "http://acme.test/x", "http://127.0.0.1/x?y=z", "nonsense"]
)
def test_a_consent_is_received_on_this_machine_only(url):
    with pytest.raises(UsageError, match="on this machine"):
        callback.LoopbackCallback(url)


def test_nobody_is_waited_for_for_ever(monkeypatch):
    monkeypatch.setattr(callback.output, "say", lambda _: None)
    door = callback.LoopbackCallback(wait_s=0)
    with pytest.raises(UsageError, match="no consent came back"):
        door.answer(type("Consent", (), {"url": "http://127.0.0.1/authorize"})())


def test_a_spent_refresh_token_is_asked_for_again(shell, oauth, tmp_path):
    declared = 'grant="refresh_token"'
    first = f"refresh_token={oauth.new_refresh_token()}"
    assert connect(shell, oauth, tmp_path, "--secret", first, declared=declared).code == 0
    oauth.families.clear()
    oauth.end_access()
    assert shell("run acme").code == 3
    refused = connect(shell, oauth, tmp_path, declared=declared)
    assert refused.code == 2
    assert "--secret refresh_token=" in refused.err
    second = f"refresh_token={oauth.new_refresh_token()}"
    assert connect(shell, oauth, tmp_path, "--secret", second, declared=declared).code == 0
    assert shell("run acme").code == 0


def test_new_settings_of_a_client_get_a_new_token(shell, oauth, tmp_path):
    declared = 'grant="client_credentials"'
    assert connect(shell, oauth, tmp_path, declared=declared).code == 0
    assert oauth.counts.token_calls == 1
    assert shell("run acme").code == 0
    assert oauth.counts.token_calls == 1
    wrong = shell("connections set acme", "--secret", "client_secret=wrong")
    assert wrong.code == 2
    assert "invalid_client" in wrong.err
    assert "wrong" not in wrong.err.replace("wrong client", "")
    assert shell("connections set acme", "--secret", f"client_secret={SECRET}").code == 0
