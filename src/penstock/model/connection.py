"""A connection: one configured installation of a connector against one account."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any


class ConnectionMode(StrEnum):
    LIVE = "live"
    OBSERVE = "observe"


class ConnectionState(StrEnum):
    ACTIVE = "active"
    PAUSED = "paused"
    NEEDS_REAUTH = "needs_reauth"
    """Its credentials are lost; only a person can help, by connecting again."""


@dataclass(frozen=True, slots=True)
class Account:
    """What a connection only knows after connecting.

    id: the provider's own name of the account; a re-authorisation that yields another is refused.
    facts: JSON values that requests may use as {facts.name}.
    """

    id: str
    name: str
    currency: str | None = None
    timezone: str | None = None
    facts: dict[str, Any] = field(default_factory=dict)

    def as_json(self) -> dict[str, Any]:
        return {
            "id": self.id,
            "name": self.name,
            "currency": self.currency,
            "timezone": self.timezone,
            "facts": self.facts,
        }


@dataclass(frozen=True, slots=True)
class Connection:
    """target: what `connect` was given (installed key, module:attribute or a file path).

    facts: JSON values that came with its tokens; requests may use them as {facts.name}. reason: why
    it needs somebody, in one sentence.
    """

    workspace: str
    name: str
    target: str
    connector: str
    settings: dict[str, Any]
    account: Account | None
    mode: ConnectionMode
    state: ConnectionState
    allow_loopback: bool
    created_at: int
    facts: dict[str, Any] = field(default_factory=dict)
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class StreamState:
    """One row of the streams table. lease_owner is empty when nobody holds the lease.

    full_at: when the last complete enumeration of everything began. full_wanted_at: when somebody
    last asked for one; it is due while it is later than full_at. notes: what the last complete
    enumeration showed to be doubtful about the cursor, sentences. schedule: the manifest's, as it
    was when next_run_at was reckoned. paused_at: when a person paused the stream. attempts: runs
    begun since one last ended by itself, so that one whose process died is counted. failures: runs
    that failed in a row.
    """

    workspace: str
    connection: str
    stream: str
    partition: str
    cursor: Any
    enumeration: dict[str, Any] | None
    watermark: int | None
    lease_owner: str
    lease_until: int
    epoch: int
    unit_no: int
    state: str
    reason: str | None
    since: int | None
    next_run_at: int | None
    full_at: int | None = None
    full_wanted_at: int | None = None
    notes: tuple[str, ...] = ()
    schedule: str | None = None
    paused_at: int | None = None
    attempts: int = 0
    failures: int = 0
