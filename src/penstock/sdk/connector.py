"""The connector: a manifest, and the routes that serve its streams."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, TypeVar, get_args

from penstock.errors import ConnectorError, UnknownStreamError
from penstock.sdk.collection import (
    Deletes,
    Endpoint,
    IdPath,
    Parents,
    RecordMapping,
    check_children,
    takes_context,
)
from penstock.sdk.declared import Place, caller, of_function
from penstock.sdk.permissions import Permissions
from penstock.sdk.stream import Stream
from penstock.upstream.auth import Auth
from penstock.upstream.limits import USUAL_LIMITS, Limits
from penstock.upstream.oauth import OAuth2
from penstock.upstream.pace import Rate, check_cost, check_name, check_rates
from penstock.upstream.paging import Pager, SinglePage
from penstock.upstream.retry import Judge, StatusRule
from penstock.upstream.since import Since
from penstock.upstream.verdict import VerdictOf

F = TypeVar("F", bound=Callable[..., Any])

KEY = re.compile(r"[a-z][a-z0-9_-]{0,62}")
VERSION = re.compile(r"\d+\.\d+\.\d+([-+.][0-9A-Za-z.-]+)?")


class Connector:
    """Code that knows one provider.

    key: installed name, lower case. provider: prefix of idempotency keys, never to be changed.
    settings: a JSON Schema; members with "x-secret": true are sealed and never shown. auth: one
    scheme, or several applied in order. rate: how fast the provider may be asked, one or several.
    concurrency: how many requests of a connection may be under way at once, over all processes.
    limits: what one answer may take, where the usual is not enough.

    >>> acme = Connector(
    ...     key="acme", name="Acme Billing", provider="acme", version="0.1.0",
    ...     base_url="{settings.base_url}", settings={...}, auth=Bearer(secret="api_key"),
    ...     permissions=Permissions(http=["https://api.acme.test/*"],
    ...                             documents={"customer": ["write"]}),
    ...     streams=[Stream("customers", mode="poll", schedule="*/15 * * * *")])

    verdict: judges every answer first, 2xx included: a function of (response) that returns
    Throttled, Later, Reauth, Forbidden, Restart, Fail or None. statuses: what single statuses mean
    here, {404: "skip", 409: "retry"}: fail, retry, skip (nothing is there) or reauth.

    Raises ConnectorError for what can be seen at once; `penstock check` finds the rest.
    """

    def __init__(
        self,
        *,
        key: str,
        name: str,
        provider: str,
        version: str,
        base_url: str = "",
        settings: Mapping[str, Any] | None = None,
        auth: Auth | Sequence[Auth] = (),
        auth_hosts: Sequence[str] = (),
        permissions: Permissions | None = None,
        streams: Sequence[Stream] = (),
        verdict: VerdictOf | None = None,
        statuses: Mapping[int, StatusRule] | None = None,
        rate: Rate | Sequence[Rate] = (),
        concurrency: int | None = None,
        limits: Limits = USUAL_LIMITS,
    ) -> None:
        _check_manifest(key, provider, version)
        self.key = key
        self.name = name
        self.provider = provider
        self.version = version
        self.base_url = base_url
        self.settings: Mapping[str, Any] = settings or {"type": "object", "properties": {}}
        self.auth: tuple[Auth, ...] = tuple(auth) if isinstance(auth, Sequence) else (auth,)
        self.auth_hosts = tuple(auth_hosts)
        self.oauth = _only_oauth(key, self.auth)
        self.permissions = permissions or Permissions()
        self.streams = _by_key(streams)
        self.judge = Judge(verdict, _checked_statuses(key, statuses or {}))
        self.rates: tuple[Rate, ...] = (rate,) if isinstance(rate, Rate) else tuple(rate)
        self.concurrency = concurrency
        self.limits = limits
        _check_pace(key, self.rates, concurrency, self.streams.values())
        self.place = caller()

        self.mappings: dict[str, RecordMapping] = {}
        self.sync_routes: dict[str, Callable[..., Any]] = {}
        self.backfill_routes: dict[str, Callable[..., Any]] = {}
        self.completions: dict[str, Callable[..., Any]] = {}
        self.webhook_routes: dict[str, Callable[..., Any]] = {}
        self.discovery: Callable[..., Any] | None = None

    def stream(self, key: str) -> Stream:
        """The declared stream. Raises UnknownStreamError naming the ones there are."""
        try:
            return self.streams[key]
        except KeyError:
            known = ", ".join(self.streams) or "none"
            raise UnknownStreamError(
                f"connector {self.key} declares no stream {key!r}; it has: {known}"
            ) from None

    def collection(
        self,
        stream: str,
        *,
        path: str,
        id: IdPath,  # noqa: A002
        document: str,
        method: str = "GET",
        params: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
        json: Any = None,
        safe: bool = False,
        records: str = "",
        pages: Pager | None = None,
        since: Since | None = None,
        rate: str | None = None,
        cost: int = 1,
        expired: Sequence[int | str] = (),
        deletes: Deletes | None = None,
        parent: str | None = None,
        parents: Parents = "all",
        at_once: int = 4,
    ) -> Callable[[F], F]:
        """Declare a collection endpoint; the decorated function maps one record to a payload.

        path: below base_url. records: dotted path to the list in the response, "" for a top-level
        list. id: path (or tuple of paths, or callable) of the record's own name, from which the
        idempotency key {provider}:{document}:{id} is made, for good. rate, cost: the name of the
        rate its requests count against, the stream's without one, and how much of it each takes.

        parent: the key of a stream whose stored documents this list is fetched below, with
        {parent.…} in the path for a member of their payload; parents: "all" in each run or only
        those "changed" since; at_once: how many of them at a time. Each has its own checkpoint.

        expired: statuses, or texts in the body of a 4xx, by which the provider says that it no
        longer knows the place to go on from; the enumeration then begins again from the watermark,
        once a run. deletes: "absent" for a list that simply no longer shows what was deleted: a
        record is gone once two complete enumerations in a row lack it.
        """
        _check_expired(stream, expired)
        if deletes not in (None, *get_args(Deletes)):
            raise ConnectorError(
                f"collection {stream}: deletes={deletes!r} must be 'absent' or None"
            )
        check_name(self.rates, rate)
        check_cost(cost)
        check_children(stream, parent, parents, at_once, deletes)
        endpoint = Endpoint(
            method=method.upper(),
            path=path,
            params=params or {},
            headers=headers or {},
            json=json,
            safe=safe,
            records=records,
            pages=pages or SinglePage(),
            since=since,
            rate=rate,
            cost=cost,
            expired=tuple(expired),
            deletes=deletes,
            parent=parent,
            parents=parents,
            at_once=at_once,
        )
        return self._mapped(stream, document, id, endpoint)

    def mapping(self, stream: str, *, id: IdPath, document: str) -> Callable[[F], F]:  # noqa: A002
        """Declare the mapping alone; a route fetches and calls `ingest.records`."""
        return self._mapped(stream, document, id, None)

    def sync(self, stream: str) -> Callable[[F], F]:
        """Declare the route that polls a stream: a function of (request) returning sync.page."""
        return self._route(self.sync_routes, "sync", stream)

    def backfill(self, stream: str) -> Callable[[F], F]:
        """Declare the route that reads a stream's past between request.from_ and request.to."""
        return self._route(self.backfill_routes, "backfill", stream)

    def webhook(self, stream: str) -> Callable[[F], F]:
        """Declare the route that turns one delivery of a webhook stream into ingest calls."""
        return self._route(self.webhook_routes, "webhook", stream)

    def complete(self, stream: str) -> Callable[[F], F]:
        """Declare what fetches the rest of a listed record: a function of (request, record) that
        returns the whole record, or Gone. Records of `stream` pass it wherever they come from,
        several at once, before their mapping."""
        return self._route(self.completions, "completion", stream)

    def discover(self, function: F) -> F:
        """Declare how the account behind a connection is found; also the connection test."""
        if self.discovery is not None:
            raise _twice(
                function, f"connector {self.key} has a discovery", of_function(self.discovery)
            )
        self.discovery = function
        return function

    def _mapped(
        self, stream: str, document: str, id_path: IdPath, endpoint: Endpoint | None
    ) -> Callable[[F], F]:
        def declare(function: F) -> F:
            place = of_function(function)
            if stream in self.mappings:
                first = self.mappings[stream].place
                raise _twice(function, f"stream {stream} has a mapping", first)
            wants = takes_context(function, place)
            self.mappings[stream] = RecordMapping(
                stream, document, id_path, function, wants, place, endpoint
            )
            return function

        return declare

    def _route(
        self, routes: dict[str, Callable[..., Any]], kind: str, stream: str
    ) -> Callable[[F], F]:
        def declare(function: F) -> F:
            if stream in routes:
                first = of_function(routes[stream])
                raise _twice(function, f"stream {stream} has a {kind} route", first)
            routes[stream] = function
            return function

        return declare

    @property
    def secret_names(self) -> tuple[str, ...]:
        """Names of the settings marked "x-secret"."""
        members = self.settings.get("properties", {})
        return tuple(name for name, member in members.items() if member.get("x-secret"))

    def __repr__(self) -> str:
        return f"Connector({self.key!r}, version={self.version!r}, streams={list(self.streams)})"


def _check_manifest(key: str, provider: str, version: str) -> None:
    for what, value in (("key", key), ("provider", provider)):
        if not isinstance(value, str) or not KEY.fullmatch(value):
            raise ConnectorError(
                f"connector {what} {value!r} must be lower case letters, digits, '_' or '-', "
                "beginning with a letter"
            )
    if not isinstance(version, str) or not VERSION.fullmatch(version):
        raise ConnectorError(f"connector {key}: version {version!r} must look like '0.1.0'")


def _check_pace(
    key: str, rates: Sequence[Rate], concurrency: int | None, streams: Iterable[Stream]
) -> None:
    if not all(isinstance(rate, Rate) for rate in rates):
        raise ConnectorError(f"connector {key}: rate must be a Rate or several, such as Rate(20)")
    check_rates(rates)
    if concurrency is not None and (not isinstance(concurrency, int) or concurrency < 1):
        raise ConnectorError(
            f"connector {key}: concurrency must be a whole number from 1, not {concurrency!r}"
        )
    for stream in streams:
        try:
            check_name(rates, stream.rate)
        except ConnectorError as error:
            place = stream.place
            raise ConnectorError(
                f"stream {stream.key}: {error.message}", file=place.file, line=place.line
            ) from None


def _only_oauth(key: str, auth: Sequence[Auth]) -> OAuth2 | None:
    found = [scheme for scheme in auth if isinstance(scheme, OAuth2)]
    if len(found) > 1:
        raise ConnectorError(f"connector {key}: a connection has one grant; keep one OAuth2")
    return found[0] if found else None


def _checked_statuses(key: str, statuses: Mapping[int, StatusRule]) -> Mapping[int, StatusRule]:
    for status, rule in statuses.items():
        if type(status) is not int or not 100 <= status <= 599:
            raise ConnectorError(f"connector {key}: statuses names {status!r}, no HTTP status")
        if rule not in get_args(StatusRule):
            raise ConnectorError(
                f"connector {key}: statuses[{status}] is {rule!r}; it must be one of "
                f"{', '.join(get_args(StatusRule))}"
            )
    return statuses


def _check_expired(stream: str, expired: Sequence[int | str]) -> None:
    for sign in expired:
        status = type(sign) is int and 400 <= sign < 500
        if not status and not (isinstance(sign, str) and sign.strip()):
            raise ConnectorError(
                f"collection {stream}: expired names {sign!r}; give statuses from 400 to 499 such "
                "as 410, or texts that stand in the body, such as 'sync_token_expired'"
            )


def _twice(function: Callable[..., Any], what: str, first: Place) -> ConnectorError:
    place = of_function(function)
    message = f"{what} already, at {first}; keep one"
    return ConnectorError(message, file=place.file, line=place.line)


def _by_key(streams: Sequence[Stream]) -> dict[str, Stream]:
    by_key: dict[str, Stream] = {}
    for stream in streams:
        if stream.key in by_key:
            raise ConnectorError(
                f"stream {stream.key} is declared twice (first at {by_key[stream.key].place}); "
                "keys are unique in a connector",
                file=stream.place.file,
                line=stream.place.line,
            )
        by_key[stream.key] = stream
    return by_key
