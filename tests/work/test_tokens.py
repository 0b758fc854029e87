"""Tokens of one connection, sealed in a real store."""

from __future__ import annotations

import os
import subprocess
import sys
from base64 import b64encode

import pytest

from penstock.app import App
from penstock.config import Settings
from penstock.errors import SecretError
from penstock.model.token import TokenPair
from penstock.testing.store_worker import NOW, connection
from penstock.work.owner import Owner, start_of
from tests.database import url_in

KEY = b64encode(b"k" * 32).decode()
PAIR = TokenPair("access-1", "refresh-1", NOW)
NEXT = TokenPair("access-2", "refresh-2")


@pytest.fixture
def app(backend, tmp_path):
    with App.open(Settings(url_in(tmp_path), master_key=KEY)) as opened:
        made = connection()
        sealed = opened.wiring.seal(made, "oauth tokens", PAIR.as_text())
        opened.store.connections.save(made, {}, tokens=sealed, now=NOW)
        yield opened


def test_a_rotation_from_intent_to_first_success(app):
    tokens = app.wiring.tokens(connection())
    begun = tokens.begin(tokens.held())
    assert begun is not None
    assert not tokens.current().is_free
    assert tokens.begin(begun) is not None  # taken over, when patience is over
    assert tokens.begin(begun) is None
    saved = tokens.save(begun, NEXT)
    assert (saved.generation, saved.pair, saved.others) == (2, NEXT, (PAIR,))
    tokens.worked(saved)
    assert tokens.held().others == tokens.current().others == ()


def test_two_openings_of_one_connection_agree(app):
    ours, theirs = app.wiring.tokens(connection()), app.wiring.tokens(connection())
    seen = theirs.held()
    begun = ours.begin(ours.held())
    assert theirs.begin(seen) is None
    ours.save(begun, NEXT)
    assert theirs.held() == seen
    assert theirs.current().pair == NEXT


def test_what_is_held_never_goes_back(app, monkeypatch):
    """A read that was overtaken by another thread's must not bring the old token back."""
    tokens = app.wiring.tokens(connection())
    old = app.store.tokens.get("default", "acme")
    tokens.save(tokens.begin(tokens.held()), NEXT)
    monkeypatch.setattr(tokens.store, "get", lambda *_: old)
    tokens.current()
    assert tokens.held().generation == 2


def test_a_refresher_that_is_dead_for_certain_is_not_waited_for(app):
    tokens = app.wiring.tokens(connection())
    child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    here = Owner.of_this_process()
    there = Owner(here.host, here.boot, child.pid, start_of(child.pid) or "", "x")
    app.store.tokens.begin("default", "acme", 1, str(there), over="", now=NOW)
    assert not tokens.current().is_free
    child.communicate(b"\n")
    assert tokens.current().is_free


def test_one_on_another_host_may_be_alive(app):
    elsewhere = Owner("elsewhere", "boot", os.getpid(), "1", "x")
    app.store.tokens.begin("default", "acme", 1, str(elsewhere), over="", now=NOW)
    assert not app.wiring.tokens(connection()).current().is_free


def test_a_lost_grant_has_a_sentence_that_says_what_to_do(app):
    tokens = app.wiring.tokens(connection())
    lost = tokens.lose(tokens.begin(tokens.held()), "the provider said so")
    assert lost.lost == (
        "acme has lost its access: the provider said so; connect it again: "
        "penstock connect penstock_acme:acme --name acme"
    )


def test_tokens_lie_sealed_and_open_nowhere_else(app):
    stored = app.store.tokens.get("default", "acme")
    assert b"access-1" not in stored.sealed
    other = connection("other")
    app.store.connections.save(other, {}, tokens=stored.sealed, now=NOW)
    with pytest.raises(SecretError):
        app.wiring.tokens(other).current()


def test_a_rotation_of_the_data_key_seals_them_anew(app):
    tokens = app.wiring.tokens(connection())
    tokens.save(tokens.begin(tokens.held()), NEXT)
    before = app.store.tokens.get("default", "acme")
    assert app.rotate_secrets().resealed == 2
    after = app.store.tokens.get("default", "acme")
    assert before.sealed != after.sealed
    assert before.previous != after.previous
    assert app.wiring.tokens(connection()).current().pair == NEXT
