"""Sealing and opening; keys and key files."""

from __future__ import annotations

import base64
import os
import subprocess
import sys

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


# ── key files ──


def test_a_key_file_is_made_once(tmp_path):
    path = tmp_path / "penstock.key"
    first, created = KeyRing.load_or_create(path)
    again, created_again = KeyRing.load_or_create(path)
    assert (created, created_again) == (True, False)
    assert first.key_id == again.key_id
    assert path.stat().st_mode & 0o777 == 0o600
    assert list(tmp_path.iterdir()) == [path]
    assert KeyRing.from_text(path.read_text()).key_id == first.key_id


def test_of_two_that_make_it_at_once_both_get_the_same(tmp_path):
    code = (
        "import sys; from pathlib import Path; from penstock.vault.key_ring import KeyRing\n"
        "print(KeyRing.load_or_create(Path(sys.argv[1]))[0].key_id)"
    )
    command = [sys.executable, "-c", code, str(tmp_path / "penstock.key")]
    both = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(3)]
    assert len({process.communicate(timeout=60)[0] for process in both}) == 1


def test_the_slower_one_takes_the_key_that_is_there(tmp_path):
    path = tmp_path / "penstock.key"
    KeyRing.load_or_create(path)
    before = path.read_bytes()
    assert key_ring._create(path) is False
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


def test_a_key_file_open_to_others_is_refused(tmp_path):
    path = tmp_path / "penstock.key"
    KeyRing.load_or_create(path)
    os.chmod(path, 0o640)
    with pytest.raises(SecretError, match="chmod 600"):
        KeyRing.load_or_create(path)


@pytest.mark.parametrize("content", [b"", b"\xff\xfe", b"not a key"])
def test_a_file_that_holds_no_key_is_refused_and_kept(tmp_path, content):
    path = tmp_path / "penstock.key"
    path.write_bytes(content)
    path.chmod(0o600)
    with pytest.raises(SecretError):
        KeyRing.load_or_create(path)
    assert path.read_bytes() == content


def test_a_place_that_cannot_be_written_is_named(tmp_path):
    with pytest.raises(SecretError, match="cannot be used"):
        KeyRing.load_or_create(tmp_path / "nowhere" / "penstock.key")
