"""Tokens: one row for each connection that has been granted some, replaced by compare and set."""

from __future__ import annotations

from typing import Any

from sqlalchemy import ColumnElement, Connection, and_, exists, select, true, update

from penstock.model.connection import ConnectionState
from penstock.store.engines import Engines
from penstock.store.rows import StoredTokens
from penstock.store.tables import connections, tokens

_KEY = ("workspace", "connection")
NOBODY = ""


class SqlTokens:
    """Role `Tokens` over the tables. Sees sealed bytes only."""

    def __init__(self, engines: Engines) -> None:
        self._engines = engines

    def get(self, workspace: str, connection: str) -> StoredTokens | None:
        """The row. lost: the connection's reason where it needs_reauth, else None."""
        row = tokens.c
        wanted = (
            select(
                *(row.generation, row.attempt, row.sealed, row.previous, row.spare),
                *(connections.c.state, connections.c.reason),
            )
            .join_from(tokens, connections, _its_connection())
            .where(_is(workspace, connection))
        )
        with self._engines.reader.connect() as reading:
            found = reading.execute(wanted).one_or_none()
        if found is None:
            return None
        return StoredTokens(
            generation=found.generation,
            attempt=found.attempt,
            sealed=found.sealed,
            previous=found.previous,
            spare=found.spare,
            lost=found.reason if found.state == ConnectionState.NEEDS_REAUTH else None,
        )

    def begin(
        self, workspace: str, connection: str, generation: int, attempt: str, *, over: str, now: int
    ) -> bool:
        """Write down who is about to refresh; makes the row of generation 0. True where done."""
        row = tokens.c
        new = {
            **dict(zip(_KEY, (workspace, connection), strict=True)),
            "generation": 0,
            "attempt": NOBODY,
            "updated_at": now,
        }
        lost = exists().where(_its_connection(), _is_lost())
        begin = (
            update(tokens)
            .where(_is(workspace, connection), row.generation == generation, row.attempt == over)
            .where(~lost)
            .values(attempt=attempt, updated_at=now)
        )
        with self._engines.writer.begin() as writing:
            if generation == 0:
                insert = self._engines.upsert(tokens).values(new)
                writing.execute(insert.on_conflict_do_nothing(index_elements=_KEY))
            return writing.execute(begin).rowcount == 1

    def save(
        self, workspace: str, connection: str, generation: int, sealed: bytes, *, now: int
    ) -> bool:
        """The pair that a refresh brought; see the role for what becomes of it."""
        row = tokens.c
        current = {
            "sealed": sealed,
            "previous": row.sealed,
            "generation": row.generation + 1,
            "attempt": NOBODY,
            "updated_at": now,
        }
        its = _is(workspace, connection)
        with self._engines.writer.begin() as writing:
            save = update(tokens).where(its, row.generation == generation).values(current)
            if writing.execute(save).rowcount == 1:
                _stand(writing, workspace, connection, _is_lost(), ConnectionState.ACTIVE, None)
                return True
            writing.execute(update(tokens).where(its).values(spare=sealed, updated_at=now))
            return False

    def abandon(self, workspace: str, connection: str, attempt: str) -> None:
        """This attempt is over, with no answer."""
        over = update(tokens).where(_is(workspace, connection), tokens.c.attempt == attempt)
        with self._engines.writer.begin() as writing:
            writing.execute(over.values(attempt=NOBODY))

    def worked(self, workspace: str, connection: str, generation: int) -> None:
        """The current pair was good: previous and spare go."""
        good = update(tokens).where(_is(workspace, connection), tokens.c.generation == generation)
        with self._engines.writer.begin() as writing:
            writing.execute(good.values(previous=None, spare=None))

    def lose(
        self,
        workspace: str,
        connection: str,
        generation: int,
        attempt: str,
        *,
        reason: str,
        now: int,
    ) -> bool:
        """The connection needs_reauth. False where the generation or the attempt has moved."""
        row = tokens.c
        lose = (
            update(tokens)
            .where(_is(workspace, connection), row.generation == generation, row.attempt == attempt)
            .values(attempt=NOBODY, updated_at=now)
        )
        with self._engines.writer.begin() as writing:
            if writing.execute(lose).rowcount != 1:
                return False
            needs = ConnectionState.NEEDS_REAUTH
            _stand(writing, workspace, connection, true(), needs, reason)
            return True


def granted(engines: Engines, workspace: str, connection: str, sealed: bytes, now: int) -> Any:
    """The statement that stores a new grant in place of whatever there was."""
    fresh = {
        "attempt": NOBODY,
        "sealed": sealed,
        "previous": None,
        "spare": None,
        "updated_at": now,
    }
    key = dict(zip(_KEY, (workspace, connection), strict=True))
    insert = engines.upsert(tokens).values(key | fresh | {"generation": 1})
    return insert.on_conflict_do_update(
        index_elements=_KEY, set_=fresh | {"generation": tokens.c.generation + 1}
    )


def _stand(
    writing: Connection,
    workspace: str,
    connection: str,
    where: ColumnElement[bool],
    state: ConnectionState,
    reason: str | None,
) -> None:
    row = connections.c
    stand = update(connections).where(row.workspace == workspace, row.name == connection, where)
    writing.execute(stand.values(state=state, reason=reason))


def _is(workspace: str, connection: str) -> ColumnElement[bool]:
    return and_(tokens.c.workspace == workspace, tokens.c.connection == connection)


def _its_connection() -> ColumnElement[bool]:
    return and_(
        connections.c.workspace == tokens.c.workspace, connections.c.name == tokens.c.connection
    )


def _is_lost() -> ColumnElement[bool]:
    return connections.c.state == ConnectionState.NEEDS_REAUTH
