"""The database's schema: which revision it has, making it, bringing it up to date.

Only `upgrade` imports the migration tool; opening a current file and making a new one do not.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from sqlalchemy import Connection, insert, inspect, select

from penstock.errors import DatabaseError
from penstock.store.engines import Engines
from penstock.store.sqlite_build import VERSION, hazard
from penstock.store.sqlite_engine import open_engines
from penstock.store.sqlite_file import DatabaseFile
from penstock.store.tables import metadata, revision

REVISIONS = ("0001",)
"""All revisions in order, as in `migrations/versions`; the last is what this release needs."""

WANTED = REVISIONS[-1]


@dataclass(frozen=True, slots=True)
class SchemaState:
    """found: the database's revision, None where it is empty."""

    found: str | None
    wanted: str = WANTED

    @property
    def current(self) -> bool:
        return self.found == self.wanted


def check(url: str) -> SchemaState:
    """The state of the database behind the URL, unchanged by looking.

    Raises DatabaseError where there is none, or where it is not ours.
    """
    with _opened(url, create=False) as (engines, file):
        return _look(engines, file)


def upgrade(url: str) -> SchemaState:
    """Bring the database to the wanted revision, in one transaction; an empty one is made.

    A crash leaves the old revision; run it again. Raises DatabaseError for a newer database, and
    for one that is not ours.
    """
    with _opened(url, create=True) as (engines, file):
        found = _look(engines, file)
        if found.found is not None:
            _refuse_newer(found)
        with engines.writer.begin() as connection:
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
            "name another file"
        )
    return SchemaState(None)


def create(connection: Connection) -> None:
    """Make all tables of the wanted revision in an empty database, in the caller's transaction."""
    metadata.create_all(connection, checkfirst=False)
    connection.execute(insert(revision).values(version_num=WANTED))


def ensure(engines: Engines, file: DatabaseFile) -> None:
    """Make the schema of an empty database, pass a current one, refuse any other.

    Raises DatabaseError with what to do: `penstock db upgrade`, or a newer penstock.
    """
    found = _look(engines, file)
    if found.found is None:
        with engines.writer.begin() as connection:
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


def _look(engines: Engines, file: DatabaseFile) -> SchemaState:
    # Through the reader, for opening the writer already changes a file that may not be ours.
    if not file.path.exists():
        return SchemaState(None)
    with engines.reader.connect() as connection:
        return state(connection)


def _refuse_newer(found: SchemaState) -> None:
    if found.found not in REVISIONS:
        raise DatabaseError(
            f"the database has schema {found.found}, which this penstock does not know: "
            "it was written by a newer one; upgrade penstock"
        )


def _migrate(connection: Connection) -> None:
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", "penstock.store:migrations")
    config.attributes["connection"] = connection
    command.upgrade(config, WANTED)


@contextmanager
def _opened(url: str, *, create: bool) -> Iterator[tuple[Engines, DatabaseFile]]:
    with DatabaseFile(url, create=create, alone=hazard(VERSION) is not None) as file:
        engines = open_engines(file.path)
        try:
            yield engines, file
        finally:
            engines.close()
