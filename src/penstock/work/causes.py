"""What somebody should be told: causes for worry that stand now, and those that are over. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from penstock.model import times
from penstock.model.connection import Connection, ConnectionState, StreamState
from penstock.model.notice import Cause, Notice, StoredNotice, Subject
from penstock.model.standing import Condition
from penstock.store.rows import OverdueStream

_OF_CONDITION = {
    Condition.NEEDS_REAUTH: Cause.NEEDS_REAUTH,
    Condition.PARKED: Cause.PARKED,
    Condition.RATE_LIMITED: Cause.PARKED,
    Condition.PAUSED_BY_DRIFT: Cause.DRIFT,
    Condition.FORBIDDEN: Cause.FAILED,
    Condition.NOT_FOUND: Cause.FAILED,
    Condition.UPSTREAM_FAILING: Cause.FAILED,
    Condition.FAILED: Cause.FAILED,
}
_LASTING = (Cause.FAILED, Cause.PARKED)
"""Over only when the stream is well again: to fail and to be parked in turn is one story."""

Drifting = Mapping[tuple[str, str, str], tuple[int, int]]


@dataclass(frozen=True, slots=True)
class Seen:
    """What the store shows. drifting: (workspace, connection, stream) to how many, since when."""

    connections: Sequence[Connection]
    unwell: Sequence[StreamState]
    drifting: Drifting
    late: Sequence[OverdueStream]
    now: int

    def notices(self) -> dict[Subject, Notice]:
        """Every cause that stands; of a stream, what its own condition says goes before."""
        found = [*self._lost(), *self._unwell(), *self._drifting(), *self._late()]
        return {notice.subject: notice for notice in reversed(found)}

    def over(self, opened: Iterable[StoredNotice]) -> list[int]:
        """The numbers of those whose causes are over."""
        standing = self.notices()
        unwell = {(row.workspace, row.connection, row.stream) for row in self.unwell}
        return [
            notice.notice_no
            for notice in opened
            if notice.subject not in standing
            and not (notice.subject.cause in _LASTING and notice.subject[:3] in unwell)
        ]

    def _lost(self) -> Iterable[Notice]:
        for each in self.connections:
            if each.state is ConnectionState.NEEDS_REAUTH:
                subject = Subject(each.workspace, each.name, "", Cause.NEEDS_REAUTH)
                yield Notice(subject, each.reason or "it must be connected again", self.now)

    def _unwell(self) -> Iterable[Notice]:
        for row in self.unwell:
            cause = _OF_CONDITION.get(Condition(row.state))
            if cause is None or (cause is Cause.PARKED and (row.next_run_at or 0) <= self.now):
                continue  # it stopped to go on at once
            whole = cause is Cause.NEEDS_REAUTH
            place = (row.workspace, row.connection, "" if whole else row.stream)
            yield Notice(Subject(*place, cause), _told(row), row.since or self.now)

    def _drifting(self) -> Iterable[Notice]:
        for place, (number, since) in self.drifting.items():
            _, connection, stream = place
            detail = (
                f"{number} difference{'' if number == 1 else 's'} in the provider's records: "
                f"penstock drift {connection} {stream}"
            )
            yield Notice(Subject(*place, Cause.DRIFT), detail, since)

    def _late(self) -> Iterable[Notice]:
        for row in self.late:
            subject = Subject(row.workspace, row.connection, row.stream, Cause.LATE)
            due = times.write(times.moment(row.due_at))
            yield Notice(subject, f"it was due at {due} and nobody runs it", row.due_at)


def _told(row: StreamState) -> str:
    reason = row.reason or row.state
    if row.next_run_at is None:
        return reason
    return f"{reason}; it runs again at {times.write(times.moment(row.next_run_at))}"
