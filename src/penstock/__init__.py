"""penstock: records from other people's APIs become versioned canonical documents, exactly once.

    provider API ──▶ upstream ──▶ route (sdk) ──▶ pipeline ──▶ store ──▶ ledger

An author imports from here. A `Connector` declares streams; a collection's mapping, or a route,
turns provider records into payloads of a contract; `ingest` and `sync` hand them over. The
pipeline validates, decides (created, updated, unchanged, stale, rejected) and commits each page
with its checkpoint in one transaction. `penstock run` does it; `penstock documents` shows it.

Names load on first use, so `import penstock` costs nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from penstock.contracts import countries
    from penstock.contracts.payloads import BankAccountPayload, BankTransactionPayload
    from penstock.errors import (
        OutsideRouteError,
        PenstockError,
        RecordRejectedError,
        UpstreamError,
    )
    from penstock.model import money, times
    from penstock.model.connection import Account
    from penstock.sdk import ingest, sync
    from penstock.sdk.connector import Connector
    from penstock.sdk.context import Context
    from penstock.sdk.emit import Emit, Gone
    from penstock.sdk.permissions import Permissions
    from penstock.sdk.request import RouteRequest
    from penstock.sdk.results import (
        CanonicalBatchFailedRecord,
        CanonicalBatchIngestResult,
        CanonicalIngestResult,
    )
    from penstock.sdk.stream import Stream
    from penstock.upstream.auth import ApiKey, Basic, Bearer
    from penstock.upstream.counted import Offset, PageNumber
    from penstock.upstream.graphql import GraphQL
    from penstock.upstream.hmac_signed import HmacSigned
    from penstock.upstream.limits import Limits
    from penstock.upstream.links import LinkHeader, NextUrl
    from penstock.upstream.oauth import OAuth2
    from penstock.upstream.pace import Budget, Rate
    from penstock.upstream.paging import Cursor, SinglePage
    from penstock.upstream.since import Since
    from penstock.upstream.verdict import Fail, Forbidden, Later, Reauth, Restart, Throttled

__all__ = [
    "Account",
    "ApiKey",
    "BankAccountPayload",
    "BankTransactionPayload",
    "Basic",
    "Bearer",
    "Budget",
    "CanonicalBatchFailedRecord",
    "CanonicalBatchIngestResult",
    "CanonicalIngestResult",
    "Connector",
    "Context",
    "Cursor",
    "Emit",
    "Fail",
    "Forbidden",
    "Gone",
    "GraphQL",
    "HmacSigned",
    "Later",
    "Limits",
    "LinkHeader",
    "NextUrl",
    "OAuth2",
    "Offset",
    "OutsideRouteError",
    "PageNumber",
    "PenstockError",
    "Permissions",
    "Rate",
    "Reauth",
    "RecordRejectedError",
    "Restart",
    "RouteRequest",
    "Since",
    "SinglePage",
    "Stream",
    "Throttled",
    "UpstreamError",
    "countries",
    "ingest",
    "money",
    "sync",
    "times",
]

_HOMES = {
    "Account": "penstock.model.connection",
    "ApiKey": "penstock.upstream.auth",
    "BankAccountPayload": "penstock.contracts.payloads",
    "BankTransactionPayload": "penstock.contracts.payloads",
    "Basic": "penstock.upstream.auth",
    "Bearer": "penstock.upstream.auth",
    "Budget": "penstock.upstream.pace",
    "CanonicalBatchFailedRecord": "penstock.sdk.results",
    "CanonicalBatchIngestResult": "penstock.sdk.results",
    "CanonicalIngestResult": "penstock.sdk.results",
    "Connector": "penstock.sdk.connector",
    "Context": "penstock.sdk.context",
    "Cursor": "penstock.upstream.paging",
    "Emit": "penstock.sdk.emit",
    "Fail": "penstock.upstream.verdict",
    "Forbidden": "penstock.upstream.verdict",
    "Gone": "penstock.sdk.emit",
    "HmacSigned": "penstock.upstream.hmac_signed",
    "GraphQL": "penstock.upstream.graphql",
    "Later": "penstock.upstream.verdict",
    "Limits": "penstock.upstream.limits",
    "LinkHeader": "penstock.upstream.links",
    "NextUrl": "penstock.upstream.links",
    "Offset": "penstock.upstream.counted",
    "OAuth2": "penstock.upstream.oauth",
    "OutsideRouteError": "penstock.errors",
    "PageNumber": "penstock.upstream.counted",
    "PenstockError": "penstock.errors",
    "Permissions": "penstock.sdk.permissions",
    "Rate": "penstock.upstream.pace",
    "Reauth": "penstock.upstream.verdict",
    "RecordRejectedError": "penstock.errors",
    "Restart": "penstock.upstream.verdict",
    "RouteRequest": "penstock.sdk.request",
    "Since": "penstock.upstream.since",
    "SinglePage": "penstock.upstream.paging",
    "Stream": "penstock.sdk.stream",
    "Throttled": "penstock.upstream.verdict",
    "UpstreamError": "penstock.errors",
}
_MODULES = {
    "countries": "penstock.contracts.countries",
    "ingest": "penstock.sdk.ingest",
    "money": "penstock.model.money",
    "sync": "penstock.sdk.sync",
    "times": "penstock.model.times",
}


def __getattr__(name: str) -> Any:
    if name in _MODULES:
        found: Any = import_module(_MODULES[name])
    elif name in _HOMES:
        found = getattr(import_module(_HOMES[name]), name)
    else:
        raise AttributeError(f"module 'penstock' has no attribute {name!r}")
    globals()[name] = found
    return found


def __dir__() -> list[str]:
    return sorted(__all__)
