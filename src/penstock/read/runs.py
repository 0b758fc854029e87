"""A run as people see it: what it did, how long it worked, how it ended."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from penstock.model.outcome import Counters, Outcome
from penstock.model.run import Run, RunKind
from penstock.read import notation

OUTCOMES = frozenset(outcome.value for outcome in Outcome)


@dataclass(frozen=True, slots=True)
class RunView:
    """work_seconds: from the first request to the last commit. partition: of a backfill, "" for
    the stream itself."""

    run_no: int
    connection: str
    stream: str
    kind: str
    state: str
    reason: str | None
    message: str | None
    connector: str
    connector_version: str
    owner: str
    started_at: str | None
    finished_at: str | None
    work_seconds: float
    counters: Counters
    partition: str = ""

    @classmethod
    def of(cls, run: Run) -> RunView:
        return cls(
            run_no=run.run_no,
            connection=run.connection,
            stream=run.stream,
            kind=run.kind.value,
            state=run.state.value,
            reason=run.reason,
            message=run.message,
            connector=run.connector,
            connector_version=run.connector_version,
            owner=run.owner,
            started_at=notation.instant(run.started_at),
            finished_at=notation.instant(run.finished_at),
            work_seconds=run.work_us / 1_000_000,
            counters=run.counters,
            partition=run.partition,
        )

    def as_json(self) -> dict[str, Any]:
        """Counters as members; of an observation the outcomes are called would_created, ….

        The same names as in the report that ends `penstock run`.
        """
        members = notation.members(self)
        members = {"run": members.pop("run_no")} | members
        counters = members.pop("counters")
        prefix = "would_" if self.kind == RunKind.OBSERVE else ""
        return members | {
            (prefix + name if name in OUTCOMES else name): count for name, count in counters.items()
        }
