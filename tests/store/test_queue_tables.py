"""The queue's tables are those that the installed procrastinate would make itself."""

from __future__ import annotations

from importlib.resources import files

from procrastinate.schema import SchemaManager

from penstock.store import queue_tables
from penstock.work.queue import refuse_newer_tables


def test_our_copy_is_what_the_library_ships() -> None:
    """Where this fails the library has changed its tables: copy them, and write a revision that
    leads there from ours by the library's own migrations."""
    (name,) = queue_tables.FILES
    ours = (files("penstock.store.migrations") / name).read_text()
    assert ours.endswith(SchemaManager.get_schema())
    refuse_newer_tables()
