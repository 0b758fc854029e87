"""Connections to a PostgreSQL server, opened one way: durable, checked, pooled."""

from __future__ import annotations

from typing import Any

from psycopg.types.numeric import Int8Dumper
from psycopg.types.string import BytesBinaryDumper
from sqlalchemy import URL, Engine, ExceptionContext, create_engine, event, make_url
from sqlalchemy.exc import ArgumentError
from sqlalchemy.pool import QueuePool

from penstock.errors import DatabaseError, UsageError
from penstock.store.engines import Engines
from penstock.store.postgres_error import translate, translated
from penstock.store.sqlite_latch import Latch

OLDEST = 14
"""The first server version we try; 64-bit transaction ids came with 13."""

PROMISED = {"fsync": "on", "full_page_writes": "on", "synchronous_commit": "on"}
"""Read back when a store opens: acknowledged means synced, or we do not serve."""

POOL = 4
OVERFLOW = 28
_WAIT_FOR_CONNECTION_S = 30
_CONNECT_S = 10

_SESSION = {
    "synchronous_commit": "on",
    "client_encoding": "UTF8",
    # A worker that froze inside a transaction must not keep a stream's row for ever.
    "idle_in_transaction_session_timeout": "60s",
    "lock_timeout": "60s",
    # Compiling a plan takes longer than any of these statements; ruled-out plans look dear to it.
    "jit": "off",
}
# A plan that was kept from when a table was small would read all of it when it is large; and what
# is written is looked up by key, whatever the planner knows of a table's size.
_POINT_ACCESS = {
    "plan_cache_mode": "force_custom_plan",
    "enable_seqscan": "off",
    "enable_hashjoin": "off",
    "enable_mergejoin": "off",
}


def is_postgres(url: str) -> bool:
    """Whether the database URL names a PostgreSQL server."""
    return url.startswith(("postgresql:", "postgres:"))


def parse(url: str) -> URL:
    """The URL for the driver. Raises UsageError for one that cannot be read."""
    try:
        parsed = make_url(url)
    except (ArgumentError, ValueError) as error:
        raise UsageError(
            "the database URL must be like postgresql://user:password@host:5432/database"
        ) from error
    return parsed.set(drivername="postgresql+psycopg")


def shown(url: str) -> str:
    """The URL as people may see it: without its password."""
    return parse(url).set(drivername="postgresql").render_as_string(hide_password=True)


def open_engines(url: str) -> Engines:
    """Engines on the database. Nothing is connected before the first use of either."""
    address = parse(url)
    snapshot = {"isolation_level": "REPEATABLE READ", "postgresql_readonly": True}
    reader = _engine(address, _SESSION).execution_options(**snapshot)
    return Engines(reader, _engine(address, _SESSION | _POINT_ACCESS), Latch())


def refuse_unfit(connection: Any) -> dict[str, Any]:
    """The promised settings of the server behind a driver's connection.

    Raises DatabaseError where one does not hold, for an old server and for another encoding.
    """
    with translated():
        found = {name: connection.execute(f"SHOW {name}").fetchone()[0] for name in PROMISED}
        (encoding,) = connection.execute("SHOW server_encoding").fetchone()
    if connection.info.server_version < OLDEST * 10_000:
        raise DatabaseError(f"{version(connection)} is too old: penstock needs {OLDEST} or later")
    if encoding != "UTF8":
        raise DatabaseError(f"the database has encoding {encoding}; create one with UTF8")
    for name, value in PROMISED.items():
        if found[name] != value:
            raise DatabaseError(
                f"the server has {name}={found[name]}: what is committed would not be safe there; "
                f"set {name}={value}"
            )
    return found


def version(connection: Any) -> str:
    """The server's version, as it calls itself."""
    number = connection.info.server_version
    return f"PostgreSQL {number // 10_000}.{number % 10_000}"


def _engine(address: URL, session: dict[str, str]) -> Engine:
    engine = create_engine(
        address,
        poolclass=QueuePool,
        pool_size=POOL,
        max_overflow=OVERFLOW,
        pool_timeout=_WAIT_FOR_CONNECTION_S,
        pool_pre_ping=True,
        connect_args={"application_name": "penstock", "connect_timeout": _CONNECT_S},
    )

    @event.listens_for(engine, "connect")
    def _begin_session(connection: Any, _record: object) -> None:
        # One width for all numbers: a statement is prepared once, not once for each size of value.
        connection.adapters.register_dumper(int, Int8Dumper)
        # COPY asks for a dumper by the column's type, and would get one written in Python.
        connection.adapters.register_dumper(bytes, BytesBinaryDumper)
        connection.autocommit = True
        connection.execute("; ".join(f"SET {name} = '{kept}'" for name, kept in session.items()))
        connection.autocommit = False

    @event.listens_for(engine, "handle_error")
    def _translate(context: ExceptionContext) -> None:
        ours = translate(context.original_exception)
        if ours is not None and not context.is_pre_ping:
            raise ours from context.original_exception

    return engine
