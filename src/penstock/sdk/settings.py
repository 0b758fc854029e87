"""A connection's settings: checked against the connector's JSON Schema, secrets kept apart."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from penstock.errors import SettingsError
from penstock.sdk.connector import Connector

MASK = "this value"


@dataclass(frozen=True, slots=True)
class Settings:
    """Checked settings. plain: may be shown; secrets: to be sealed, never shown."""

    plain: dict[str, Any]
    secrets: dict[str, str]

    def __repr__(self) -> str:
        return f"Settings({self.plain!r}, secrets={sorted(self.secrets)})"


def check(connector: Connector, plain: Mapping[str, Any], secrets: Mapping[str, str]) -> Settings:
    """Validate against the schema. Raises SettingsError naming every fault and no secret value."""
    secret_names = set(connector.secret_names)
    if misplaced := sorted(secret_names & set(plain)):
        raise SettingsError(
            f"{misplaced[0]} is a secret of connector {connector.key}; give it with "
            f"--secret {misplaced[0]}=…, so that it is sealed"
        )
    if unknown := sorted(set(secrets) - secret_names):
        known = ", ".join(sorted(secret_names)) or "none"
        raise SettingsError(
            f"{unknown[0]} is no secret of connector {connector.key}; its secrets: {known}"
        )
    plain = {**_defaults(connector), **plain}
    faults = _faults(connector.settings, {**plain, **secrets})
    if faults:
        raise SettingsError(f"settings of connector {connector.key}: " + "; ".join(faults))
    return Settings(dict(plain), dict(secrets))


def _defaults(connector: Connector) -> dict[str, Any]:
    """Defaults of the schema; stored with the connection, so a changed one does not move it."""
    members = connector.settings.get("properties", {})
    return {name: member["default"] for name, member in members.items() if "default" in member}


def missing_secrets(connector: Connector, given: Mapping[str, Any]) -> tuple[str, ...]:
    """Required secrets that were not given, in the schema's order."""
    required = connector.settings.get("required", ())
    return tuple(n for n in connector.secret_names if n in required and n not in given)


def _faults(schema: Mapping[str, Any], value: dict[str, Any]) -> list[str]:
    """What does not fit, by name. Values are masked: what is said of a whole would show secrets."""
    import jsonschema_rs

    closed = {"additionalProperties": False, **schema}
    try:
        validator = jsonschema_rs.validator_for(closed, validate_formats=True, mask=MASK)
    except (jsonschema_rs.ValidationError, ValueError) as error:
        raise SettingsError(f"the settings schema itself is not valid: {error}") from error
    return [
        f"{_name(error.instance_path)}: {_told(error)}" for error in validator.iter_errors(value)
    ]


def _name(path: Any) -> str:
    return ".".join(str(part) for part in path) or "settings"


def _told(error: Any) -> str:
    text = str(error.message)
    return text if len(text) <= 200 else text[:197] + "..."
