"""Secrets are found in every spelling; what is none stays as it was."""

from __future__ import annotations

import base64
import html
import json
from urllib.parse import quote, quote_plus, urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock.vault.redaction import HIDDEN, NOTHING_HIDDEN, Redactor

SECRET = 's/crèt+ <&> "7" is long'
REDACT = Redactor(SECRET)

SPELLINGS = {
    "plain": SECRET,
    "in a URL": quote(SECRET, safe=""),
    "in a path": quote(SECRET),
    "in a form": quote_plus(SECRET),
    "in a query": urlencode({"key": SECRET}),
    "in lower case": quote(SECRET, safe="").replace("%2F", "%2f").replace("%C3%A8", "%c3%a8")
    .replace("%2B", "%2b").replace("%3C", "%3c").replace("%3E", "%3e"),
    "in JSON": json.dumps({"key": SECRET}),
    "in JSON, not ASCII": json.dumps([SECRET], ensure_ascii=False),
    "in JSON as PHP writes it": json.dumps(SECRET).replace("/", "\\/"),
    "in markup": html.escape(SECRET),
}  # fmt: skip


@pytest.mark.parametrize("text", SPELLINGS.values(), ids=SPELLINGS)
def test_a_secret_is_hidden_in_each_spelling(text):
    for wrapped in (text, f"before {text} after"):
        assert HIDDEN in REDACT(wrapped)
        assert "long" not in REDACT(wrapped)
        assert REDACT.data(wrapped.encode()) == REDACT(wrapped).encode()


@pytest.mark.parametrize("user", ["", "a", "an", "ann", "anna"])
@pytest.mark.parametrize("code", [base64.b64encode, base64.urlsafe_b64encode])
def test_a_secret_is_hidden_in_what_basic_sends(user, code):
    """Whatever stands before it shifts the characters: three ways."""
    for told in (f"{user}:{SECRET}", f"{SECRET}:{user}", f"{user}:{SECRET}:x"):
        coded = code(told.encode()).decode()
        assert HIDDEN in REDACT(f"Authorization: Basic {coded}")


def test_the_longer_secret_goes_first():
    assert Redactor("longer", "longer-tail")("longer-tail") == HIDDEN


def test_short_values_are_left_alone():
    assert Redactor("123", "")("page 123") == "page 123"


def test_in_data_only_what_is_surely_a_secret_is_hidden():
    """A user name that was declared a secret is also the name of a customer."""
    redact = Redactor("acme-billing", "sk_live_0123456789")
    assert redact("acme-billing: sk_live_0123456789") == "***: ***"
    assert redact.data(b"acme-billing: sk_live_0123456789") == b"acme-billing: ***"


def test_tokens_are_learnt_and_the_last_ones_remembered():
    redact = Redactor("the fixed secret", passing=2)
    for number in range(4):
        redact.hide(f"token-{number}", f"token-{number}")
    assert redact("token-1 token-2 token-3 the fixed secret") == "token-1 *** *** ***"


def test_what_another_one_comes_to_know_is_hidden_too():
    net, other = Redactor(), Redactor()
    net.include(other)
    other.hide("learnt later")
    assert net("learnt later") == HIDDEN


def test_it_shows_no_secret_itself():
    assert "s/cr" not in repr(REDACT)
    assert NOTHING_HIDDEN("anything") == "anything"


@given(st.text(min_size=16), st.text(max_size=30), st.text(max_size=30))
def test_what_is_hidden_is_gone(secret, before, after):
    redact = Redactor(secret)
    assert secret not in redact(before + secret + after).replace(HIDDEN, "")
    assert json.dumps(secret)[1:-1] not in redact(json.dumps(before + secret)).replace(HIDDEN, "")
