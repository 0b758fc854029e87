"""Settings and secrets as given: types by the schema, secrets from files and the environment."""

from __future__ import annotations

import pytest

from penstock.cli import given
from penstock.errors import SettingsError, UsageError

SCHEMA = {
    "properties": {
        "base_url": {"type": "string"},
        "page_size": {"type": "integer"},
        "sandbox": {"type": "boolean"},
        "regions": {"type": "array"},
        "note": {"type": ["string", "null"]},
    }
}


def test_values_take_the_type_that_the_schema_names():
    assert given.settings(
        ["base_url=https://a.test/?x=1", "page_size=200", "sandbox=true", 'regions=["eu"]'], SCHEMA
    ) == {
        "base_url": "https://a.test/?x=1",
        "page_size": 200,
        "sandbox": True,
        "regions": ["eu"],
    }


def test_text_that_looks_like_a_number_stays_text_in_a_string_setting():
    assert given.settings(["base_url=0123"], SCHEMA) == {"base_url": "0123"}


def test_a_setting_that_may_be_text_or_null_takes_both():
    assert given.settings(["note=null"], SCHEMA) == {"note": None}
    assert given.settings(["note=see below"], SCHEMA) == {"note": "see below"}


def test_a_setting_the_schema_does_not_know_stays_text_and_is_refused_by_the_schema_later():
    assert given.settings(["colour=7"], SCHEMA) == {"colour": "7"}


def test_text_for_a_number_is_refused_by_name():
    with pytest.raises(SettingsError, match="page_size"):
        given.settings(["page_size=many"], SCHEMA)


@pytest.mark.parametrize("pair", ["page_size", "=200", ""])
def test_a_pair_without_name_or_equals_sign_is_refused(pair):
    with pytest.raises(UsageError, match="NAME=VALUE"):
        given.settings([pair], SCHEMA)


def test_a_secret_comes_from_the_line_a_file_or_the_environment(tmp_path):
    file = tmp_path / "key"
    file.write_text("from-file\n")
    assert given.secrets(
        ["a=plain=with=equals", f"b=@{file}", "c=env:ACME_KEY"],
        environment={"ACME_KEY": "from-environment"},
    ) == {"a": "plain=with=equals", "b": "from-file", "c": "from-environment"}


def test_a_secret_file_that_cannot_be_read_is_named(tmp_path):
    with pytest.raises(UsageError, match="no-such-file"):
        given.secrets([f"key=@{tmp_path}/no-such-file"])


def test_a_variable_that_is_not_set_is_named():
    with pytest.raises(UsageError, match="ACME_KEY"):
        given.secrets(["key=env:ACME_KEY"], environment={})


def test_a_pair_without_equals_sign_does_not_show_what_may_be_a_secret():
    with pytest.raises(UsageError) as caught:
        given.secrets(["hunter2"])
    assert "hunter2" not in caught.value.message


def test_without_a_terminal_a_missing_secret_is_a_usage_error_that_says_how(monkeypatch):
    monkeypatch.setattr("sys.stdin.isatty", lambda: False, raising=False)
    with pytest.raises(UsageError, match="--secret api_key="):
        given.asked(["api_key"])


def test_nothing_is_asked_when_nothing_is_missing():
    assert given.asked([]) == {}
