"""What a route is called with."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Protocol

from penstock.model.connection import Account
from penstock.upstream.files import Download
from penstock.upstream.pace import check_cost
from penstock.upstream.request import Request, Response
from penstock.vault.redaction import Redactor

Params = Mapping[str, Any]


class Door(Protocol):
    """What stands behind a route's requests. redact: takes the connection's secrets out of a
    text."""

    @property
    def redact(self) -> Redactor: ...

    def send(self, request: Request) -> Response: ...

    def send_many(self, requests: Sequence[Request]) -> list[Response]: ...

    def download(self, request: Request) -> Download: ...


@dataclass(frozen=True, slots=True)
class Http:
    """Requests of a route: paths below base_url, credentials applied behind the door.

    Values of params may be text, numbers, booleans or lists of them; None is left out. rate, cost:
    the name of the connector's rate that a request counts against, and how much of it.
    Errors: UpstreamError for a final 4xx or 5xx (unless its status is in `expect`),
    UpstreamUnavailableError, ParkedError, EgressDeniedError. Let them pass: the platform knows
    what to do.
    """

    door: Door

    def get(
        self,
        path: str,
        *,
        params: Params | None = None,
        headers: Mapping[str, str] | None = None,
        expect: Sequence[int] = (),
        rate: str | None = None,
        cost: int = 1,
    ) -> Response:
        """GET a path; `.json()` of the answer is exact (Decimal for every fraction)."""
        return self.request(
            "GET", path, params=params, headers=headers, expect=expect, rate=rate, cost=cost
        )

    def post(
        self,
        path: str,
        *,
        json: Any = None,
        params: Params | None = None,
        headers: Mapping[str, str] | None = None,
        safe: bool = False,
        expect: Sequence[int] = (),
        rate: str | None = None,
        cost: int = 1,
    ) -> Response:
        """POST JSON. safe=True: it only reads, so it may be sent again after a fault."""
        return self.request(
            "POST",
            path,
            params=params,
            headers=headers,
            json=json,
            safe=safe,
            expect=expect,
            rate=rate,
            cost=cost,
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
        rate: str | None = None,
        cost: int = 1,
    ) -> Response:
        """Any method; see get and post. Raises ConnectorError for a cost that is none."""
        check_cost(cost)
        return self.door.send(
            Request(
                method=method.upper(),
                url=path,
                params=flatten(params or {}),
                headers=tuple((headers or {}).items()),
                json=json,
                safe=safe,
                expect=tuple(expect),
                rate=rate,
                cost=cost,
            )
        )

    def get_many(
        self,
        paths: Sequence[str],
        *,
        params: Params | None = None,
        headers: Mapping[str, str] | None = None,
        expect: Sequence[int] = (),
        rate: str | None = None,
        cost: int = 1,
    ) -> list[Response]:
        """GET several paths, some of them at once within the pace; answers in the paths' order."""
        check_cost(cost)
        return self.door.send_many(
            [
                Request(
                    "GET",
                    path,
                    flatten(params or {}),
                    tuple((headers or {}).items()),
                    expect=tuple(expect),
                    rate=rate,
                    cost=cost,
                )
                for path in paths
            ]
        )

    def stream(
        self,
        path: str,
        *,
        params: Params | None = None,
        headers: Mapping[str, str] | None = None,
        rate: str | None = None,
        cost: int = 1,
    ) -> Download:
        """GET a file: whole on disk before its first record, then read with flat memory.

        >>> for row in request.http.stream("/exports/7.csv.gz").csv():
        ...     ...
        """
        check_cost(cost)
        return self.door.download(
            Request(
                "GET",
                path,
                flatten(params or {}),
                tuple((headers or {}).items()),
                rate=rate,
                cost=cost,
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
    (lookback taken off), None on a first or full run. from_, to: bounds of a backfill's slice, the
    upper one exclusive; partition: what else it is limited to (`--partition region=eu`). now: start
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
    partition: Mapping[str, str] = field(default_factory=dict)
