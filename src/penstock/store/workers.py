"""Workers: who works on this database, and when each last said that it lives."""

from __future__ import annotations

from sqlalchemy import delete, or_, select

from penstock.store.engines import Engines
from penstock.store.rows import WorkerRow
from penstock.store.tables import turns, workers


class SqlWorkers:
    """Role `Workers` over the tables."""

    def __init__(self, engines: Engines) -> None:
        self._engines = engines

    def beat(self, worker: WorkerRow, *, forget_before: int) -> None:
        """Say that a worker lives, and forget those that have not since `forget_before`."""
        row = worker._asdict()
        with self._engines.writer.begin() as writing:
            writing.execute(
                self._engines.upsert(workers)
                .values(row)
                .on_conflict_do_update(
                    index_elements=("owner",), set_={"busy": worker.busy, "beat_at": worker.beat_at}
                )
            )
            writing.execute(delete(workers).where(workers.c.beat_at < forget_before))

    def leave(self, owner: str) -> None:
        """A worker ends by itself."""
        with self._engines.writer.begin() as writing:
            writing.execute(delete(workers).where(workers.c.owner == owner))

    def list(self) -> list[WorkerRow]:
        """All of them, the longest at work first."""
        columns = [workers.c[name] for name in WorkerRow._fields]
        wanted = select(*columns).order_by(workers.c.started_at, workers.c.owner)
        with self._engines.reader.connect() as reading:
            return [WorkerRow(*row) for row in reading.execute(wanted)]

    def take_turn(self, what: str, *, now: int, every: int) -> bool:
        """Whether it is the caller's turn at what all workers do together: see the role."""
        free = or_(turns.c.taken_at <= now - every, turns.c.taken_at > now + every)
        take = (
            self._engines.upsert(turns)
            .values(what=what, taken_at=now)
            .on_conflict_do_update(index_elements=("what",), set_={"taken_at": now}, where=free)
            .returning(turns.c.what)
        )
        with self._engines.writer.begin() as writing:
            return writing.execute(take).one_or_none() is not None
