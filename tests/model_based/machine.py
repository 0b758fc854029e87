"""Sources change, runs fail, processes die: what must hold after every step, and at rest."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from datetime import datetime, timedelta
from functools import cache
from itertools import pairwise
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, ClassVar

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule

from penstock import Gone, Since
from penstock.model import times
from penstock.model.run import RunKind
from penstock.model.unit import DocumentState
from penstock.pipeline import collection
from penstock.pipeline.letters import Postmaster
from penstock.pipeline.reading import Fresh, Installation, RecordReader
from penstock.pipeline.reading_process import Reading
from penstock.pipeline.replay import Replayer
from penstock.pipeline.stage import Stage
from penstock.pipeline.unit import UnitWriter
from penstock.sdk.connector import Connector
from penstock.store.rows import StoredVersion
from penstock.store.sqlite import SqliteStore
from penstock.testing.store_case import placed
from penstock.work import sources
from penstock.work.runner import RunReport
from tests.database import databases
from tests.model_based.crash import Crash, Ending, Killed, crashing
from tests.model_based.source import COARSE, LATE, NUMBER, Change, Doing, Source, Turn
from tests.pipeline.plant import Plant, acme

Histories = dict[str, list[StoredVersion]]

MEMORY = Path("/dev/shm")
IDS = ("a", "b", "c", "d", "e")
NAMES = ("Ann", "Bob", "Cyd")
LEVEL = 1_772_445_600  # 2026-03-02T10:00:00Z
BEHIND = LEVEL - 3600
SOURCE_CLOCKS = (LEVEL + 7200, LEVEL, BEHIND, BEHIND + 15)
"""Ahead of the plant's clock, level with it, behind it, and behind by another quarter minute."""

CHANGES = st.builds(
    Change,
    record_id=st.sampled_from(IDS),
    doing=st.sampled_from((Doing.EDIT, *(doing for doing in Doing if doing is not Doing.VANISH))),
    name=st.sampled_from(NAMES),
    age=st.sampled_from((2, 2, 1, 0)),
)
SECONDS = st.sampled_from((0, 0, 0, 15, 30, 60, 120))
SELDOM = st.sampled_from((False, False, False, True))
TURNS = st.builds(
    Turn,
    refusals=st.sampled_from((0, 0, 0, 0, 0, 1, 6)),
    garbled=st.sampled_from((False, False, False, False, True)),
    expired=st.sampled_from((False, False, False, True)),
    changes=st.lists(CHANGES, max_size=2).map(tuple),
    seconds=SECONDS,
)
CRASHES = st.sampled_from(
    [Crash(page, after, how) for page in (0, 0, 1, 2) for after in (False, True) for how in Ending]
)


class SourceMachine(RuleBasedStateMachine):
    """One stream of one connection through several runs.

    An ordinary run is enough, as long as the source keeps its promises: stamps that never go back
    and tell of a change within the settle window. untold: the records where it broke one; only a
    full run finds them.
    incremental_only: full runs cannot make good what an ordinary one lost.
    fired: how often each fault and each change took place, over all examples.
    """

    settle: ClassVar[timedelta] = timedelta(seconds=LATE)
    source_type: ClassVar[type[Source]] = Source
    torn_commits: ClassVar[bool] = False
    incremental_only: ClassVar[bool] = False
    always_sweeping: ClassVar[bool] = False
    fired: ClassVar[Counter[str]] = Counter()

    def __init__(self) -> None:
        super().__init__()
        self.folder = TemporaryDirectory(dir=_fast_folder())
        self.mended = False
        self.untold: set[str] = set()
        self.sound = True

    @initialize(
        limit=st.integers(1, 3),
        now=st.sampled_from(SOURCE_CLOCKS),
        dated=st.booleans(),
        ahead=st.booleans(),
        full_at_rest=st.booleans(),
        sweeping=st.sampled_from((True, True, False)),
    )
    def begin(
        self, limit: int, now: int, dated: bool, ahead: bool, full_at_rest: bool, sweeping: bool
    ) -> None:
        self.source = self.source_type(BEHIND if self.incremental_only else now, limit)
        self.dated, self.ahead = dated, ahead
        full_at_rest, sweeping = (
            full_at_rest or self.always_sweeping,
            sweeping or self.always_sweeping,
        )
        self.full_at_rest = full_at_rest and not self.incremental_only
        self.sweeping = sweeping and self.full_at_rest
        database = Path(self.folder.name) / "penstock.db"
        if databases.kind == "sqlite":
            database.write_bytes(_empty_database())
        self.plant = Plant(database.parent, self.source, self.connector())
        self.plant.reads_beside = True

    @rule(changes=st.lists(CHANGES, min_size=1, max_size=4), seconds=SECONDS)
    def change(self, changes: list[Change], seconds: int) -> None:
        """The source goes about its day."""
        self.source.move(changes, seconds)

    @precondition(lambda self: self.full_at_rest)
    @rule(record_id=st.sampled_from(IDS), name=st.sampled_from(NAMES))
    def change_quietly(self, record_id: str, name: str) -> None:
        """The source breaks its promise about this record."""
        self.untold.add(record_id)
        self.source.apply(Change(record_id, Doing.EDIT, name, quiet=True))

    @precondition(lambda self: self.sweeping)
    @rule(record_id=st.sampled_from(IDS), turns=st.lists(TURNS, max_size=4), meant=st.booleans())
    def vanish(self, record_id: str, turns: list[Turn], meant: bool) -> None:
        """A record is no longer listed, and nothing says so. Two full runs prove it, while the
        source goes on changing. meant: somebody confirms it at once."""
        self.untold.add(record_id)
        self.source.apply(Change(record_id, Doing.EDIT))
        self.run([], full=True)
        self.source.apply(Change(record_id, Doing.VANISH))
        self.run(turns, full=True)
        self.run([], full=True)
        if meant and self.deletes_wait():
            self.confirm(None)

    @precondition(lambda self: self.sweeping and self.deletes_wait())
    @rule(crash=st.none() | CRASHES)
    def confirm(self, crash: Crash | None) -> None:
        """Somebody says that the deletes which wait are meant."""
        self.run([], confirmed=True, crash=crash)

    @rule(turns=st.lists(TURNS, max_size=4), full=SELDOM)
    def pull(self, turns: list[Turn], full: bool) -> None:
        """A run while the source refuses, garbles and changes."""
        self.run(turns, full=full)

    @rule(fresh=st.sampled_from(IDS), late=st.sampled_from(IDS), name=st.sampled_from(NAMES))
    def pull_before_a_late_change(self, fresh: str, late: str, name: str) -> None:
        """The run brings a fresh change; the one behind it is stamped as far back as it may be,
        which is where the watermark stands."""
        self.source.now += 2 * LATE + -self.source.now % COARSE
        self.source.apply(Change(fresh, Doing.EDIT, name))
        self.run([])
        self.source.apply(Change(late, Doing.EDIT, name, age=2))
        self.run([])

    @rule(turns=st.lists(TURNS, max_size=3), crash=CRASHES, full=SELDOM, settled=st.booleans())
    def pull_and_crash(self, turns: list[Turn], crash: Crash, full: bool, settled: bool) -> None:
        """settled: what is lost lies too far back for the next run to read it again by itself."""
        if settled:
            self.source.now += LATE
        self.run(turns, full=full, crash=crash)

    @rule(turns=st.lists(TURNS, max_size=3), full=SELDOM)
    def observe(self, turns: list[Turn], full: bool) -> None:
        before = self.kept()
        self.run(turns, full=full, observing=True)
        assert self.kept() == before

    @precondition(lambda self: self.plant.letters())
    @rule()
    def replay(self) -> None:
        """Dead letters once more; only a mended mapping makes documents of them."""
        for letter in self.plant.letters():
            if not letter.document_type:
                continue
            documents = self.plant.store.documents
            writer = UnitWriter(documents, documents.commit)
            replayer = Replayer(self.plant.installation, writer, self.plant.clock)
            counters = replayer.replay(letter, letter.run_no)
            self.fired["replayed"] += counters.submitted
            good = self.mended and letter.reason != "mapping_error"
            assert (counters.set_aside == 0) is good
        self.check_kept(self.histories())

    @precondition(lambda self: not self.mended)
    @rule()
    def mend(self) -> None:
        """The author mends the mapping and replays, as `dead-letters replay` is meant for."""
        self.mended = True
        self.plant.install(self.connector(), code=b"2")
        self.replay()

    def teardown(self) -> None:
        try:
            if self.sound and hasattr(self, "plant"):
                self.come_to_rest()
        finally:
            self.close()

    def close(self) -> None:
        if hasattr(self, "plant"):
            SourceMachine.fired += self.source.fired
            self.plant.store.close()
            databases.recycle()
        self.folder.cleanup()

    def come_to_rest(self) -> None:
        """No more changes: one run from first page to last, and the store is the source."""
        self.source.now += LATE
        if self.full_at_rest:
            self.run([], full=True)
            if self.sweeping:
                self.run([], full=True)
                if self.deletes_wait():
                    self.confirm(None)
        else:
            assert not self.untold
            if self.is_under_way():
                self.run([])  # an enumeration that began before the last changes is ended first
            self.run([])
        self.check_store_is_source()
        versions = self.plant.versions()
        self.run([])
        self.run([], full=True)
        assert self.plant.versions() == versions
        self.check_store_is_source()

    def run(
        self,
        turns: list[Turn],
        *,
        full: bool = False,
        observing: bool = False,
        confirmed: bool = False,
        crash: Crash | None = None,
    ) -> RunReport | None:
        """One run; None where it was killed. It ends well unless something was in its way."""
        self.sound = False
        if not self.is_under_way():
            self.begun = {key: len(past) for key, past in self.source.past.items()}
        full = full and not self.incremental_only
        self.source.turns.extend(turns)
        before = self.source.hindrances()
        report: RunReport | None = None
        killed = False
        with _paged(self.ahead), crashing(self.plant, crash, torn=self.torn_commits) as commits:
            try:
                report = self.plant.run(full=full, observing=observing, confirmed=confirmed)
            except Killed:
                killed = True
        self.source.turns.clear()
        hindered = self.source.hindrances() > before
        if commits.fired and crash is not None:
            self.fired[f"{crash.ending} {'after' if crash.after else 'before'}"] += 1
            assert killed == (crash.ending is not Ending.LOST)
            assert report is None or report.reason == "store_unavailable"
        elif report is not None and report.failed:
            assert hindered, report
            expected = {"upstream_unavailable", "invalid_page", "cursor_expired"}
            assert report.reason in expected, report
        if report is not None:
            self.fired["absent"] += report.counters.absent
        if not observing:
            histories = self.histories()
            self.check_kept(histories)
            if report is not None and not report.failed and not confirmed:
                self.check_caught_up(histories)
        self.sound = True
        return report

    def connector(self) -> Connector:
        since = Since(param="updated_since", field="updated_at", settle=self.settle)
        return acme(
            _mapping(self.dated, self.mended),
            since=since,
            expired=(410,),
            deletes="absent" if self.sweeping else None,
        )

    def checkpoint(self) -> tuple[Any, Any, int | None]:
        """(cursor, enumeration, watermark); nothing of it before the first run."""
        state = self.plant.store.streams.get("default", "acme-main", "customers")
        return (state.cursor, state.enumeration, state.watermark) if state else (None, None, None)

    def is_under_way(self) -> bool:
        return self.checkpoint()[1] is not None

    def deletes_wait(self) -> bool:
        return bool(self.plant.store.sweeps.waiting("default"))

    def histories(self) -> Histories:
        reader = self.plant.store.reader
        documents = reader.documents("default", "customer")
        return {d.source_id: reader.history(d.document_id) for d in documents}

    def kept(self) -> Any:
        """Everything that an observation leaves as it is."""
        return self.histories(), self.plant.letters(state=None), self.checkpoint()

    def check_kept(self, histories: Histories) -> None:
        """What holds at any time, also right after a crash."""
        for record_id, versions in histories.items():
            assert [v.version for v in versions] == list(range(1, len(versions) + 1))
            shown = [(v.payload_hash, v.state) for v in versions]
            assert all(a != b for a, b in pairwise(shown)), record_id
            _check_subsequence([_content(v) for v in versions], self.source.past[record_id])
        total = sum(map(len, histories.values()))
        feed = placed(self.plant.store, total)
        assert [item.seq for item in feed] == list(range(1, total + 1))
        self.check_counted_once(len(histories), total)

    def check_caught_up(self, histories: Histories) -> None:
        """An enumeration that ended shows each record as it was when that began, or later."""
        for record_id, begun in self.begun.items():
            if record_id in self.untold:
                continue
            seen = self.source.past[record_id][begun - 1 :]
            versions = histories.get(record_id)
            shown = _content(versions[-1]) if versions else None
            assert shown in seen or self.is_faulty(seen), (record_id, shown, seen)

    def is_faulty(self, seen: list[str | None]) -> bool:
        """Whether one of these made a letter."""
        return "" in seen or (not self.mended and str(NUMBER) in seen)

    def check_counted_once(self, documents: int, versions: int) -> None:
        """All runs together have counted each document and each version once."""
        runs = self.plant.store.runs.list("default", limit=1000)
        counted = [run.counters for run in runs if run.kind is not RunKind.OBSERVE]
        assert all(counters.balanced for counters in counted)
        assert sum(counters.created for counters in counted) == documents
        assert sum(c.created + c.updated for c in counted) == versions

    def check_store_is_source(self) -> None:
        rows = [row for row in self.source.rows.values() if row.listed and not row.deleted]
        faulty = {r.record_id for r in rows if not isinstance(r.name, self.accepted())}
        stored = self.plant.payloads()
        assert {
            record_id: (payload["name"], payload["source_updated_at"])
            for record_id, payload in stored.items()
            if record_id not in faulty
        } == {r.record_id: (str(r.name), r.updated_at) for r in rows if r.record_id not in faulty}
        # What was never good and is no longer listed stays among the letters, for a person to see.
        unlisted = {
            f"acme:customer:{r.record_id}" for r in self.source.rows.values() if not r.listed
        }
        letters = [str(letter.idempotency_key) for letter in self.plant.letters()]
        assert sorted(key for key in letters if key not in unlisted) == sorted(
            f"acme:customer:{r}" for r in faulty
        )

    def accepted(self) -> type | tuple[type, ...]:
        return (str, int) if self.mended else str


def _mapping(dated: bool, mended: bool) -> Callable[[dict[str, Any]], Any]:
    """dated: deletes tell their time. mended: a number is a name."""

    def mapping(record: dict[str, Any]) -> Any:
        if record.get("deleted"):
            return Gone(datetime.fromisoformat(record["updated_at"]) if dated else None)
        name = record["display_name"]
        return {
            "customer_id": record["id"],
            "name": str(name) if mended and name == NUMBER else name,
            "source_updated_at": record["updated_at"],
        }

    return mapping


@contextmanager
def _paged(ahead: bool) -> Iterator[None]:
    """Fixes when the next page is fetched and read, which threads and processes leave to chance.

    ahead: fetched before this page is worked on and read before it is committed, the earliest there
    is; else both after its commit, the latest.
    """
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(collection, "ThreadPoolExecutor", _AtOnce if ahead else _AtLast)
        patch.setattr(collection, "MANY_FRESH", 0)
        patch.setattr(sources, "ReadingProcess", _ReadAtOnce)
        yield


class _AtOnce:
    """Does what it is given to do when it is given."""

    def __init__(self, **_: object) -> None: ...

    def submit(self, work: Callable[..., Any], *given: Any) -> Future[Any]:
        future: Future[Any] = Future()
        try:
            future.set_result(work(*given))
        except Exception as error:
            future.set_exception(error)
        return future

    def shutdown(self, **_: object) -> None: ...


class _AtLast(_AtOnce):
    """Does it when it is asked for the result."""

    def submit(self, work: Callable[..., Any], *given: Any) -> Future[Any]:
        return _Undone(work, *given)


class _Undone(Future[Any]):
    def __init__(self, work: Callable[..., Any], *given: Any) -> None:
        super().__init__()
        self.work = lambda: work(*given)

    def result(self, timeout: float | None = None) -> Any:
        return self.work()


class _ReadAtOnce:
    """What the process beside does, in this one and at once."""

    is_ready = True

    def __init__(self, installation: Installation, stream: str) -> None:
        self.reader = RecordReader(installation, stream)
        connection = installation.connection
        self.postmaster = Postmaster(connection.workspace, connection.name, stream)

    def read(self, fresh: list[Fresh], received_at: datetime) -> Future[Reading]:
        stage = Stage(times.microseconds(received_at), self.postmaster)
        self.reader.read(stage, fresh, received_at)
        future: Future[Reading] = Future()
        future.set_result(Reading.of(stage))
        return future

    def close(self) -> None: ...


def _check_subsequence(versions: list[str | None], past: list[str | None]) -> None:
    """Versions tell what the record was, in that order; what nobody saw may be left out."""
    rest = iter(past)
    assert all(any(state == was for was in rest) for state in versions), (versions, past)


def _content(version: StoredVersion) -> str | None:
    """As in Source.past: the name, None for a delete."""
    return None if version.state == DocumentState.DELETED else json.loads(version.content)["name"]


@cache
def _empty_database() -> bytes:
    """The file of a new store; made once, since making one takes as long as a run."""
    with TemporaryDirectory() as folder:
        path = Path(folder) / "penstock.db"
        SqliteStore.open(f"sqlite:///{path}").close()
        return path.read_bytes()


def _fast_folder() -> str | None:
    """Memory where the system has it as a folder: durability is the kill sweep's matter."""
    return str(MEMORY) if MEMORY.is_dir() else None
