"""Secrets: listed by name, set one at a time, rotated."""

from __future__ import annotations

import pytest

from penstock.vault.key_ring import KeyRing, make_key

from .conftest import connect


@pytest.fixture
def connected(shell, provider):
    assert connect(shell, provider).code == 0
    return shell


def test_secrets_are_listed_by_name_only(connected, provider):
    listed = connected("secrets list")
    assert [line.split() for line in listed.out.splitlines()] == [
        ["connection", "name"],
        ["sim", "api_key"],
    ]
    assert connected.json("secrets list") == [{"connection": "sim", "name": "api_key"}]
    assert connected.json("secrets list --connection sim") == connected.json("secrets list")
    assert provider.token not in listed.out + listed.err


def test_without_secrets_the_list_says_how_to_set_one(shell):
    listed = shell("secrets list")
    assert (listed.code, listed.out) == (0, "")
    assert "penstock secrets set" in listed.err
    assert shell.json("secrets list") == []


def test_a_list_needs_no_key(connected):
    connected.database.with_suffix(".key").unlink()
    assert connected.json("secrets list") == [{"connection": "sim", "name": "api_key"}]


@pytest.mark.parametrize("form", ["api_key={}", "api_key=@{}", "api_key=env:{}"])
def test_a_secret_is_set_from_the_line_a_file_or_the_environment(
    connected, provider, tmp_path, monkeypatch, form
):
    (tmp_path / "token").write_text(provider.token + "\n")
    monkeypatch.setenv("SIM_TOKEN", provider.token)
    source = {"api_key={}": provider.token, "api_key=@{}": "token", "api_key=env:{}": "SIM_TOKEN"}
    before = connected.database.stat().st_mtime_ns
    answer = connected("secrets set sim", form.format(source[form]))
    assert (answer.code, answer.err) == (0, "set api_key of sim\n")
    assert connected.database.stat().st_mtime_ns >= before
    assert connected("connections test sim").code == 0


def test_a_secret_without_a_value_is_asked_for_unseen(connected, provider):
    code, seen = connected.on_a_terminal("secrets set sim api_key", answer=provider.token)
    assert code == 0, seen
    assert "set api_key of sim" in seen
    assert provider.token not in seen


def test_without_a_terminal_it_says_how_to_give_the_value(connected):
    refused = connected("secrets set sim api_key")
    assert refused.code == 2
    assert "api_key=…" in refused.err
    assert "--secret" not in refused.err


def test_a_secret_that_the_provider_refuses_is_not_kept(connected):
    refused = connected("secrets set sim api_key=wrong-one")
    assert refused.code == 3
    assert "wrong-one" not in refused.err
    assert connected("connections test sim").code == 0


@pytest.mark.parametrize("words", ["sim hunter2", "sim hunter2=x", "nobody api_key=x"])
def test_what_is_no_secret_is_refused_and_not_shown(connected, words):
    refused = connected("secrets set", *words.split())
    assert refused.code == 2
    assert "hunter2" not in refused.err
    assert "api_key" in refused.err or "sim" in refused.err


def test_a_secret_that_no_longer_opens_is_mended_by_setting_it(connected, provider):
    database = connected.database
    _break_the_secret(database)
    assert "does not open" in connected("connections test sim").err
    refused = connected("secrets rotate")
    assert refused.code == 2
    assert "sim api_key" in refused.err
    assert connected("secrets set sim", f"api_key={provider.token}").code == 0
    assert connected.json("secrets rotate")["resumed"]
    assert connected("connections test sim").code == 0


def _break_the_secret(database):
    from penstock.store.sqlite import SqliteStore

    with SqliteStore.open(f"sqlite:///{database}") as store:
        (cell,) = store.sealed.cells()
        assert store.sealed.reseal(cell, cell.sealed[:-1] + bytes([cell.sealed[-1] ^ 1]))


# ── rotation ──


def test_a_rotation_says_what_it_did(connected):
    rotated = connected("secrets rotate")
    assert rotated.code == 0
    assert "rotated: 1 secret, now under key " in rotated.err
    assert connected.json("secrets rotate") | {"key": ""} == {
        "key": "",
        "resumed": False,
        "resealed": 1,
        "rewrapped": 0,
    }
    assert connected("connections test sim").code == 0


def test_a_new_master_key_in_the_key_file(connected):
    file = connected.database.with_suffix(".key")
    old = file.read_text()
    rotated = connected("secrets rotate --master")
    assert "rotated: 1 data key and 0 secrets" in rotated.err
    assert KeyRing.from_text(file.read_text()).key_id in rotated.err
    assert file.read_text() != old
    assert connected("connections test sim").code == 0


def test_a_new_master_key_from_the_environment(shell, provider, monkeypatch):
    old, new = make_key(), make_key()
    monkeypatch.setenv("PENSTOCK_MASTER_KEY", old)
    assert connect(shell, provider).code == 0
    refused = shell("secrets rotate --master")
    assert refused.code == 2
    assert "holds one key" in refused.err
    monkeypatch.setenv("PENSTOCK_MASTER_KEY", f"{new} {old}")
    rotated = shell("secrets rotate --master")
    assert rotated.code == 0
    assert "take the old key out of PENSTOCK_MASTER_KEY" in rotated.err
    assert old not in rotated.err
    monkeypatch.setenv("PENSTOCK_MASTER_KEY", new)
    assert shell("connections test sim").code == 0
    monkeypatch.setenv("PENSTOCK_MASTER_KEY", old)
    assert shell("connections test sim").code == 2


def test_a_new_master_key_from_a_file_that_was_named(shell, provider, tmp_path, monkeypatch):
    old, new = make_key(), make_key()
    mounted = tmp_path / "master"
    mounted.write_text(old)
    monkeypatch.setenv("PENSTOCK_MASTER_KEY_FILE", str(mounted))
    assert connect(shell, provider).code == 0
    mounted.write_text(f"{new}\n{old}\n")
    assert shell.json("secrets rotate --master")["rewrapped"] == 1
    mounted.write_text(new)
    assert shell("connections test sim").code == 0
    assert not shell.database.with_suffix(".key").exists()
