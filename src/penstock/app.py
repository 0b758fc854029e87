"""The composition root: the only place that names concrete parts and wires them.

>>> with App.open(config.load({})) as app:
...     app.connect("acme", "acme-main", {"base_url": "https://api.acme.test"}, {"api_key": "…"})
...     reports = app.run("acme-main")
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from penstock.clock import Clock, SystemClock
from penstock.config import Settings
from penstock.errors import SecretError, UsageError
from penstock.model import times
from penstock.model.connection import Account, Connection, ConnectionMode, ConnectionState
from penstock.pipeline.discovery import discover, the_one
from penstock.pipeline.pull import Progress, Start
from penstock.pipeline.reading import Installation
from penstock.pipeline.replay import Replayer
from penstock.pipeline.unit import UnitWriter
from penstock.read.service import ReadService
from penstock.sdk import loader, verify
from penstock.sdk import settings as sdk_settings
from penstock.sdk.connector import Connector
from penstock.sdk.verify import LOOPBACK_HOSTS, Finding
from penstock.store.roles import Store
from penstock.store.sqlite import SqliteStore
from penstock.upstream import template
from penstock.upstream.auth import Credentials, InTurn
from penstock.upstream.client import Client
from penstock.upstream.guard import Egress
from penstock.vault.key_ring import KEY_BYTES, KeyRing
from penstock.work import replaying
from penstock.work.replaying import ReplayReport
from penstock.work.runner import RunReport, StreamRunner
from penstock.work.sources import SourceMaker, polls

__all__ = ["App", "Finding", "Progress", "ReplayReport", "RunReport", "check"]

Say = Callable[[str], None]


def check(target: str) -> list[Finding]:
    """What is wrong with a connector, without a database and without a network."""
    return verify.check(target)


@dataclass(frozen=True, slots=True)
class App:
    """penstock on one database and one workspace."""

    settings: Settings
    store: Store
    keys: Keys
    read: ReadService
    clock: Clock

    @classmethod
    def open(cls, settings: Settings, *, say: Say | None = None, clock: Clock | None = None) -> App:
        """Open the database, made when missing. say: sentences for a person.

        Raises UsageError, DatabaseError, SecretError, StoreUnavailableError.
        """
        store = open_store(settings.database)
        try:
            keys = Keys(settings, say or _silent)
            read = ReadService(store, settings.workspace)
            return cls(settings, store, keys, read, clock or SystemClock())
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
    ) -> Connection:
        """Make a connection: settings checked, account discovered, secrets sealed.

        Raises UsageError for a taken or malformed name, SettingsError, ConnectorError, and what
        the discovery's requests raise; then nothing is stored.
        """
        _check_name(name)
        if self.store.connections.get(self.settings.workspace, name) is not None:
            raise UsageError(
                f"connection {name} exists; change it with `penstock connections set {name}`, "
                "or choose another --name"
            )
        loaded = loader.load(target)
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
        return self._save(loaded, connection, settings, secrets)

    def reconfigure(
        self,
        name: str,
        settings: Mapping[str, Any],
        secrets: Mapping[str, str],
        *,
        mode: ConnectionMode | None = None,
    ) -> Connection:
        """Change some settings or secrets of a connection; the others stay. Raises as `connect`."""
        installation = self._installation(name)
        connection = installation.connection
        if mode is not None:
            connection = replace(connection, mode=mode)
        merged = {**connection.settings, **settings}
        return self._save(
            installation.loaded, connection, merged, {**self._secrets(name), **secrets}
        )

    def test(self, name: str) -> list[Account]:
        """Run the discovery again. Raises what its requests raise; SettingsError for another
        account than the connection belongs to."""
        installation = self._installation(name)
        with self._client(installation, self._secrets(name)) as client:
            accounts = discover(installation, client.send, self.clock)
        the_one(accounts, installation.connection.account)
        return accounts

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

        Raises MendError for what a person must change first, StreamBusyError where a living worker
        holds a stream for longer than `wait_s`.
        """
        installation = self._installation(name)
        connection = installation.connection
        if connection.state is ConnectionState.PAUSED:
            raise UsageError(
                f"connection {name} is paused; `penstock connections resume {name}` first"
            )
        keys = [self._polled(installation, stream) for stream in streams]
        keys = keys or polls(installation.loaded.connector)
        start = Start(full=full, since=times.microseconds(since) if since else None)
        with self._client(installation, self._secrets(name)) as client:
            runner = self._runner(installation, client)
            return [runner.run(key, start, wait_s=wait_s, progress=progress) for key in keys]

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

    def _runner(self, installation: Installation, client: Client) -> StreamRunner:
        heads_of = self.store.documents.heads
        return StreamRunner(
            store=self.store,
            installation=installation,
            make_source=SourceMaker(installation, client.send, heads_of, self.clock),
            clock=self.clock,
            observing=installation.connection.mode is ConnectionMode.OBSERVE,
        )

    def _replayer(self, name: str) -> Replayer:
        writer = UnitWriter(self.store.documents, self.store.documents.commit)
        return Replayer(self._installation(name), writer, self.clock)

    def _save(
        self,
        loaded: loader.Loaded,
        connection: Connection,
        settings: Mapping[str, Any],
        secrets: Mapping[str, str],
    ) -> Connection:
        checked = sdk_settings.check(loaded.connector, settings, secrets)
        connection = replace(connection, settings=checked.plain)
        installation = Installation(loaded, connection)
        with self._client(installation, checked.secrets) as client:
            accounts = discover(installation, client.send, self.clock)
        account = the_one(accounts, connection.account)
        connection = replace(connection, account=account)
        sealed = {
            field: self.keys.to_seal().seal(
                value, workspace=connection.workspace, connection=connection.name, field=field
            )
            for field, value in checked.secrets.items()
        }
        self.store.connections.save(connection, sealed, now=self._now())
        return connection

    def _installation(self, name: str) -> Installation:
        connection = self.store.connections.get(self.settings.workspace, name)
        if connection is None:
            known = ", ".join(c.name for c in self.store.connections.list(self.settings.workspace))
            raise UsageError(f"no connection {name!r}; there is: {known or 'none yet'}")
        return Installation(loader.load(connection.target), connection)

    def _secrets(self, name: str) -> dict[str, str]:
        workspace = self.settings.workspace
        return {
            field: self.keys.to_open().open(
                sealed, workspace=workspace, connection=name, field=field
            )
            for field, sealed in self.store.connections.sealed(workspace, name).items()
        }

    def _client(self, installation: Installation, secrets: Mapping[str, str]) -> Client:
        connector, connection = installation.loaded.connector, installation.connection
        values = installation.values
        return Client(
            base_url=template.url(connector.base_url, values),
            auth=InTurn(connector.auth),
            credentials=Credentials(secrets, _texts(connection.settings)),
            egress=Egress.of(
                (template.url(p, values) for p in connector.permissions.http),
                allow_loopback=connection.allow_loopback or _names_loopback(connector),
            ),
            clock=self.clock,
        )

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


class Keys:
    """The key ring, opened when a secret is sealed or opened, and not before.

    The master key is the one that was given, else it stands in a file beside the database, which
    sealing makes when it is missing.
    """

    def __init__(self, settings: Settings, say: Say) -> None:
        self._settings = settings
        self._say = say

        self._ring: KeyRing | None = None

    def to_seal(self) -> KeyRing:
        """Raises SecretError where the given key is none, or the file cannot be used."""
        if self._ring is None:
            self._ring = self._load()
        return self._ring

    def to_open(self) -> KeyRing:
        """Raises SecretError also where there is no key at all."""
        file = self._file()
        if self._ring is None and file is not None and not file.exists():
            raise SecretError(
                f"the master key file {file} is missing: put it back, or give the key in "
                "PENSTOCK_MASTER_KEY; without it the stored secrets cannot be opened"
            )
        return self.to_seal()

    def _load(self) -> KeyRing:
        if self._settings.master_key is not None:
            return KeyRing.from_text(self._settings.master_key)
        file = self._file()
        if file is None:
            return KeyRing(secrets.token_bytes(KEY_BYTES))
        ring, created = KeyRing.load_or_create(file)
        if created:
            self._say(
                f"made a new master key in {file}: secrets are sealed with it, so keep it safe "
                "and apart from backups of the database (or set PENSTOCK_MASTER_KEY)"
            )
        return ring

    def _file(self) -> Path | None:
        """Where the key stands; None where it was given, or the database is in memory."""
        prefix = "sqlite:///"
        path = self._settings.database.removeprefix(prefix)
        if self._settings.master_key is not None or path in {"", self._settings.database}:
            return None
        return Path(path).with_suffix(".key")


def open_store(url: str) -> Store:
    """The backend behind a database URL; the file is made when missing. Raises UsageError."""
    if url.startswith("sqlite:"):
        return SqliteStore.open(url)
    raise UsageError(f"database {url.partition(':')[0]!r} is not supported; use sqlite:///FILE")


def _texts(settings: Mapping[str, Any]) -> dict[str, str]:
    """Settings that an auth scheme may use beside its secrets, a user name for instance."""
    return {name: value for name, value in settings.items() if isinstance(value, str)}


def _names_loopback(connector: Connector) -> bool:
    """A manifest that literally names a loopback host allows it; `check` warns of that."""
    return any(
        urlsplit(pattern).hostname in LOOPBACK_HOSTS for pattern in connector.permissions.http
    )


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
