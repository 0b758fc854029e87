"""PostgreSQL's errors in our words: translated once, at the boundary, with their cause."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager

import psycopg
from psycopg import errors
from sqlalchemy import exc

from penstock.errors import DatabaseError, PenstockError, StoreUnavailableError

_MENDED_BY_A_PERSON = {
    r'database "[^"]*" does not exist': "create it with createdb, or name another in the URL",
    r'role "[^"]*" does not exist': "name another user in the URL",
    r"password authentication failed": "check user and password in the URL",
    r"no pg_hba.conf entry": "the server does not let this user in from here",
    r"invalid .*option|invalid connection option|invalid URI": "check the database URL",
}
"""What a server answers to a connection that will never be let in, and what to do."""

_AGAIN = (
    psycopg.OperationalError,
    psycopg.InterfaceError,
    psycopg.InternalError,
    errors.SerializationFailure,
)
_CONFLICTS = (errors.UniqueViolation, errors.DeadlockDetected, errors.SerializationFailure)


def translate(error: BaseException) -> PenstockError | None:
    """What a driver's error means for the caller; None for errors that are our own mistakes."""
    text = " ".join(str(error).split())
    if isinstance(error, errors.InsufficientPrivilege):
        return DatabaseError(f"the database user may not do this: grant it ({text})")
    if isinstance(error, errors.ReadOnlySqlTransaction):
        return StoreUnavailableError(f"the server takes no writes, is it a standby? ({text})")
    if isinstance(error, errors.DependentObjectsStillExist):
        return DatabaseError(
            "views of yours are made of penstock's, which have changed: drop those, run "
            f"`penstock db upgrade`, then make them again ({text})"
        )
    if isinstance(error, _AGAIN):
        for said, cure in _MENDED_BY_A_PERSON.items():
            if re.search(said, text):
                return DatabaseError(f"{cure} ({text})")
        return StoreUnavailableError(f"PostgreSQL did not do it, try again ({text})")
    if isinstance(error, exc.TimeoutError):
        return StoreUnavailableError(f"no connection to the database became free ({text})")
    return None


def is_conflict(error: BaseException) -> bool:
    """True for a row that exists already, and where two writers stood in each other's way."""
    return isinstance(error, _CONFLICTS)


@contextmanager
def translated() -> Iterator[None]:
    """Raise our errors in the place of the driver's."""
    try:
        yield
    except (psycopg.Error, exc.TimeoutError) as error:
        ours = translate(error)
        if ours is None:
            raise
        raise ours from error
