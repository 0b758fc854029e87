"""A connection's settings: every fault is named, and no secret ever is."""

from __future__ import annotations

from typing import Any

import pytest

from penstock.errors import SettingsError
from penstock.sdk import settings
from penstock.sdk.connector import Connector

CANARY = "sk_live_canary"
SCHEMA = {
    "type": "object",
    "required": ["base_url", "api_key"],
    "properties": {
        "base_url": {"type": "string", "format": "uri"},
        "page_size": {"type": "integer", "minimum": 1, "default": 100},
        "api_key": {"type": "string", "x-secret": True, "minLength": 8},
        "hook_key": {"type": "string", "x-secret": True},
    },
}
URL = {"base_url": "https://api.acme.test"}


def connector(schema: dict[str, Any] | None = None) -> Connector:
    return Connector(
        key="acme", name="Acme", provider="acme", version="0.1.0", settings=schema or SCHEMA
    )


def refusal(
    plain: dict[str, Any], secrets: dict[str, str], schema: dict[str, Any] | None = None
) -> str:
    with pytest.raises(SettingsError) as caught:
        settings.check(connector(schema), plain, secrets)
    return caught.value.message


def test_settings_are_checked_and_secrets_kept_apart() -> None:
    checked = settings.check(connector(), URL, {"api_key": CANARY})
    assert checked.plain == {**URL, "page_size": 100}
    assert checked.secrets == {"api_key": CANARY}
    assert CANARY not in repr(checked)
    assert "api_key" in repr(checked)


def test_what_is_given_goes_before_the_default() -> None:
    assert settings.check(connector(), {**URL, "page_size": 5}, {"api_key": CANARY}).plain == {
        **URL,
        "page_size": 5,
    }


def test_every_fault_is_named() -> None:
    message = refusal({"base_url": "no url", "page_size": 0}, {"api_key": CANARY})
    assert "settings of connector acme" in message
    assert "base_url: " in message
    assert "page_size: " in message


def test_a_missing_setting_is_named() -> None:
    assert '"base_url" is a required property' in refusal({}, {"api_key": CANARY})


def test_a_missing_secret_is_named() -> None:
    assert '"api_key" is a required property' in refusal(URL, {})
    assert settings.missing_secrets(connector(), {}) == ("api_key",)
    assert settings.missing_secrets(connector(), {"api_key": CANARY}) == ()


def test_an_unknown_setting_is_refused() -> None:
    assert "'pagesize'" in refusal({**URL, "pagesize": 5}, {"api_key": CANARY})


def test_a_connector_may_leave_its_settings_open() -> None:
    schema = {**SCHEMA, "additionalProperties": True}
    checked = settings.check(connector(schema), {**URL, "extra": 5}, {"api_key": CANARY})
    assert checked.plain["extra"] == 5


def test_a_secret_among_the_plain_settings_is_refused_unshown() -> None:
    message = refusal({**URL, "api_key": CANARY}, {})
    assert "--secret api_key=…" in message
    assert CANARY not in message


def test_a_secret_the_connector_does_not_have() -> None:
    message = refusal(URL, {"api_key": CANARY, "token": CANARY})
    assert "token is no secret of connector acme; its secrets: api_key, hook_key" in message
    assert CANARY not in message


def test_a_secret_that_does_not_fit_is_not_shown() -> None:
    message = refusal(URL, {"api_key": "canary"})
    assert "api_key: this value is shorter than 8 characters" in message
    assert "canary" not in message


def test_a_fault_of_the_whole_shows_no_secret() -> None:
    either = {**SCHEMA, "maxProperties": 1, "anyOf": [{"required": ["hook_key"]}]}
    message = refusal(URL, {"api_key": CANARY}, either)
    assert "this value has more than 1 property" in message
    assert "anyOf" in message
    assert CANARY not in message


def test_a_schema_that_is_none() -> None:
    schema = {"type": "thing", "properties": {}}
    assert "the settings schema itself is not valid" in refusal({}, {}, schema)
