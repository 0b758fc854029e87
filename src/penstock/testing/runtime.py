"""Connector code in a test: real pipeline, real store, no network, and time that stands still.

>>> with connector_runtime(acme, settings={"base_url": "https://api.acme.test"}) as runtime:
...     runtime.respond({"data": [{"id": "cus_1", "display_name": "Ann"}], "next_cursor": None})
...     report = runtime.run("customers")
...     assert report.counters.created == 1
...     assert runtime.documents("customer")[0]["name"] == "Ann"
...     assert runtime.requests[0].path == "/customers"
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import httpx2

from penstock.app import open_store
from penstock.contracts import registry
from penstock.errors import ConnectorError
from penstock.model import times
from penstock.model.connection import Account, Connection, ConnectionMode, ConnectionState
from penstock.pipeline.discovery import discover, the_one
from penstock.pipeline.letters import Postmaster
from penstock.pipeline.pull import Start
from penstock.pipeline.reading import Installation
from penstock.pipeline.route import RouteHost
from penstock.pipeline.stage import Stage
from penstock.sdk import settings as sdk_settings
from penstock.sdk.connector import Connector
from penstock.sdk.host import entered
from penstock.sdk.loader import Loaded, load
from penstock.sdk.request import Http
from penstock.sdk.sync import SyncPage
from penstock.store.roles import Store
from penstock.store.rows import StoredLetter
from penstock.testing.answers import Answer, Answers, Sent
from penstock.testing.clock import MONDAY, ManualClock
from penstock.testing.led import Led
from penstock.upstream import template
from penstock.upstream.auth import Auth, Bearer, Credentials, InTurn
from penstock.upstream.client import Client, Timeouts
from penstock.upstream.guard import Egress, Pattern
from penstock.upstream.oauth import OAuth2
from penstock.upstream.pacing import Pacer, Sharers
from penstock.work.runner import RunReport, StreamRunner
from penstock.work.sources import SourceMaker

WORKSPACE, CONNECTION = "default", "test"
ACCESS_TOKEN = "test-token"
OFFLINE = "(OAuth2)"
"""Names it among the secrets; no setting can be called that."""


@dataclass(frozen=True, slots=True)
class Ingested:
    """What became of one record that a route handed over, before anything is committed.

    payload: the normal form, None for a delete and for a rejected record. reason: why it was
    rejected, None where it was not.
    """

    document_type: str
    key: str | None
    payload: dict[str, Any] | None
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class Call:
    """One call of a route: what it returned, and what it handed over. Nothing was committed.

    woken: streams that `sync.wake` named, each with its `full`.
    """

    page: SyncPage
    ingested: list[Ingested]
    woken: dict[str, bool]

    @property
    def cursor(self) -> Any:
        return self.page.cursor

    @property
    def has_more(self) -> bool:
        return self.page.has_more


class ConnectorRuntime:
    """A connection to nowhere. Made by `connector_runtime`."""

    def __init__(
        self, loaded: Loaded, connection: Connection, secrets: Mapping[str, str], store: Store
    ) -> None:
        self.clock = ManualClock(times.moment(connection.created_at))
        self.logs: list[str] = []

        self._installation = Installation(loaded, connection)
        self._secrets = dict(secrets)
        self._store = store
        self._answers = Answers()
        self._transport: httpx2.BaseTransport = self._answers

    @property
    def requests(self) -> list[Sent]:
        """All requests so far, as they were sent."""
        return self._answers.requests

    def respond(
        self,
        content: Any = b"",
        *,
        status: int = 200,
        headers: Mapping[str, str] | None = None,
        path: str | None = None,
    ) -> None:
        """Queue an answer: bytes, text, or a value sent as JSON. path: only for requests to it."""
        self._answers.queue(Answer.of(content, status, headers), path)

    def replay(self, directory: Path | str) -> int:
        """Answer from recordings made by `penstock record`; how many there are."""
        return self._answers.replay(Path(directory))

    def lead_to(self, url: str) -> None:
        """Send to this provider on loopback from now on, a HostileProvider's `url` for instance,
        whatever host a request is for; queued answers are not looked at any more."""
        self._transport = Led(url, self.clock)

    def discover(self) -> list[Account]:
        """Ask the connector's discovery. One account is this connection's from now on.

        Raises what `penstock connect` would tell.
        """
        with self._client() as client:
            accounts = discover(self._installation, client, self.clock)
        if len(accounts) == 1:
            known = self._installation.connection
            connection = replace(known, account=the_one(accounts, known.account))
            self._installation = replace(self._installation, connection=connection)
        return accounts

    def run(self, stream: str, *, full: bool = False, since: datetime | None = None) -> RunReport:
        """Run a stream to its end, as `penstock run` does; the clock moves on by a minute."""
        with self._client() as client:
            documents = self._store.documents
            sources = SourceMaker(self._installation, client, documents.heads, self.clock)
            runner = StreamRunner(self._store, self._installation, sources, self.clock)
            asked = Start(full=full, since=times.microseconds(since) if since else None)
            report = runner.run(stream, asked, wait_s=0)
        self.clock.advance(60)
        return report

    def call(
        self,
        stream: str,
        *,
        cursor: Any = None,
        watermark: datetime | None = None,
        full: bool = False,
        from_: datetime | None = None,
        to: datetime | None = None,
        partition: Mapping[str, str] | None = None,
    ) -> Call:
        """Call a stream's route once, with this resume point; what it raises is raised.

        from_, to, partition: of a backfill, whose route is called where the stream has one.
        """
        installation = replace(self._installation, partition=partition or {})
        connector = installation.loaded.connector
        live, past = connector.sync_routes.get(stream), connector.backfill_routes.get(stream)
        route = live or past if from_ is None else past or live
        if route is None:
            raise ConnectorError(f"stream {stream} has no route to call; `run` serves collections")
        with self._client() as client:
            host = self._host(stream, client)
            asked = installation.request(
                stream,
                Http(host),
                self.clock.now(),
                self.logs.append,
                cursor=cursor,
                watermark=watermark,
                full=full,
                from_=from_,
                to=to,
            )
            with entered(host):
                page = route(asked)
            host.keep_caught()
        return Call(page, _ingested(host.stage), {w.stream: w.full for w in host.stage.wakes})

    def documents(self, document_type: str) -> list[dict[str, Any]]:
        """Payloads of the live documents, in order of their source ids."""
        contract = registry.contract(document_type)
        return [
            contract.read(content, stored.source_version, stored.source_updated_at)
            for stored, content in self._store.reader.contents(WORKSPACE, document_type)
        ]

    @property
    def dead_letters(self) -> list[StoredLetter]:
        """Open dead letters."""
        return self._store.letters.list(WORKSPACE)

    def checkpoint(self, stream: str) -> tuple[Any, datetime | None]:
        """(cursor, watermark) that the stream's next run starts with."""
        state = self._store.streams.get(WORKSPACE, CONNECTION, stream)
        if state is None:
            return None, None
        mark = state.watermark
        return state.cursor, None if mark is None else times.moment(mark)

    def _client(self) -> Client:
        connector, values = self._installation.loaded.connector, self._installation.values
        settings = self._installation.connection.settings
        texts = {name: value for name, value in settings.items() if isinstance(value, str)}
        secrets = self._secrets | {OFFLINE: ACCESS_TOKEN}
        return Client(
            template.url(connector.base_url, values),
            egress=Egress.of(
                (template.url(p, values) for p in connector.permissions.http), allow_loopback=True
            ),
            clock=self.clock,
            auth=InTurn(tuple(_offline(scheme) for scheme in connector.auth)),
            auth_hosts=tuple(Pattern.parse(template.url(h, values)) for h in connector.auth_hosts),
            credentials=Credentials(secrets, texts),
            judge=connector.judge,
            timeouts=Timeouts(read_s=connector.limits.read_s, total_s=connector.limits.total_s),
            body_bytes=connector.limits.body_bytes,
            pacer=Pacer(
                self._store.pace,
                Sharers(WORKSPACE, CONNECTION, connector.key),
                clock=self.clock,
                rates=connector.rates,
                concurrency=connector.concurrency,
            ),
            transport=self._transport,
        )

    def _host(self, stream: str, client: Client) -> RouteHost:
        return RouteHost(
            self._installation,
            Postmaster(WORKSPACE, CONNECTION, stream),
            client,
            self._store.documents.heads,
            self.clock,
            run_no=0,
            observing=True,
        )


@contextmanager
def connector_runtime(
    connector: Connector | str,
    *,
    settings: Mapping[str, Any] | None = None,
    secrets: Mapping[str, str] | None = None,
    account: Account | None = None,
    facts: Mapping[str, Any] | None = None,
    now: datetime = MONDAY,
) -> Iterator[ConnectorRuntime]:
    """A runtime for a connector, or for the TARGET of one (a path, a key, module:attribute).

    settings: checked as `penstock connect` checks them. secrets: those that are missing are made
    up. facts: what OAuth2(facts=…) would pick from tokens and callback. Raises SettingsError,
    ConnectorError.
    """
    loaded = load(connector) if isinstance(connector, str) else Loaded(connector, "", (), b"test")
    made_up = {name: f"test-{name}" for name in loaded.connector.secret_names}
    checked = sdk_settings.check(loaded.connector, settings or {}, made_up | dict(secrets or {}))
    connection = Connection(
        workspace=WORKSPACE,
        name=CONNECTION,
        target=loaded.target,
        connector=loaded.connector.key,
        settings=checked.plain,
        account=account,
        mode=ConnectionMode.LIVE,
        state=ConnectionState.ACTIVE,
        allow_loopback=True,
        created_at=times.microseconds(now),
        facts=dict(facts or {}),
    )
    with TemporaryDirectory() as folder:
        store = open_store(f"sqlite:///{folder}/penstock.db")
        try:
            yield ConnectorRuntime(loaded, connection, checked.secrets, store)
        finally:
            store.close()


def _offline(scheme: Auth) -> Auth:
    """OAuth without its servers: the token is there already."""
    return Bearer(secret=OFFLINE) if isinstance(scheme, OAuth2) else scheme


def _ingested(stage: Stage) -> list[Ingested]:
    taken = [
        Ingested(c.document_type, c.key, _payload(c.document_type, c.accepted))
        for c in stage.candidates
    ]
    refused = [
        Ingested(letter.document_type, letter.idempotency_key, None, letter.reason)
        for letter in stage.letters
    ]
    return taken + refused


def _payload(document_type: str, accepted: Any) -> dict[str, Any] | None:
    if accepted is None:
        return None
    contract = registry.contract(document_type)
    return contract.read(accepted.content, accepted.source_version, accepted.source_updated_at)


__all__ = ["Call", "ConnectorRuntime", "Ingested", "connector_runtime"]
