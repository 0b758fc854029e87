"""Asking a connection whose account it opens; also its test."""

from __future__ import annotations

from collections.abc import Callable, Sequence
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
from penstock.pipeline.mapping import mapping_error
from penstock.pipeline.reading import Installation
from penstock.sdk.host import entered
from penstock.sdk.request import Http, RouteRequest
from penstock.sdk.results import IngestStatus
from penstock.telemetry import event
from penstock.upstream.request import Request, Response


@dataclass(frozen=True, slots=True)
class DiscoveryHost:
    """The door during discovery: requests and log lines, no ingest."""

    door: Callable[[Request], Response]

    def send(self, request: Request) -> Response:
        return self.door(request)

    def status(self) -> IngestStatus:
        return "observed"

    def log(self, message: str) -> None:
        event("discovery.said", said=message[:1000])

    def ingest(self, stream: str, submissions: Any, *, continue_on_error: bool) -> Any:
        raise OutsideRouteError("a discovery answers Account; records are ingested by routes")

    def ingest_records(self, stream: str, records: Any, *, gone: bool, as_of: int | None) -> Any:
        raise OutsideRouteError("a discovery answers Account; records are ingested by routes")


def discover(
    installation: Installation, send: Callable[[Request], Response], clock: Clock
) -> list[Account]:
    """The accounts that the connection opens; empty where the connector has no discovery.

    Raises what the requests raise, ConnectorError for another answer than Account.
    """
    function = installation.loaded.connector.discovery
    if function is None:
        return []
    host = DiscoveryHost(send)
    connection = installation.connection
    request = RouteRequest(
        stream="",
        cursor=None,
        watermark=None,
        full=False,
        from_=None,
        to=None,
        now=clock.now(),
        settings=connection.settings,
        account=connection.account,
        facts=connection.account.facts if connection.account else {},
        http=Http(host.send),
        log=host.log,
    )
    try:
        with entered(host):
            answer = function(request)
    except PenstockError:
        raise
    except Exception as error:
        told = mapping_error(error).message.replace("the mapping raised", "raised", 1)
        raise RouteFailedError(f"the discovery {told}") from error
    return _accounts(answer)


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
