"""Replaying dead letters: which ones, and the run they are counted in."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import Any

from penstock.clock import Clock
from penstock.errors import PenstockError, UsageError
from penstock.model import times
from penstock.model.outcome import Counters
from penstock.model.run import NewRun, RunKind, RunState
from penstock.model.unit import LetterState
from penstock.pipeline.pull import Progress
from penstock.pipeline.replay import Replayer
from penstock.store.roles import Store
from penstock.store.rows import StoredLetter
from penstock.work.owner import Owner

PAGE = 500


@dataclass(frozen=True, slots=True)
class ReplayReport:
    """letters = replayed + still_open + skipped. skipped: letters that no replay can close;
    messages say what can."""

    letters: int
    replayed: int
    still_open: int
    skipped: int
    counters: Counters
    messages: tuple[str, ...] = ()

    def as_json(self) -> dict[str, Any]:
        return {
            "letters": self.letters,
            "replayed": self.replayed,
            "still_open": self.still_open,
            "skipped": self.skipped,
            "counters": self.counters.as_json(),
            "messages": list(self.messages),
        }


def choose(
    store: Store,
    workspace: str,
    letter: bytes | None,
    connection: str | None,
    stream: str | None,
    reason: str | None,
) -> list[StoredLetter]:
    """The open letters that were asked for. Raises UsageError for one that is not open."""
    if letter is None:
        return list(_open_letters(store, workspace, connection, stream, reason))
    found = store.letters.get(letter)
    if found is None or found.workspace != workspace:
        raise UsageError("no such dead letter; see `penstock dead-letters list`")
    if found.state is not LetterState.OPEN:
        raise UsageError(f"this dead letter is closed already ({found.state})")
    return [found]


def run(
    store: Store,
    letters: Iterable[StoredLetter],
    replayer_of: Callable[[str], Replayer],
    clock: Clock,
    progress: Callable[[Progress], None] | None = None,
) -> ReplayReport:
    """Replay letters, each in a transaction of its own, counted in one run for each stream."""
    by_stream: dict[tuple[str, str], list[StoredLetter]] = {}
    for letter in letters:
        by_stream.setdefault((letter.connection, letter.stream), []).append(letter)
    report = ReplayReport(0, 0, 0, 0, Counters())
    replayers: dict[str, Replayer] = {}
    for (connection, _), group in by_stream.items():
        replayer = replayers.setdefault(connection, replayer_of(connection))
        report = _added(report, _replay_stream(store, replayer, group, clock, progress))
    return report


def _replay_stream(
    store: Store,
    replayer: Replayer,
    letters: list[StoredLetter],
    clock: Clock,
    progress: Callable[[Progress], None] | None,
) -> ReplayReport:
    began = clock.monotonic()
    run_no = store.runs.start(_new_run(replayer, letters[0], clock))
    report = ReplayReport(0, 0, 0, 0, Counters())
    state, message = RunState.DONE, None
    try:
        for letter in letters:
            report = _added(report, _replay_one(store, replayer, letter, run_no))
            if progress is not None:
                seconds = clock.monotonic() - began
                progress(Progress(letter.stream, report.counters, seconds))
    except BaseException as error:
        state, message = RunState.FAILED, str(error)[:500]
        raise
    finally:
        store.runs.finish(
            run_no,
            state=state,
            reason=None if state is RunState.DONE else "internal_error",
            message=message,
            finished_at=times.microseconds(clock.now()),
            work_us=int((clock.monotonic() - began) * 1_000_000),
        )
    run = store.runs.get(run_no)
    assert run is not None  # begun above
    return replace(report, counters=run.counters)


def _replay_one(
    store: Store, replayer: Replayer, letter: StoredLetter, run_no: int
) -> ReplayReport:
    try:
        counters = replayer.replay(letter, run_no)
    except UsageError as error:
        return ReplayReport(1, 0, 0, 1, Counters(), (error.message,))
    except PenstockError as error:
        return _as_stored(store, letter, error)
    again = 1 if counters.set_aside else 0
    return ReplayReport(1, 1 - again, again, 0, counters)


def _as_stored(store: Store, letter: StoredLetter, error: PenstockError) -> ReplayReport:
    """A commit may have happened though its answer was lost: the store knows."""
    kept = store.letters.get(letter.letter_id)
    if kept is not None and kept.state is not LetterState.OPEN:
        return ReplayReport(1, 1, 0, 0, Counters())
    return ReplayReport(1, 0, 1, 0, Counters(), (error.message,))


def _new_run(replayer: Replayer, letter: StoredLetter, clock: Clock) -> NewRun:
    connector = replayer.installation.loaded.connector
    return NewRun(
        workspace=letter.workspace,
        connection=letter.connection,
        stream=letter.stream,
        kind=RunKind.REPLAY,
        connector=connector.key,
        connector_version=connector.version,
        owner=str(Owner.of_this_process()),
        started_at=times.microseconds(clock.now()),
    )


def _open_letters(
    store: Store, workspace: str, connection: str | None, stream: str | None, reason: str | None
) -> Iterable[StoredLetter]:
    after = b""
    while True:
        letters = store.letters.list(
            workspace,
            connection=connection,
            stream=stream,
            reason=reason,
            after=after,
            limit=PAGE,
        )
        yield from letters
        if len(letters) < PAGE:
            return
        after = letters[-1].letter_id


def _added(a: ReplayReport, b: ReplayReport) -> ReplayReport:
    return ReplayReport(
        a.letters + b.letters,
        a.replayed + b.replayed,
        a.still_open + b.still_open,
        a.skipped + b.skipped,
        a.counters + b.counters,
        tuple(dict.fromkeys((*a.messages, *b.messages)))[:20],
    )
