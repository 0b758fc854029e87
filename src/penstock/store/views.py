"""Views over the documents, for whoever looks at the database with another program."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

from sqlalchemy import Connection, delete, insert, select

from penstock.model.column import SqlView
from penstock.store import schema, view_sql
from penstock.store.engines import Engines
from penstock.store.tables import views


class SqlViews:
    """Role `Views` over the tables."""

    def __init__(self, engines: Engines, dialect: view_sql.Dialect) -> None:
        self._engines = engines
        self._dialect = dialect

    def keep(self, wanted: Sequence[SqlView]) -> list[str]:
        """Make what is missing or would be written differently now, drop what nobody wants.

        The names of those that were touched; none, and nothing written, where all is as it should
        be. One transaction. Raises DatabaseError where the user may not, or where views of
        somebody else's depend on one that has changed.
        """
        texts = {view.name: view_sql.create(view, self._dialect) for view in wanted}
        marks = {name: hashlib.sha256(text.encode()).hexdigest() for name, text in texts.items()}
        with self._engines.reader.connect() as reading:
            if _marks(reading) == marks:
                return []
        with self._engines.writer.begin() as writing:
            schema.alone(writing)
            made = _marks(writing)  # another process may have been quicker
            touched = sorted(n for n in made | marks if made.get(n) != marks.get(n))
            for name in touched:
                writing.exec_driver_sql(view_sql.drop(name))
                writing.execute(delete(views).where(views.c.name == name))
                if name in texts:
                    writing.exec_driver_sql(texts[name])
                    writing.execute(insert(views).values(name=name, mark=marks[name]))
        return touched


def _marks(connection: Connection) -> dict[str, str]:
    found = connection.execute(select(views.c.name, views.c.mark))
    return {row.name: row.mark for row in found}
