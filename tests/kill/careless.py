"""The victim of `victim.py`, with a store that keeps state and data in two transactions.

It saves the checkpoint first and the page afterwards: what many tools do. The kill test must fail.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from penstock.model.unit import UnitOfWork
from penstock.store.postgres_documents import PostgresDocuments
from penstock.store.sqlite_documents import SqliteDocuments
from tests.kill import victim


def careless(commit: Callable[[Any, UnitOfWork], None]) -> Callable[[Any, UnitOfWork], None]:
    """The same in two transactions."""

    def write(self: Any, unit: UnitOfWork) -> None:
        if unit.checkpoint is None or unit.lease is None:
            commit(self, unit)
            return
        commit(self, replace(unit, versions=(), marks=(), letters=(), pages=(), closed=()))
        commit(self, replace(unit, checkpoint=None, lease=None, unit_no=0))

    return write


for documents in (SqliteDocuments, PostgresDocuments):
    documents.commit = careless(documents.commit)  # type: ignore[method-assign]

if __name__ == "__main__":
    victim.main(*sys.argv[1:])
