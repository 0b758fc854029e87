"""The database's schema: which revision it has, making it, bringing it up to date.

Only `upgrade` imports the migration tool; opening a current file and making a new one do not.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import chain

from sqlalchemy import Connection, delete, insert, inspect, select, text

from penstock.errors import DatabaseError
from penstock.store import queue_tables
from penstock.store.engines import Engines
from penstock.store.sqlite_build import VERSION, hazard
from penstock.store.sqlite_engine import open_engines
from penstock.store.sqlite_file import DatabaseFile
from penstock.store.tables import metadata, revision, tables_of, views

REVISIONS = ("0001", "0002", "0003", "0004", "0005", "0006")
"""All revisions in order, as in `migrations/versions`; the last is what this release needs."""

WANTED = REVISIONS[-1]

# On PostgreSQL: "schema", shortened, in ASCII.
_ALONE = text("SELECT pg_advisory_xact_lock(x'7363686d'::int)")


@dataclass(frozen=True, slots=True)
class SchemaState:
    """found: the database's revision, None where it is empty."""

    found: str | None
    wanted: str = WANTED

    @property
    def current(self) -> bool:
        return self.found == self.wanted

    @property
    def is_older(self) -> bool:
        return bool(self.pending)

    @property
    def pending(self) -> tuple[str, ...]:
        """The revisions that an upgrade would bring; none for an empty or a newer database."""
        if self.found not in REVISIONS:
            return ()
        return REVISIONS[REVISIONS.index(self.found) + 1 :]


def check(url: str) -> SchemaState:
    """The state of the database behind the URL, unchanged by looking.

    Raises DatabaseError where there is none, or where it is not ours.
    """
    with _opened(url, create=False) as (engines, exists):
        return _look(engines) if exists else SchemaState(None)


def upgrade(url: str) -> SchemaState:
    """Bring the database to the wanted revision, in one transaction; an empty one is made.

    A crash leaves the old revision; run it again. Raises DatabaseError for a newer database, and
    for one that is not ours.
    """
    with _opened(url, create=True) as (engines, exists):
        if exists and (found := _look(engines)).found is not None:
            _refuse_newer(found)
        with engines.writer.begin() as connection:
            alone(connection)
            if not state(connection).current:
                _drop_views(connection)
                _migrate(connection)
            return state(connection)


def state(connection: Connection) -> SchemaState:
    """The state behind an open connection. Raises DatabaseError for a database not ours."""
    tables = inspect(connection).get_table_names()
    if revision.name in tables:
        return SchemaState(connection.scalar(select(revision.c.version_num)))
    if tables:
        raise DatabaseError(
            f"the database holds other tables ({', '.join(tables[:3])}) and none of penstock's; "
            "name another one"
        )
    return SchemaState(None)


def create(connection: Connection) -> None:
    """Make all tables of the wanted revision in an empty database, in the caller's transaction."""
    dialect = connection.dialect.name
    tables = tables_of(dialect)
    for index in chain.from_iterable(table.indexes for table in tables):
        # Naming another dialect beside the tables would import it at every start.
        index.dialect_options[dialect]["where"] = index.dialect_options["sqlite"]["where"]
    metadata.create_all(connection, tables=tables, checkfirst=False)
    if dialect == "postgresql":
        queue_tables.make(connection)
    connection.execute(insert(revision).values(version_num=WANTED))


def ensure(engines: Engines, *, exists: bool = True) -> None:
    """Make the schema of an empty database, pass a current one, refuse any other.

    exists: False where there is not even an empty database yet.
    Raises DatabaseError with what to do: `penstock db upgrade`, or a newer penstock.
    """
    found = _look(engines) if exists else SchemaState(None)
    if found.found is None:
        with engines.writer.begin() as connection:
            alone(connection)
            found = state(connection)  # another process may have been quicker
            if found.found is None:
                create(connection)
                return
    _refuse_newer(found)
    if not found.current:
        raise DatabaseError(
            f"the database has schema {found.found}, this penstock needs {WANTED}: "
            "run `penstock db upgrade`"
        )


def alone(connection: Connection) -> None:
    """Nobody else changes the schema until this ends. SQLite's writer is alone anyway."""
    if connection.dialect.name == "postgresql":
        connection.execute(_ALONE)


def _look(engines: Engines) -> SchemaState:
    # Through the reader, for opening the writer already changes a file that may not be ours.
    with engines.reader.connect() as connection:
        return state(connection)


def _refuse_newer(found: SchemaState) -> None:
    if found.found not in REVISIONS:
        raise DatabaseError(
            f"the database has schema {found.found}, which this penstock does not know: "
            "it was written by a newer one; upgrade penstock"
        )


def _drop_views(connection: Connection) -> None:
    """A table that a view reads cannot be changed. Whoever opens the database next makes them."""
    if inspect(connection).has_table(views.name):
        for name in connection.scalars(select(views.c.name)).all():
            connection.exec_driver_sql(f'DROP VIEW IF EXISTS "{name}"')
        connection.execute(delete(views))


def _migrate(connection: Connection) -> None:
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", "penstock.store:migrations")
    config.attributes["connection"] = connection
    command.upgrade(config, WANTED)


@contextmanager
def _opened(url: str, *, create: bool) -> Iterator[tuple[Engines, bool]]:
    """The engines on a database, and whether there is one."""
    if not url.startswith("sqlite:"):
        from penstock.store import postgres_engine

        engines = postgres_engine.open_engines(url)
        try:
            yield engines, True
        finally:
            engines.close()
        return
    with DatabaseFile(url, create=create, alone=hazard(VERSION) is not None) as file:
        engines = open_engines(file.path)
        try:
            yield engines, file.path.exists()
        finally:
            engines.close()
