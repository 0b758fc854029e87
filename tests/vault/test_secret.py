"""A secret shows itself only when asked by name."""

import copy
import json
import pickle

import msgspec
import pytest

from penstock.vault.secret import Secret

VALUE = "sk_live_1234567890"


@pytest.fixture
def secret():
    return Secret(VALUE)


def test_it_reveals_itself_when_asked(secret):
    assert secret.reveal() == VALUE


def test_it_never_prints(secret):
    shown = [
        repr(secret),
        str(secret),
        f"{secret}",
        f"{secret:>20}",
        f"{secret}",
        f"{[secret]}",
    ]
    assert not any(VALUE in text for text in shown)
    assert "••••" in shown[0]


@pytest.mark.parametrize(
    "write",
    [pickle.dumps, json.dumps, msgspec.json.encode, copy.copy, copy.deepcopy],
    ids=["pickle", "json", "msgspec", "copy", "deepcopy"],
)
def test_it_is_not_written_anywhere(secret, write):
    with pytest.raises(TypeError) as refused:
        write(secret)
    assert VALUE not in str(refused.value)


def test_equal_secrets_are_equal(secret):
    assert secret == Secret(VALUE)
    assert secret != Secret("other")
    assert secret != VALUE
    assert hash(secret) == hash(Secret(VALUE))
    assert not Secret("")
    assert secret
