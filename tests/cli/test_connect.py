"""Connecting, and what can be done with a connection."""

from __future__ import annotations

import pytest

from .conftest import connect


def test_a_connection_shows_everything_but_its_secret(shell, provider):
    assert connect(shell, provider).code == 0
    (shown,) = shell.json("connections")
    assert (shown["name"], shown["connector"], shown["mode"]) == ("sim", "simulated", "live")
    assert shown["settings"] == {"base_url": provider.url, "page_size": 200}
    assert shown["secrets"] == ["api_key"]
    assert provider.token not in shell("connections --json").out
    assert provider.token.encode() not in shell.database.read_bytes()


def test_a_made_or_changed_connection_is_told_and_shown(shell, provider):
    assert connect(shell, provider, "--json").json == shell.json("connections")[0]
    assert "changed sim" in shell("connections set sim --observe").err


def test_without_connections_the_list_says_how_to_make_one(shell):
    listed = shell("connections")
    assert (listed.code, listed.out) == (0, "")
    assert "penstock connect" in listed.err
    assert shell.json("connections") == []


def test_a_missing_secret_without_a_terminal_is_a_usage_error(shell, provider):
    refused = shell(f"connect simulated --name sim --set base_url={provider.url}")
    assert refused.code == 2
    assert "--secret api_key=" in refused.err
    assert shell.json("connections") == []


def test_a_missing_secret_is_asked_for_on_a_terminal_and_not_shown(shell, provider):
    code, seen = shell.on_a_terminal(
        f"connect simulated --name sim --set base_url={provider.url}", answer=provider.token
    )
    assert code == 0, seen
    assert "api_key" in seen
    assert provider.token not in seen
    assert shell.json("connections")[0]["name"] == "sim"


def test_a_wrong_secret_connects_nothing(shell, provider):
    refused = shell(
        f"connect simulated --name sim --set base_url={provider.url} --secret api_key=wrong"
    )
    assert refused.code in {2, 3}
    assert refused.err.startswith(("made a new master key", "error:"))
    assert shell.json("connections") == []


@pytest.mark.parametrize(
    ("more", "told"),
    [
        (["--set", "colour=red"], "colour"),
        (["--set", "api_key=open"], "--secret"),
        (["--secret", "base_url=x"], "base_url"),
        (["--set", "nonsense"], "NAME=VALUE"),
    ],
)
def test_settings_that_do_not_fit_are_named(shell, provider, more, told):
    refused = connect(shell, provider, *more)
    assert refused.code == 2
    assert told in refused.err


def test_a_name_is_given_once(pulled, provider):
    assert connect(pulled, provider).code == 2


def test_a_connection_is_changed_and_what_is_not_named_stays(pulled, provider):
    changed = pulled.json("connections set sim --observe")
    assert changed["mode"] == "observe"
    assert changed["settings"] == {"base_url": provider.url, "page_size": 200}
    assert pulled.json("connections set sim --live")["mode"] == "live"
    assert pulled("run sim customers").code in {0, 1}


def test_a_paused_connection_does_not_run_until_it_is_resumed(pulled):
    assert pulled("connections pause sim").code == 0
    refused = pulled("run sim")
    assert refused.code == 2
    assert "resume" in refused.err
    assert pulled("connections resume sim").code == 0
    assert pulled("run sim").code in {0, 1}


def test_a_test_asks_the_provider_who_it_is(pulled):
    (account,) = pulled.json("connections test sim")
    assert account["id"]
    assert account["id"] in pulled("connections test sim").out


def test_a_removed_connection_leaves_its_documents(pulled):
    before = pulled.json("documents list customer --limit 1000")
    assert pulled("connections remove sim").code == 0
    assert pulled.json("connections") == []
    assert pulled.json("documents list customer --limit 1000") == before


@pytest.mark.parametrize("command", ["pause", "resume", "test", "remove", "set --live"])
def test_an_unknown_connection_is_a_usage_error(pulled, command):
    verb, *more = command.split()
    refused = pulled(f"connections {verb} nobody", *more)
    assert refused.code == 2
    assert "nobody" in refused.err
    assert "sim" in refused.err
