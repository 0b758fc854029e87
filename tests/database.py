"""A database for a test: a file in its folder, or a schema of its own on the PostgreSQL server.

Tests that ask for the fixture `backend` run on both; within, `url_in` names the same database for
the same folder again and again. Schemas are made once and emptied between tests, since making one
takes longer than most tests.
"""

from __future__ import annotations

import base64
import os
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path

import psycopg
import pytest

from penstock.store.postgres import PostgresStore
from penstock.store.tables import revision, tables_of, views

SERVER = os.environ.get("PENSTOCK_TEST_POSTGRES", "postgresql://postgres@127.0.0.1:5432/postgres")
# For tests that need a master key and no secret: a server has no folder to keep one in.
KEY = base64.b64encode(bytes(range(32))).decode()

KINDS = ("sqlite", "postgresql")


@lru_cache(maxsize=1)
def answers() -> bool:
    """Whether the server is there; where one was named, a silent one is an error."""
    try:
        psycopg.connect(SERVER, connect_timeout=5).close()
    except psycopg.OperationalError:
        if "PENSTOCK_TEST_POSTGRES" in os.environ:
            raise
        return False
    return True


class Databases:
    """Those of the test that runs. kind: the backend it runs on."""

    def __init__(self) -> None:
        self.kind = "sqlite"
        self._taken: dict[Path, str] = {}
        self._free: list[str] = []
        self._made: list[str] = []

    def url_in(self, folder: Path, name: str = "penstock.db") -> str:
        if self.kind == "sqlite":
            return f"sqlite:///{folder / name}"
        place = folder / name
        if place not in self._taken:
            self._taken[place] = self._free.pop() if self._free else self._make()
        return url_of(self._taken[place])

    def give_back(self) -> None:
        """The test is over."""
        self.recycle()
        self.kind = "sqlite"

    def recycle(self) -> None:
        """Schemas are emptied for the next one who asks."""
        for schema in self._taken.values():
            self._free.append(schema if _emptied(schema) else self._make())
        self._taken.clear()

    def drop_all(self) -> None:
        for schema in self._made:
            _drop(schema)

    def _make(self) -> str:
        schema = f"test_{uuid.uuid4().hex}"
        with psycopg.connect(SERVER, autocommit=True) as connection:
            connection.execute(f"CREATE SCHEMA {schema}")
        self._made.append(schema)
        PostgresStore.open(url_of(schema)).close()
        return schema


databases = Databases()
url_in = databases.url_in


@contextmanager
def empty_schema() -> Iterator[str]:
    """The URL of an empty schema, which goes afterwards with all that is in it."""
    if not answers():
        pytest.skip("no PostgreSQL answers: name one in PENSTOCK_TEST_POSTGRES")
    schema = f"test_{uuid.uuid4().hex}"
    with psycopg.connect(SERVER, autocommit=True) as connection:
        connection.execute(f"CREATE SCHEMA {schema}")
    try:
        yield url_of(schema)
    finally:
        _drop(schema)


def url_of(schema: str) -> str:
    return f"{SERVER}?options=-csearch_path%3D{schema}"


def _drop(schema: str) -> None:
    with psycopg.connect(SERVER, autocommit=True) as connection:
        _end_others(connection, schema)
        connection.execute("SET client_min_messages = warning")
        connection.execute(f"DROP SCHEMA {schema} CASCADE")


def _end_others(connection: psycopg.Connection, schema: str) -> None:
    """Transactions that a killed process or a store left open hold locks on these tables."""
    connection.execute(
        """
        SELECT pg_terminate_backend(pid) FROM pg_locks JOIN pg_class ON oid = relation
        WHERE relnamespace = %s::regnamespace AND pid <> pg_backend_pid()
        """,
        (schema,),
    )


def _emptied(schema: str) -> bool:
    kept = [t for t in reversed(tables_of("postgresql")) if t not in (revision, views)]
    with psycopg.connect(SERVER, autocommit=True) as connection:
        _end_others(connection, schema)
        try:
            connection.execute(f"SET search_path = {schema}; SET lock_timeout = '5s'")
            connection.execute("; ".join(f"DELETE FROM {table.name}" for table in kept))
            connection.execute("DELETE FROM procrastinate_jobs; DELETE FROM procrastinate_workers")
            connection.execute(
                """
                SELECT setval(oid::regclass, 1, false) FROM pg_class
                WHERE relkind = 'S' AND relnamespace = %s::regnamespace
                """,
                (schema,),
            )
        except psycopg.Error:  # a test changed its tables
            return False
    return True
