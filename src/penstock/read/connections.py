"""A connection as people see it: everything but its secrets, of which only the names show."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from penstock.model.connection import Account, Connection
from penstock.read import notation


@dataclass(frozen=True, slots=True)
class ConnectionView:
    """secrets: the names of the settings that are sealed. facts: what came with its tokens.

    reason: why it needs somebody, None where it does not.
    """

    name: str
    connector: str
    target: str
    mode: str
    state: str
    account: Account | None
    settings: dict[str, Any]
    secrets: tuple[str, ...]
    allow_loopback: bool
    created_at: str | None
    facts: dict[str, Any]
    reason: str | None

    @classmethod
    def of(cls, connection: Connection, secrets: tuple[str, ...] = ()) -> ConnectionView:
        return cls(
            name=connection.name,
            connector=connection.connector,
            target=connection.target,
            mode=connection.mode.value,
            state=connection.state.value,
            account=connection.account,
            settings=connection.settings,
            secrets=secrets,
            allow_loopback=connection.allow_loopback,
            created_at=notation.instant(connection.created_at),
            facts=connection.facts,
            reason=connection.reason,
        )

    def as_json(self) -> dict[str, Any]:
        return notation.members(self)
