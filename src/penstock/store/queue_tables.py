"""The queue's own tables on PostgreSQL: procrastinate's, beside ours and by its names.

What it would run itself, `work.queue` has as files here, one for each revision that changed it.
"""

from __future__ import annotations

from importlib.resources import files

from sqlalchemy import Connection

FILES = ("queue_0006.sql",)
"""In the order to run them; a new database gets all."""


def make(connection: Connection, names: tuple[str, ...] = FILES) -> None:
    """Run files of statements, in the caller's transaction."""
    folder = files("penstock.store.migrations")
    for name in names:
        text = (folder / name).read_text(encoding="utf-8")
        # Without parameters the driver sends it as it is: many statements at once.
        connection.exec_driver_sql(text, execution_options={"no_parameters": True})
