"""Databases of the benchmark's own on a PostgreSQL server; gone afterwards.

PENSTOCK_BENCH_POSTGRES names the server and a user that may create databases; else it is the local
one, where that answers.
"""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import psycopg
from psycopg import sql
from sqlalchemy import make_url

NAMED = "PENSTOCK_BENCH_POSTGRES"
SERVER = os.environ.get(NAMED, "postgresql://postgres@127.0.0.1:5432/postgres")


def answers() -> bool:
    """Whether the server is there; one that was named and is silent is an error."""
    try:
        psycopg.connect(SERVER, connect_timeout=5).close()
    except psycopg.OperationalError:
        if NAMED in os.environ:
            raise
        return False
    return True


@contextmanager
def databases(names: Sequence[str]) -> Iterator[dict[str, str]]:
    """An empty database for each name: its URL."""
    mark = uuid.uuid4().hex[:8]
    made: dict[str, str] = {}
    with psycopg.connect(SERVER, autocommit=True) as connection:
        try:
            for name in names:
                database = f"penstock_bench_{mark}_{name}"
                connection.execute(
                    sql.SQL("CREATE DATABASE {} TEMPLATE template0 ENCODING 'UTF8'").format(
                        sql.Identifier(database)
                    )
                )
                address = make_url(SERVER).set(database=database)
                if address.password is None:  # a server that trusts does not ask, dlt insists
                    address = address.set(password="none")
                made[name] = address.render_as_string(hide_password=False)
            yield made
        finally:
            for url in made.values():
                drop = sql.SQL("DROP DATABASE {} WITH (FORCE)")
                connection.execute(drop.format(sql.Identifier(str(make_url(url).database))))


def server_version() -> str | None:
    """As the server calls itself, None where none answers."""
    if not answers():
        return None
    with psycopg.connect(SERVER) as connection:
        row = connection.execute("SHOW server_version").fetchone()
    return str(row[0]) if row else None
