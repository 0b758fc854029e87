"""What a route is called with."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from penstock.model.connection import Account
from penstock.upstream.request import Request, Response

Params = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Http:
    """Requests of a route: paths below base_url, credentials applied behind the door.

    Values of params may be text, numbers, booleans or lists of them; None is left out.
    Errors: UpstreamError for a final 4xx or 5xx (unless its status is in `expect`),
    UpstreamUnavailableError, ParkedError, EgressDeniedError. Let them pass: the platform knows
    what to do.
    """

    door: Callable[[Request], Response]

    def get(
        self,
        path: str,
        *,
        params: Params | None = None,
        headers: Mapping[str, str] | None = None,
        expect: Sequence[int] = (),
    ) -> Response:
        """GET a path; `.json()` of the answer is exact (Decimal for every fraction)."""
        return self.request("GET", path, params=params, headers=headers, expect=expect)

    def post(
        self,
        path: str,
        *,
        json: Any = None,
        params: Params | None = None,
        headers: Mapping[str, str] | None = None,
        safe: bool = False,
        expect: Sequence[int] = (),
    ) -> Response:
        """POST JSON. safe=True: it only reads, so it may be sent again after a fault."""
        return self.request(
            "POST", path, params=params, headers=headers, json=json, safe=safe, expect=expect
        )

    def request(
        self,
        method: str,
        path: str,
        *,
        params: Params | None = None,
        headers: Mapping[str, str] | None = None,
        json: Any = None,
        safe: bool = False,
        expect: Sequence[int] = (),
    ) -> Response:
        """Any method; see get and post."""
        return self.door(
            Request(
                method=method.upper(),
                url=path,
                params=flatten(params or {}),
                headers=tuple((headers or {}).items()),
                json=json,
                safe=safe,
                expect=tuple(expect),
            )
        )


def flatten(params: Params) -> tuple[tuple[str, str], ...]:
    """Query members as text pairs: lists repeat their name, None is left out."""
    pairs: list[tuple[str, str]] = []
    for name, value in params.items():
        values = value if isinstance(value, list | tuple) else [value]
        pairs.extend((name, _text(v)) for v in values if v is not None)
    return tuple(pairs)


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, datetime):
        return value.isoformat().replace("+00:00", "Z")
    return str(value)


@dataclass(frozen=True, slots=True)
class RouteRequest:
    """One call of a route.

    cursor: what the last page returned, None at the start. watermark: everything older is stored
    (lookback taken off), None on a first or full run. from_, to: bounds of a backfill. now: start
    of the run. All datetimes are aware UTC. settings hold no secrets.
    """

    stream: str
    cursor: Any
    watermark: datetime | None
    full: bool
    from_: datetime | None
    to: datetime | None
    now: datetime
    settings: Mapping[str, Any]
    account: Account | None
    facts: Mapping[str, Any]
    http: Http
    log: Callable[[str], None]
