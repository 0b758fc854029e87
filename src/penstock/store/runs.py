"""Runs: one row each, counters added by every unit."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from sqlalchemy import Row, delete, insert, select, update

from penstock.model.outcome import COUNTER_NAMES, Counters
from penstock.model.run import NewRun, Run, RunKind, RunState
from penstock.model.standing import Standing
from penstock.store.engines import Engines
from penstock.store.streams import due_after_run, told
from penstock.store.tables import runs

_OF = (runs.c.workspace, runs.c.connection, runs.c.stream)


class SqlRuns:
    """Role `Runs` over the tables. The unit of work adds the counters, not this class."""

    def __init__(self, engines: Engines) -> None:
        self._engines = engines

    def start(self, run: NewRun) -> int:
        """A new run in state running; its number."""
        row = asdict(run) | Counters().as_json() | {"state": RunState.RUNNING, "work_us": 0}
        with self._engines.writer.begin() as connection:
            made = connection.execute(insert(runs).values(row).returning(runs.c.run_no))
            return int(made.scalar_one())

    def finish(
        self,
        run_no: int,
        *,
        state: RunState,
        reason: str | None,
        message: str | None,
        finished_at: int,
        work_us: int,
        counters: Counters | None = None,
        standing: Standing | None = None,
        was_due_at: int | None = None,
    ) -> None:
        """End a run, and say where its stream stands, in one transaction: see the role."""
        ending: dict[str, Any] = {
            "state": state,
            "reason": reason,
            "message": message,
            "finished_at": finished_at,
            "work_us": work_us,
        }
        ending |= counters.as_json() if counters else {}
        with self._engines.writer.begin() as connection:
            end = update(runs).where(runs.c.run_no == run_no).values(ending).returning(*_OF)
            run = connection.execute(end).one()
            if standing is not None:
                key = (run.workspace, run.connection, run.stream, "")
                due = due_after_run(standing, was_due_at)
                tell = told(self._engines, key, standing, now=finished_at, next_run_at=due)
                connection.execute(tell)

    def get(self, run_no: int) -> Run | None:
        """The run, or None."""
        with self._engines.reader.connect() as connection:
            row = connection.execute(select(runs).where(runs.c.run_no == run_no)).one_or_none()
        return _run(row) if row else None

    def list(self, workspace: str, *, connection: str | None = None, limit: int = 50) -> list[Run]:
        """Latest first."""
        wanted = select(runs).where(runs.c.workspace == workspace)
        if connection is not None:
            wanted = wanted.where(runs.c.connection == connection)
        wanted = wanted.order_by(runs.c.run_no.desc()).limit(limit)
        with self._engines.reader.connect() as reading:
            return [_run(row) for row in reading.execute(wanted)]

    def interrupt(
        self,
        workspace: str,
        connection: str,
        stream: str,
        *,
        now: int,
        except_run: int,
        partition: str = "",
    ) -> int:
        """Mark runs of the stream, or partition, still `running` as interrupted; how many."""
        left_behind = (
            update(runs)
            .where(runs.c.workspace == workspace, runs.c.connection == connection)
            .where(runs.c.stream == stream, runs.c.state == RunState.RUNNING)
            .where(runs.c.partition == partition, runs.c.run_no != except_run)
            .values(state=RunState.INTERRUPTED, finished_at=now)
        )
        with self._engines.writer.begin() as writing:
            return writing.execute(left_behind).rowcount

    def forget(self, before: int, *, limit: int) -> int:
        """Remove runs that ended before and that no version came of, at most so many; how many.

        A version's provenance names its run, so that one stays as long as the version does.
        """
        row = runs.c
        old = (
            select(row.run_no)
            .where(row.finished_at < before, row.partition == "")
            .where(row.created == 0, row.updated == 0, row.absent == 0)
            .order_by(row.run_no)
            .limit(limit)
        )
        with self._engines.writer.begin() as writing:
            return writing.execute(delete(runs).where(row.run_no.in_(old))).rowcount


def _run(row: Row[Any]) -> Run:
    return Run(
        run_no=row.run_no,
        workspace=row.workspace,
        connection=row.connection,
        stream=row.stream,
        kind=RunKind(row.kind),
        connector=row.connector,
        connector_version=row.connector_version,
        owner=row.owner,
        started_at=row.started_at,
        finished_at=row.finished_at,
        state=RunState(row.state),
        reason=row.reason,
        message=row.message,
        work_us=row.work_us,
        counters=Counters(*(row._mapping[name] for name in COUNTER_NAMES)),
        partition=row.partition,
    )
