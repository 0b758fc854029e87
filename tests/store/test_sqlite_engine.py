"""A setting that does not hold is not served with."""

import pytest

from penstock.errors import DatabaseError
from penstock.store.sqlite_engine import PROMISED, refuse_broken_promise


def test_kept_promises_pass():
    refuse_broken_promise(dict(PROMISED))


@pytest.mark.parametrize(
    ("name", "found"),
    [("journal_mode", "delete"), ("synchronous", 1), ("foreign_keys", 0), ("busy_timeout", 0)],
)
def test_a_broken_promise_is_refused_by_name(name, found):
    with pytest.raises(DatabaseError, match=f"{name}={found} where {PROMISED[name]}"):
        refuse_broken_promise(PROMISED | {name: found})
