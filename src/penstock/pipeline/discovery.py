"""Asking a connection whose account it opens; also its test."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from penstock.clock import Clock
from penstock.errors import (
    ConnectorError,
    OutsideRouteError,
    PenstockError,
    RouteFailedError,
    SettingsError,
)
from penstock.model.connection import Account
from penstock.pipeline.letters import record_bytes
from penstock.pipeline.mapping import mapping_error
from penstock.pipeline.reading import Installation
from penstock.sdk.host import entered
from penstock.sdk.request import Door, Http
from penstock.sdk.results import IngestStatus
from penstock.telemetry import event
from penstock.upstream.files import Download
from penstock.upstream.request import Request, Response
from penstock.vault.redaction import Redactor


@dataclass(frozen=True, slots=True)
class DiscoveryHost:
    """The door during discovery: requests and log lines, no ingest."""

    door: Door

    @property
    def redact(self) -> Redactor:
        return self.door.redact

    def send(self, request: Request) -> Response:
        return self.door.send(request)

    def send_many(self, requests: Sequence[Request]) -> list[Response]:
        return self.door.send_many(requests)

    def download(self, request: Request) -> Download:
        return self.door.download(request)

    def status(self) -> IngestStatus:
        return "observed"

    def wake(self, stream: str, *, full: bool) -> None:
        raise OutsideRouteError("a discovery answers Account; streams are woken by routes")

    def log(self, message: str) -> None:
        event("discovery.said", said=self.redact(message)[:1000])

    def ingest(self, stream: str, submissions: Any, *, continue_on_error: bool) -> Any:
        raise OutsideRouteError("a discovery answers Account; records are ingested by routes")

    def ingest_records(self, stream: str, records: Any, *, gone: bool, as_of: int | None) -> Any:
        raise OutsideRouteError("a discovery answers Account; records are ingested by routes")


def discover(installation: Installation, door: Door, clock: Clock) -> list[Account]:
    """The accounts that the connection opens; empty where the connector has no discovery.

    Raises what the requests raise, ConnectorError for another answer than Account.
    """
    function = installation.loaded.connector.discovery
    if function is None:
        return []
    host = DiscoveryHost(door)
    request = installation.request("", Http(host), clock.now(), host.log)
    try:
        with entered(host):
            answer = function(request)
    except PenstockError:
        raise
    except Exception as error:
        told = mapping_error(error).message.replace("the mapping raised", "raised", 1)
        raise RouteFailedError(f"the discovery {host.redact(told)}") from error
    accounts = _accounts(answer)
    for account in accounts:
        _refuse_secrets(account, host.redact)
    return accounts


def the_one(accounts: Sequence[Account], known: Account | None) -> Account | None:
    """The account of a connection. Raises SettingsError for several or another than before."""
    if len(accounts) > 1:
        names = ", ".join(f"{account.id} ({account.name})" for account in accounts[:10])
        raise SettingsError(
            f"these credentials open {len(accounts)} accounts: {names}; say which one in the "
            "settings (see the connector's documentation) and make one connection for each"
        )
    found = accounts[0] if accounts else None
    if known is not None and found is not None and known.id != found.id:
        raise SettingsError(
            f"these credentials open account {found.id} ({found.name}), but the connection belongs "
            f"to {known.id} ({known.name}); make a new connection for the other account"
        )
    return found or known


def _refuse_secrets(account: Account, redact: Redactor) -> None:
    """Facts stand in requests and are shown: hiding a part of one would break it unseen."""
    for name, value in {"name": account.name, **account.facts}.items():
        written = record_bytes(value)
        if redact.data(written) != written:
            raise ConnectorError(
                f"the discovery puts a secret of the connection into {name!r} of its Account, "
                "which is stored and shown openly: leave it out"
            )


def _accounts(answer: Any) -> list[Account]:
    accounts = answer if isinstance(answer, list | tuple) else [answer]
    for account in accounts:
        if not isinstance(account, Account):
            raise ConnectorError(
                f"the discovery returned {type(account).__name__}; return Account(id, name, …) "
                "or a list of them"
            )
    if not accounts:
        raise SettingsError("these credentials open no account at all")
    return list(accounts)
