"""Sealing and opening; keys and key files."""

from __future__ import annotations

import base64

import pytest
from cryptography.exceptions import UnsupportedAlgorithm
from hypothesis import given
from hypothesis import strategies as st

from penstock.errors import SecretError
from penstock.vault import key_ring
from penstock.vault.key_ring import KEY_BYTES, KeyRing

KEY, OTHER_KEY = b"k" * KEY_BYTES, b"o" * KEY_BYTES
PLACE = {"workspace": "default", "connection": "acme", "field": "api_key"}
TOKEN = "sk_live_Zoë_1234567890"


@given(st.text())
def test_what_is_sealed_opens(text):
    ring = KeyRing(KEY)
    assert ring.open(ring.seal(text, **PLACE), **PLACE) == text


def test_text_and_its_bytes_are_one():
    ring = KeyRing(KEY)
    assert ring.open(ring.seal(TOKEN.encode(), **PLACE), **PLACE) == TOKEN


def test_sealed_bytes_say_nothing_and_differ_each_time():
    ring = KeyRing(KEY)
    sealed = {ring.seal(TOKEN, **PLACE) for _ in range(50)}
    assert len(sealed) == 50
    assert not any(TOKEN.encode() in each for each in sealed)


@pytest.mark.parametrize(
    "elsewhere",
    [
        {"workspace": "other"},
        {"connection": "other"},
        {"field": "other"},
        {"workspace": "defaul", "connection": "tacme"},
    ],
)
def test_a_secret_moved_to_another_row_does_not_open(elsewhere):
    ring = KeyRing(KEY)
    refused = pytest.raises(SecretError, match="does not open")
    with refused as error:
        ring.open(ring.seal(TOKEN, **PLACE), **PLACE | elsewhere)
    assert TOKEN not in str(error.value)
    assert error.value.__cause__ is None


def test_any_changed_byte_is_noticed():
    ring = KeyRing(KEY)
    sealed = ring.seal(TOKEN, **PLACE)
    for place in range(len(sealed)):
        changed = bytearray(sealed)
        changed[place] ^= 1
        with pytest.raises(SecretError):
            ring.open(bytes(changed), **PLACE)


@pytest.mark.parametrize("cut", [0, 1, 5, 20])
def test_a_cut_form_is_refused(cut):
    ring = KeyRing(KEY)
    with pytest.raises(SecretError, match="not in a form known here"):
        ring.open(ring.seal(TOKEN, **PLACE)[:cut], **PLACE)


def test_the_wrong_key_is_named_by_id():
    sealed = KeyRing(KEY).seal(TOKEN, **PLACE)
    with pytest.raises(SecretError, match=KeyRing(KEY).key_id) as refused:
        KeyRing(OTHER_KEY).open(sealed, **PLACE)
    assert KeyRing(OTHER_KEY).key_id in str(refused.value)


def test_a_ring_opens_with_all_its_keys_and_seals_with_the_first():
    old = KeyRing(KEY)
    both = KeyRing(OTHER_KEY, KEY)
    assert both.open(old.seal(TOKEN, **PLACE), **PLACE) == TOKEN
    assert KeyRing(OTHER_KEY).open(both.seal(TOKEN, **PLACE), **PLACE) == TOKEN


def test_a_key_from_text():
    text = base64.b64encode(KEY).decode()
    assert KeyRing.from_text(f" {text}\n").key_id == KeyRing(KEY).key_id


def test_of_several_keys_in_a_text_the_first_seals():
    new, old = (base64.b64encode(key).decode() for key in (OTHER_KEY, KEY))
    ring = KeyRing.from_text(f"{new}\n{old}\n")
    assert (ring.key_id, len(ring)) == (KeyRing(OTHER_KEY).key_id, 2)
    assert ring.open(KeyRing(KEY).seal(TOKEN, **PLACE), **PLACE) == TOKEN


def test_two_rings_in_one_open_what_either_opens_and_seal_as_the_first():
    ring = KeyRing(OTHER_KEY) | KeyRing(KEY)
    sealed = ring.seal(TOKEN, **PLACE)
    assert KeyRing(OTHER_KEY).open(sealed, **PLACE) == TOKEN
    assert ring.open(KeyRing(KEY).seal(TOKEN, **PLACE), **PLACE) == TOKEN


def test_a_ring_tells_by_the_bytes_which_key_sealed_them():
    ring, old = KeyRing(OTHER_KEY, KEY), KeyRing(KEY).seal(TOKEN, **PLACE)
    new = ring.seal(TOKEN, **PLACE)
    assert (ring.knows(old), ring.is_newest(old)) == (True, False)
    assert (ring.knows(new), ring.is_newest(new)) == (True, True)
    assert not KeyRing(KEY).knows(new)
    assert KeyRing.named(old) == KeyRing(KEY).key_id


@pytest.mark.parametrize("text", ["", "short", "!" * 44, base64.b64encode(b"x" * 31).decode(), "é"])
def test_other_text_is_refused_without_repeating_it(text):
    with pytest.raises(SecretError, match="base64 of 32 bytes") as refused:
        KeyRing.from_text(text)
    assert not text or text not in str(refused.value)


def test_keys_have_32_bytes():
    for keys in ((), (b"short",), (KEY, b"")):
        with pytest.raises(SecretError, match="exactly 32 bytes"):
            KeyRing(*keys)


def test_a_library_without_the_cipher_is_named(monkeypatch):
    def lacking(_key):
        raise UnsupportedAlgorithm("no SIV")

    monkeypatch.setattr(key_ring, "AESGCMSIV", lacking)
    with pytest.raises(SecretError, match="lacks AES-GCM-SIV"):
        KeyRing(KEY)
