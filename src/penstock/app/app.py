"""The composition root: the only place that names concrete parts and wires them.

>>> with App.open(config.load({})) as app:
...     app.connect("acme", "acme-main", {"base_url": "https://api.acme.test"}, {"api_key": "…"})
...     reports = app.run("acme-main")
"""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any

import msgspec

from penstock.app import deriving
from penstock.app.backing_up import Backup, back_up
from penstock.app.wiring import Say, Wiring, keep_views, open_store, open_vault
from penstock.clock import Clock, SharedClock, SystemClock
from penstock.config import Settings
from penstock.errors import (
    DatabaseError,
    NeedsReauthError,
    StopRunError,
    StoreUnavailableError,
    UsageError,
)
from penstock.model import times
from penstock.model.connection import Account, Connection, ConnectionMode, ConnectionState
from penstock.model.pace import Priority
from penstock.model.standing import Condition, Standing
from penstock.model.token import TOKENS
from penstock.pipeline.derivation import Deriver
from penstock.pipeline.discovery import discover, the_one
from penstock.pipeline.pull import Progress, Start
from penstock.pipeline.reading import Installation
from penstock.pipeline.replay import Replayer
from penstock.pipeline.unit import UnitWriter
from penstock.read.health import Health
from penstock.read.pulse import Vantage
from penstock.read.service import ReadService
from penstock.sdk import loader, verify
from penstock.sdk import settings as sdk_settings
from penstock.sdk.connector import Connector
from penstock.sdk.verify import Finding
from penstock.store.roles import Store
from penstock.telemetry import event
from penstock.upstream.client import Client
from penstock.upstream.consent import Callback
from penstock.upstream.grant import Grant, OwnTokens
from penstock.upstream.granting import Granted, granted
from penstock.upstream.guard import Egress
from penstock.upstream.probe.probe import Findings
from penstock.upstream.recording import RecordedEnoughError
from penstock.vault.rotation import Rotated
from penstock.vault.vault import Vault
from penstock.work import replaying
from penstock.work.backfilling import PartitionRunner
from penstock.work.owner import Owner, names_the_dead
from penstock.work.probing import probe_stream, probe_url
from penstock.work.rederiving import SPAN, Rederiver, RederiveReport
from penstock.work.replaying import ReplayReport
from penstock.work.runner import RunReport, StreamRunner
from penstock.work.sources import SourceMaker, polls
from penstock.work.stop import Stop
from penstock.work.team import Alone, OnDask, Processes, Team

__all__ = [
    "App",
    "Finding",
    "Findings",
    "Progress",
    "RederiveReport",
    "ReplayReport",
    "RunReport",
    "check",
]


def check(target: str) -> list[Finding]:
    """What is wrong with a connector, without a database and without a network."""
    return verify.check(target)


@dataclass(frozen=True, slots=True)
class App:
    """penstock on one database and one workspace."""

    settings: Settings
    store: Store
    vault: Vault
    read: ReadService
    clock: Clock
    wiring: Wiring

    @classmethod
    def open(cls, settings: Settings, *, say: Say | None = None, clock: Clock | None = None) -> App:
        """Open the database, made when missing. say: sentences for a person.

        Raises UsageError, DatabaseError, SecretError, StoreUnavailableError.
        """
        store = open_store(settings.database)
        try:
            clock = clock or SharedClock(store.ahead)
            vault = open_vault(settings, store, clock, say or _silent)
            read = ReadService(store, settings.workspace)
            wiring = Wiring(settings, store, vault, clock)
            _keep_views(store)
            return cls(settings, store, vault, read, clock, wiring)
        except BaseException:
            store.close()
            raise

    def close(self) -> None:
        self.store.close()

    def __enter__(self) -> App:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def check(self, target: str) -> list[Finding]:
        return check(target)

    def connector(self, target: str) -> Connector:
        """The connector behind a target. Raises ConnectorError."""
        return loader.load(target).connector

    def connect(
        self,
        target: str,
        name: str,
        settings: Mapping[str, Any],
        secrets: Mapping[str, str],
        *,
        observe: bool = False,
        allow_loopback: bool = False,
        callback: Callback | None = None,
    ) -> Connection:
        """Make a connection: settings checked, tokens granted, account discovered, secrets sealed.

        One that is there already is authorised again, where OAuth or a lost access asks for it;
        what is not given stays. callback: where a person's consent comes back to.
        Raises UsageError for a taken or malformed name, SettingsError (for another account, too),
        ConnectorError, and what granting and discovery raise; then nothing is stored.
        """
        _check_name(name)
        loaded = loader.load(target)
        before = self.store.connections.get(self.settings.workspace, name)
        if before is not None:
            before = replace(before, target=_lasting(target))
            return self._connect_again(loaded, before, settings, secrets, callback)
        connection = Connection(
            workspace=self.settings.workspace,
            name=name,
            target=_lasting(target),
            connector=loaded.connector.key,
            settings={},
            account=None,
            mode=ConnectionMode.OBSERVE if observe else ConnectionMode.LIVE,
            state=ConnectionState.ACTIVE,
            allow_loopback=allow_loopback,
            created_at=self._now(),
        )
        asked = _asks_for_tokens(loaded.connector, secrets, connecting=True)
        return self._save(loaded, connection, settings, secrets, asked, callback)

    def reconfigure(
        self,
        name: str,
        settings: Mapping[str, Any],
        secrets: Mapping[str, str],
        *,
        mode: ConnectionMode | None = None,
    ) -> Connection:
        """Change some settings or secrets of a connection; the others stay. Raises as `connect`."""
        installation = self.wiring.installation(name)
        connection = installation.connection
        if mode is not None:
            connection = replace(connection, mode=mode)
        asked = _asks_for_tokens(installation.loaded.connector, secrets, connecting=False)
        if (asked or secrets) and connection.state is ConnectionState.NEEDS_REAUTH:
            connection = replace(connection, state=ConnectionState.ACTIVE, reason=None)
        merged = {**connection.settings, **settings}
        kept = self.wiring.secrets(name, replaced=secrets)
        return self._save(installation.loaded, connection, merged, {**kept, **secrets}, asked)

    def rotate_secrets(self, *, master: bool = False) -> Rotated:
        """New data key for the workspace; or with `master` all data keys under a new master key.

        An interrupted rotation is finished. Raises SecretError, UsageError.
        """
        if master:
            return self.vault.rotate_master_key()
        return self.vault.rotate_data_key(self.settings.workspace)

    def test(self, name: str) -> list[Account]:
        """Run the discovery again. Raises what its requests raise; SettingsError for another
        account than the connection belongs to."""
        installation = self.wiring.installation(name)
        with self.wiring.client(installation, self.wiring.secrets(name)) as client:
            accounts = discover(installation, client, self.clock)
        the_one(accounts, installation.connection.account)
        return accounts

    def probe(self, name: str, stream: str) -> Findings:
        """Look at two pages of a connection's stream; nothing is stored.

        Raises UsageError where a route fetches it, PageRefusedError where no listing comes, and
        what the requests raise.
        """
        installation = self.wiring.installation(name)
        with self.wiring.client(installation, self.wiring.secrets(name)) as client:
            return probe_stream(installation, stream, client.send)

    def probe_connector(
        self,
        target: str,
        stream: str,
        settings: Mapping[str, Any],
        secrets: Mapping[str, str],
        *,
        allow_loopback: bool = False,
    ) -> Findings:
        """The same without a connection. Raises UsageError where one is needed, for OAuth."""
        loaded = loader.load(target)
        if loaded.connector.oauth:
            raise UsageError(
                f"{loaded.connector.key} asks for consent: connect it, then probe the connection"
            )
        checked = sdk_settings.check(loaded.connector, settings, secrets)
        connection = Connection(
            workspace=self.settings.workspace,
            name=loaded.connector.key,
            target=target,
            connector=loaded.connector.key,
            settings=checked.plain,
            account=None,
            mode=ConnectionMode.OBSERVE,
            state=ConnectionState.ACTIVE,
            allow_loopback=allow_loopback,
            created_at=self._now(),
        )
        installation = Installation(loaded, connection)
        with self.wiring.client(installation, checked.secrets) as client:
            return probe_stream(installation, stream, client.send)

    def probe_url(
        self,
        url: str,
        headers: Mapping[str, str],
        secrets: Mapping[str, str],
        *,
        allow_loopback: bool = False,
    ) -> Findings:
        """The same for any URL. headers and its query may name secrets, as in "Bearer {key}"."""

        def egress_of(patterns: list[str]) -> Egress:
            return self.wiring.egress_to(patterns, allow_loopback=allow_loopback)

        return probe_url(url, headers, secrets, egress_of, self.clock)

    def run(
        self,
        name: str,
        streams: Sequence[str] = (),
        *,
        full: bool = False,
        since: datetime | None = None,
        wait_s: float = 60.0,
        progress: Callable[[Progress], None] | None = None,
    ) -> list[RunReport]:
        """Run streams of a connection, all its polls when none is named, one after the other.

        One that fails, or that a living worker holds for longer than `wait_s` seconds, says so in
        its report, and the others run. Raises MendError for what a person must change first.
        """
        installation = self.wiring.installation(name)
        check_runs(installation.connection)
        keys = [self._polled(installation, stream) for stream in streams]
        keys = keys or polls(installation.loaded.connector)
        start = Start(full=full, since=times.microseconds(since) if since else None)
        priority = Priority.BACKFILL if full else Priority.POLL
        with self.wiring.client(installation, self.wiring.secrets(name), priority) as client:
            runner = self._runner(installation, client)
            return [runner.run(key, start, wait_s=wait_s, progress=progress) for key in keys]

    def run_due(self, name: str, stream: str, stop: Stop) -> RunReport | None:
        """Run a stream that the agenda calls due; None where it is not, or is another's to run.

        It ends at a page once the stop is asked for. Raises MendError for what a person must change
        first.
        """
        installation = self.wiring.installation(name)
        with self.wiring.client(installation, self.wiring.secrets(name), Priority.POLL) as client:
            runner = replace(self._runner(installation, client), between_pages=stop.between_pages)
            return runner.run_due(stream)

    def health(self) -> Health:
        """How the database stands, and who lives on it, seen from this process."""
        is_dead = partial(names_the_dead, here=Owner.of_this_process())
        ahead = self.store.ahead(SystemClock().now)
        return self.read.health(Vantage(self._now(), ahead.total_seconds(), is_dead))

    def backup(self, file: Path) -> Backup:
        """Copy the database to a new file while others write. Raises UsageError, DatabaseError."""
        return back_up(self.store, self.settings, file)

    @contextmanager
    def partitions(
        self, name: str, stop: Stop, crowded: Callable[[], bool] = lambda: False
    ) -> Iterator[PartitionRunner]:
        """What pulls partitions of a connection's backfills: behind its streams in the shared pace,
        in any number of threads. crowded: see `PartitionRunner`. Raises MendError for what a person
        must change first."""
        installation = self.wiring.installation(name)
        check_backfills(installation.connection)
        secrets = self.wiring.secrets(name)
        with self.wiring.client(installation, secrets, Priority.BACKFILL) as client:
            yield PartitionRunner(self._runner(installation, client), stop, crowded)

    def pause_stream(self, name: str, stream: str) -> bool:
        """No run by itself until it is resumed; False where it is paused already. Raises UsageError
        for an unknown connection, UnknownStreamError."""
        return self.store.agenda.pause(*self._stream(name, stream), now=self._now())

    def resume_stream(self, name: str, stream: str) -> bool:
        """Due at once, and by its schedule from then on; False where it is not paused. Raises as
        `pause_stream`."""
        return self.store.agenda.resume(*self._stream(name, stream), now=self._now())

    def run_now(self, name: str, stream: str) -> bool:
        """Due at once, for whoever serves this database; False where it is paused. Raises as
        `pause_stream`, for what is no poll, and for a connection that runs nothing."""
        place = self._stream(name, stream)
        installation = self.wiring.installation(name)
        self._polled(installation, stream)
        check_runs(installation.connection)
        return self.store.agenda.wake(*place, now=self._now())

    def confirm_deletes(self, name: str, stream: str, *, wait_s: float = 60.0) -> RunReport:
        """Make the deletes of a stream that wait for a person; those that came back stay.

        Raises UsageError where none wait, and MendError for what must be changed first.
        """
        installation = self.wiring.installation(name)
        if all(waiting.stream != stream for waiting in self.read.deletes(name)):
            raise UsageError(
                f"no deletes of {name} {stream} wait to be confirmed; `penstock deletes` lists "
                "what does"
            )
        with self.wiring.client(installation, self.wiring.secrets(name), Priority.POLL) as client:
            runner = self._runner(installation, client)
            return runner.run(stream, Start(confirmed=True), wait_s=wait_s)

    def record(
        self, name: str, stream: str, directory: Path, *, hide: Sequence[str] = (), limit: int = 50
    ) -> list[Path]:
        """Pull a stream and write its exchanges down, without secrets; nothing else is stored.

        hide: names of JSON members whose values are replaced. limit: exchanges at most. The files
        written. Raises UsageError for a folder that holds something already, and what stops a run.
        """
        installation = self.wiring.installation(name)
        key = self._polled(installation, stream)
        directory.mkdir(parents=True, exist_ok=True)
        if any(directory.iterdir()):
            raise UsageError(f"{directory} holds files already; give a new folder")
        with self.wiring.client(installation, self.wiring.secrets(name)) as client:
            recorder = client.record(directory, hide=frozenset(hide), limit=limit)
            runner = replace(self._runner(installation, client), observing=True)
            report = runner.run(key, Start(full=True), wait_s=60.0)
        if report.failed and report.reason != RecordedEnoughError.code:
            raise StopRunError(f"{report.message} ({len(recorder.written)} exchanges are recorded)")
        return recorder.written

    def replay(
        self,
        *,
        letter: bytes | None = None,
        stream: str | None = None,
        connection: str | None = None,
        reason: str | None = None,
        progress: Callable[[Progress], None] | None = None,
    ) -> ReplayReport:
        """Run today's mapping and contract over stored dead letters.

        Without any choice all open letters of the workspace are tried. Raises UsageError for an
        unknown letter.
        """
        letters = replaying.choose(
            self.store, self.settings.workspace, letter, connection, stream, reason
        )
        return replaying.run(self.store, letters, self._replayer, self.clock, progress)

    def rederive(
        self,
        name: str,
        stream: str,
        *,
        dry_run: bool,
        processes: int | None = None,
        scheduler: str | None = None,
        wait_s: float = 60.0,
        progress: Callable[[Progress], None] | None = None,
    ) -> RederiveReport:
        """Run today's mapping and contract over a stream's archived records; the provider is not
        asked. dry_run: only show what differs; else it is written as new versions.

        processes: how many derive at once, as many as there are cores unless told. scheduler: the
        address of a Dask scheduler, whose workers do it. Raises UsageError, what a connector must
        mend, StreamBusyError, and what ends a run.
        """
        installation = self.wiring.installation(name)
        installation.loaded.connector.stream(stream)
        if not dry_run and installation.connection.mode is ConnectionMode.OBSERVE:
            raise UsageError(f"{name} observes, and nothing of it is stored; add --dry-run")
        team = self._team(installation, stream, processes, scheduler, keeps=not dry_run)
        try:
            rederiver = Rederiver(self.store, installation, stream, team, self.clock, progress)
            return rederiver.preview() if dry_run else rederiver.apply(wait_s=wait_s)
        finally:
            team.close()

    def _team(
        self,
        installation: Installation,
        stream: str,
        processes: int | None,
        scheduler: str | None,
        *,
        keeps: bool,
    ) -> Team:
        """Small stores are not worth the start of a process."""
        loaded = installation.loaded
        task = partial(
            deriving.derive,
            deriving.Assignment(
                database=self.settings.database,
                connection=msgspec.json.encode(installation.connection),
                target=loaded.target,
                code=loaded.code,
                stream=stream,
                path=tuple(sys.path),
                keeps=keeps,
            ),
        )
        if scheduler is not None:
            return OnDask(task, scheduler)
        size = os.cpu_count() or 1 if processes is None else processes
        if size > 1 and (processes is not None or self.store.archive.last() > SPAN):
            return Processes(task, size)
        archive, documents = self.store.archive, self.store.documents
        return Alone(Deriver(installation, stream, archive, documents, self.clock, keeps=keeps))

    def _runner(self, installation: Installation, client: Client) -> StreamRunner:
        heads_of, beside = self.store.documents.heads, self.settings.reads_beside
        return StreamRunner(
            store=self.store,
            installation=installation,
            make_source=SourceMaker(installation, client, heads_of, self.clock, beside),
            clock=self.clock,
            observing=installation.connection.mode is ConnectionMode.OBSERVE,
            redact=client.redact,
        )

    def _replayer(self, name: str) -> Replayer:
        writer = UnitWriter(self.store.documents, self.store.documents.commit)
        return Replayer(self.wiring.installation(name), writer, self.clock)

    def _connect_again(
        self,
        loaded: loader.Loaded,
        before: Connection,
        settings: Mapping[str, Any],
        secrets: Mapping[str, str],
        callback: Callback | None,
    ) -> Connection:
        name, lost = before.name, before.state is ConnectionState.NEEDS_REAUTH
        if loaded.connector.key != before.connector or not (loaded.connector.oauth or lost):
            raise UsageError(
                f"connection {name} of connector {before.connector} exists; change it with "
                f"`penstock connections set {name}`, or choose another --name"
            )
        if lost:
            before = replace(before, state=ConnectionState.ACTIVE, reason=None)
        if missing := sorted(spent_secrets(loaded.connector) - set(secrets)) if lost else ():
            raise UsageError(f"{name} needs a new one: --secret {missing[0]}=…")
        merged = {**before.settings, **settings}
        kept = self.wiring.secrets(name, replaced=secrets)
        asked = _asks_for_tokens(loaded.connector, secrets, connecting=True)
        return self._save(loaded, before, merged, {**kept, **secrets}, asked, callback)

    def _save(
        self,
        loaded: loader.Loaded,
        connection: Connection,
        settings: Mapping[str, Any],
        secrets: Mapping[str, str],
        asks_for_tokens: bool,
        callback: Callback | None = None,
    ) -> Connection:
        checked = sdk_settings.check(loaded.connector, settings, secrets)
        connection = replace(connection, settings=checked.plain)
        own: OwnTokens | None = None
        if asks_for_tokens:
            given = self._granted(Installation(loaded, connection), checked.secrets, callback)
            connection = replace(connection, facts={**connection.facts, **given.facts})
            own = OwnTokens(Grant(1, given.pair))
        installation = Installation(loaded, connection)
        with self.wiring.client(installation, checked.secrets, tokens=own) as client:
            accounts = discover(installation, client, self.clock)
        account = the_one(accounts, connection.account)
        connection = replace(connection, account=account)
        sealed = {
            field: self.wiring.seal(connection, field, value)
            for field, value in checked.secrets.items()
        }
        pair = own.grant.pair if own else None
        tokens = self.wiring.seal(connection, TOKENS, pair.as_text()) if pair else None
        self.store.connections.save(connection, sealed, tokens=tokens, now=self._now())
        self._wake_lost_streams(connection)
        return connection

    def _wake_lost_streams(self, connection: Connection) -> None:
        """Streams that stood still for want of good credentials are due."""
        now = self._now()
        due = Standing(Condition.PARKED, "the connection is authorised again: due now", now)
        for row in self.store.streams.list(connection.workspace, connection.name):
            if row.state == Condition.NEEDS_REAUTH and not row.partition:
                place = (row.workspace, row.connection, row.stream)
                self.store.streams.set_standing(*place, due, now=now)

    def _granted(
        self,
        installation: Installation,
        secrets: Mapping[str, str],
        callback: Callback | None,
    ) -> Granted:
        """The connection's first tokens, asked for before anything that needs them."""
        oauth = installation.loaded.connector.oauth
        assert oauth is not None  # only then are tokens asked for
        credentials = self.wiring.credentials(installation, secrets, OwnTokens())
        egress = self.wiring.egress(installation)
        with Client("", egress=egress, clock=self.clock, credentials=credentials) as client:
            return granted(oauth, credentials, client.ask_for_tokens, callback)

    def _stream(self, name: str, stream: str) -> tuple[str, str, str]:
        """The stream's place, once it is certain that there is one."""
        self.wiring.installation(name).loaded.connector.stream(stream)
        return (self.settings.workspace, name, stream)

    def _polled(self, installation: Installation, stream: str) -> str:
        connector = installation.loaded.connector
        if connector.stream(stream).mode != "poll":
            raise UsageError(
                f"stream {stream} of {connector.key} is a {connector.stream(stream).mode} stream; "
                f"`run` pulls polls: {', '.join(polls(connector)) or 'this connector has none'}"
            )
        return stream

    def _now(self) -> int:
        return times.microseconds(self.clock.now())


def check_runs(connection: Connection) -> None:
    """Raises UsageError or NeedsReauthError where nothing of the connection may run now."""
    name = connection.name
    if connection.state is ConnectionState.PAUSED:
        raise UsageError(f"connection {name} is paused; `penstock connections resume {name}` first")
    if connection.state is ConnectionState.NEEDS_REAUTH:
        raise NeedsReauthError(connection.reason or f"{name} must be connected again")


def check_backfills(connection: Connection) -> None:
    """The same for backfills, which would pull and store nothing where a connection observes."""
    check_runs(connection)
    if connection.mode is ConnectionMode.OBSERVE:
        raise UsageError(
            f"connection {connection.name} observes, and a backfill would store nothing; "
            f"`penstock connections set {connection.name} --live` first"
        )


def spent_secrets(connector: Connector) -> set[str]:
    """Names of secrets that are good for one connecting: a refresh token, once it has been used."""
    oauth = connector.oauth
    return {oauth.refresh_token} if oauth and oauth.grant == "refresh_token" else set()


def _asks_for_tokens(connector: Connector, secrets: Mapping[str, str], *, connecting: bool) -> bool:
    """Whether tokens are granted anew: a person is asked only when connecting, and a refresh token
    is used only as it is given, for the stored one may have been used."""
    if connector.oauth is None:
        return False
    if spent := spent_secrets(connector):
        return spent <= set(secrets)
    return connecting or not connector.oauth.asks_a_person


def _keep_views(store: Store) -> None:
    """Views are for other programs: where they cannot be renewed, the old ones must do."""
    try:
        keep_views(store)
    except (DatabaseError, StoreUnavailableError) as error:
        event("views.outdated", logging.WARNING, reason=error.message)


def _silent(sentence: str) -> None:
    """Where nobody listens."""


def _check_name(name: str) -> None:
    from penstock.sdk.connector import KEY

    if not KEY.fullmatch(name):
        raise UsageError(
            f"connection name {name!r} must be lower case letters, digits, '_' or '-', beginning "
            "with a letter"
        )


def _lasting(target: str) -> str:
    """A file path is stored absolute, so that the connection works from any directory."""
    path = Path(target)
    return str(path.resolve()) if path.suffix == ".py" or path.is_dir() else target
