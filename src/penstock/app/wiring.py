"""What a connection's work needs, put together: its connector, its secrets, its client."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from penstock.clock import Clock
from penstock.config import Settings
from penstock.contracts import registry
from penstock.errors import UsageError
from penstock.model.connection import Connection
from penstock.model.pace import Priority
from penstock.model.token import TOKENS
from penstock.pipeline.reading import Installation
from penstock.sdk import loader
from penstock.store import schema
from penstock.store.roles import Store
from penstock.store.schema import SchemaState
from penstock.store.sqlite import SqliteStore
from penstock.store.sqlite_file import locate
from penstock.upstream import template
from penstock.upstream.addresses import private_networks
from penstock.upstream.auth import Credentials, InTurn
from penstock.upstream.client import Client, Timeouts
from penstock.upstream.grant import Tokens
from penstock.upstream.guard import Egress, Pattern, names_loopback
from penstock.upstream.pacing import Pacer, Sharers
from penstock.upstream.proxy import Proxy
from penstock.vault.data_keys import DataKeys
from penstock.vault.master_key import MasterKey
from penstock.vault.vault import Vault
from penstock.work.tokens import SealedTokens

if TYPE_CHECKING:
    from penstock.store.postgres import PostgresStore

Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Wiring:
    """Makes the parts that belong to one connection."""

    settings: Settings
    store: Store
    vault: Vault
    clock: Clock

    def installation(self, name: str) -> Installation:
        connection = self.store.connections.get(self.settings.workspace, name)
        if connection is None:
            known = ", ".join(c.name for c in self.store.connections.list(self.settings.workspace))
            raise UsageError(f"there is no connection {name!r}; there are: {known or 'none'}")
        return Installation(loader.load(connection.target), connection)

    def secrets(self, name: str, *, replaced: Iterable[str] = ()) -> dict[str, str]:
        """Opened, but for those about to be replaced: one that no longer opens is mended so."""
        workspace = self.settings.workspace
        return {
            field: self.vault.open(sealed, workspace=workspace, connection=name, field=field)
            for field, sealed in self.store.connections.sealed(workspace, name).items()
            if field not in replaced
        }

    def client(
        self,
        installation: Installation,
        secrets: Mapping[str, str],
        priority: Priority = Priority.POLL,
        *,
        tokens: Tokens | None = None,
    ) -> Client:
        connector, connection = installation.loaded.connector, installation.connection
        values = installation.values
        return Client(
            base_url=installation.base_url,
            auth=InTurn(connector.auth),
            credentials=self.credentials(installation, secrets, tokens or self.tokens(connection)),
            auth_hosts=tuple(Pattern.parse(host) for host in _filled(connector.auth_hosts, values)),
            egress=self.egress(installation),
            clock=self.clock,
            judge=connector.judge,
            timeouts=Timeouts(read_s=connector.limits.read_s, total_s=connector.limits.total_s),
            body_bytes=connector.limits.body_bytes,
            pacer=Pacer(
                self.store.pace,
                Sharers(connection.workspace, connection.name, connector.key),
                clock=self.clock,
                rates=connector.rates,
                concurrency=connector.concurrency,
                priority=priority,
            ),
        )

    def credentials(
        self, installation: Installation, secrets: Mapping[str, str], tokens: Tokens
    ) -> Credentials:
        credentials = Credentials(
            secrets,
            _texts(installation.connection.settings),
            clock=self.clock,
            places=installation.values,
            tokens=tokens,
        )
        self.vault.redact.include(credentials.redact)
        return credentials

    def tokens(self, connection: Connection) -> SealedTokens:
        place = {"workspace": connection.workspace, "connection": connection.name}
        return SealedTokens(
            self.store.tokens,
            connection,
            seal=lambda text: self.vault.seal(text, **place, field=TOKENS),
            open=lambda sealed: self.vault.open(sealed, **place, field=TOKENS),
            clock=self.clock,
        )

    def seal(self, connection: Connection, field: str, value: str) -> bytes:
        place = {"workspace": connection.workspace, "connection": connection.name}
        return self.vault.seal(value, **place, field=field)

    def egress(self, installation: Installation) -> Egress:
        """A manifest that literally names this machine allows it; `check` warns of that."""
        connector = installation.loaded.connector
        patterns = (*connector.permissions.http, *connector.auth_hosts)
        return self.egress_to(
            _filled(patterns, installation.values),
            allow_loopback=installation.connection.allow_loopback
            or any(names_loopback(pattern) for pattern in patterns),
        )

    def egress_to(self, patterns: Iterable[str], *, allow_loopback: bool) -> Egress:
        proxy = self.settings.proxy
        return Egress.of(
            patterns,
            allow_loopback=allow_loopback,
            networks=private_networks(self.settings.private_networks),
            proxy=Proxy.parse(proxy) if proxy else None,
        )


def open_vault(settings: Settings, store: Store, clock: Clock, say: Say) -> Vault:
    """The vault on a store. Its master key is read when a secret is sealed or opened, not before:
    the one that was given, else the one in a file beside the database."""
    file = settings.database.startswith("sqlite:")
    database = locate(settings.database) if file else None
    beside = database.with_suffix(".key") if database else None
    master = MasterKey(settings.master_key, beside, say)
    vault = Vault(DataKeys(master, store.sealed, clock))
    vault.redact.hide(*(settings.master_key or "").split())
    return vault


def open_store(url: str) -> Store:
    """The backend behind a database URL; the file is made when missing. Raises UsageError."""
    if url.startswith("sqlite:"):
        return SqliteStore.open(url)
    if url.startswith(("postgresql:", "postgres:")):
        return open_postgres(url)
    raise UsageError(
        f"database {url.partition(':')[0]!r} is not supported; use sqlite:///FILE or "
        "postgresql://user:password@host/database"
    )


def upgrade_store(url: str) -> SchemaState:
    """Bring the database to this release: its schema, then its views. Raises as both do."""
    state = schema.upgrade(url)
    with open_store(url) as store:
        keep_views(store)
    return state


def keep_views(store: Store) -> list[str]:
    """Let every document type be read through its views; the names of those that were touched.

    Raises DatabaseError where they cannot be made, StoreUnavailableError.
    """
    contracts = map(registry.contract, registry.types())
    return store.views.keep([view for contract in contracts for view in contract.views()])


def open_postgres(url: str) -> PostgresStore:
    """The PostgreSQL backend, whose driver is an extra. Raises UsageError."""
    try:
        from penstock.store.postgres import PostgresStore
    except ModuleNotFoundError as error:
        if error.name != "psycopg":
            raise
        raise UsageError("PostgreSQL needs its driver: pip install 'penstock[postgres]'") from error
    return PostgresStore.open(url)


def _filled(patterns: Iterable[str], values: template.Values) -> list[str]:
    """Patterns with their placeholders filled; one whose value is not known yet allows nothing."""
    return [
        template.url(pattern, values)
        for pattern in patterns
        if all(scope == "settings" or n in values[scope] for scope, n in template.names(pattern))
    ]


def _texts(settings: Mapping[str, Any]) -> dict[str, str]:
    """Settings that an auth scheme may use beside its secrets, a user name for instance."""
    return {name: value for name, value in settings.items() if isinstance(value, str)}
