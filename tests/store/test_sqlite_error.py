"""The driver's errors in our words."""

import pytest
from sqlalchemy import exc

from penstock.errors import DatabaseError, StoreUnavailableError
from penstock.store.sqlite_build import driver
from penstock.store.sqlite_error import is_conflict, translate, translated


def error(code: int) -> driver.OperationalError:
    raised = driver.OperationalError("the driver's own words")
    raised.sqlite_errorcode = code
    return raised


@pytest.mark.parametrize(
    ("code", "kind", "sentence"),
    [
        (5, StoreUnavailableError, "locked by another process"),
        (5 | 2 << 8, StoreUnavailableError, "locked by another process"),  # SQLITE_BUSY_SNAPSHOT
        (8, StoreUnavailableError, "read-only"),
        (10 | 4 << 8, StoreUnavailableError, "disk reported an error"),  # SQLITE_IOERR_FSYNC
        (13, StoreUnavailableError, "disk is full"),
        (14, StoreUnavailableError, "cannot be opened"),
        (11, DatabaseError, "restore a backup"),
        (26, DatabaseError, "no SQLite database"),
    ],
)
def test_each_trouble_says_what_to_do(code, kind, sentence):
    with pytest.raises(kind, match=sentence) as raised, translated():
        raise error(code)
    assert "the driver's own words" in raised.value.message
    assert isinstance(raised.value.__cause__, driver.OperationalError)


def test_waiting_in_vain_for_a_connection_is_unavailable():
    assert isinstance(translate(exc.TimeoutError("pool")), StoreUnavailableError)


def test_our_own_mistakes_stay_what_they_are():
    with pytest.raises(driver.OperationalError, match="own words"), translated():
        raise error(1)
    assert not is_conflict(error(1))
