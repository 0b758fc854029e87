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
from penstock.model.run import RunKind
from penstock.model.unit import DocumentState
from penstock.pipeline import collection
from penstock.pipeline.collection import Send
from penstock.pipeline.replay import Replayer
from penstock.pipeline.unit import UnitWriter
from penstock.sdk.connector import Connector
from penstock.store.roles import StoredVersion
from penstock.store.sqlite import SqliteStore
from penstock.upstream.request import Request, Response
from penstock.work.runner import RunReport
from tests.model_based.crash import Crash, Ending, Killed, crashing
from tests.model_based.source import LATE, NUMBER, Change, Doing, Source, Turn
from tests.pipeline.plant import Plant, acme

MEMORY = Path("/dev/shm")
IDS = ("a", "b", "c", "d", "e")
NAMES = ("Ann", "Bob", "Cyd")
NOON = 1_772_452_800  # 2026-03-02T12:00:00Z
LEVEL = NOON - 7200
SOURCE_CLOCKS = (NOON, LEVEL, LEVEL + 15)
"""Two hours ahead of the plant's clock, level with it, and a quarter of a minute off."""

CHANGES = st.builds(
    Change,
    record_id=st.sampled_from(IDS),
    doing=st.sampled_from((Doing.EDIT, Doing.EDIT, *Doing)),
    name=st.sampled_from(NAMES),
    age=st.integers(0, 2),
)
SECONDS = st.sampled_from((0, 0, 15, 30, 60))
TURNS = st.builds(
    Turn,
    refusals=st.sampled_from((0, 0, 0, 0, 0, 1, 6)),
    garbled=st.sampled_from((False, False, False, False, True)),
    changes=st.lists(CHANGES, max_size=2).map(tuple),
    seconds=SECONDS,
)
CRASHES = st.builds(
    Crash, page=st.sampled_from((0, 0, 1, 2)), after=st.booleans(), ending=st.sampled_from(Ending)
)


class ModelPlant(Plant):
    """Leaves it to the machine to check a run whose last commit gave no answer."""

    def _check_laws(self, report: RunReport) -> None:
        if report.reason != "store_unavailable":
            super()._check_laws(report)


class SourceMachine(RuleBasedStateMachine):
    """One stream of one connection through several runs.

    At rest an ordinary run is enough, as long as the source keeps its promises: stamps that never
    go back and tell of a change within the settle window. Where it broke one, only a full run is.
    incremental_only: full runs cannot make good what an ordinary one lost.
    fired: how often each fault and each change took place, over all examples.
    """

    settle: ClassVar[timedelta] = timedelta(seconds=LATE)
    source_type: ClassVar[type[Source]] = Source
    torn_commits: ClassVar[bool] = False
    incremental_only: ClassVar[bool] = False
    fired: ClassVar[Counter[str]] = Counter()

    def __init__(self) -> None:
        super().__init__()
        self.folder = TemporaryDirectory(dir=_fast_folder())
        self.mended = False
        self.kept_promises = True
        self.sound = True

    @initialize(
        limit=st.integers(1, 3),
        now=st.sampled_from(SOURCE_CLOCKS),
        dated=st.booleans(),
        ahead=st.booleans(),
        full_at_rest=st.booleans(),
    )
    def begin(self, limit: int, now: int, dated: bool, ahead: bool, full_at_rest: bool) -> None:
        self.source = self.source_type(LEVEL if self.incremental_only else now, limit)
        self.dated, self.ahead = dated, ahead
        self.full_at_rest = full_at_rest and not self.incremental_only
        database = Path(self.folder.name) / "penstock.db"
        database.write_bytes(_empty_database())
        self.plant = ModelPlant(database.parent, self.source, self.connector())

    @rule(changes=st.lists(CHANGES, min_size=1, max_size=4), seconds=SECONDS)
    def change(self, changes: list[Change], seconds: int) -> None:
        """The source goes about its day."""
        self.source.move(changes, seconds)

    @precondition(lambda self: self.full_at_rest)
    @rule(record_id=st.sampled_from(IDS), name=st.sampled_from(NAMES))
    def change_quietly(self, record_id: str, name: str) -> None:
        """The source breaks its promise."""
        self.kept_promises = False
        self.source.apply(Change(record_id, Doing.EDIT, name, quiet=True))

    @rule(turns=st.lists(TURNS, max_size=4), full=st.sampled_from((False, False, False, True)))
    def pull(self, turns: list[Turn], full: bool) -> None:
        """A run while the source refuses, garbles and changes."""
        self.run(turns, full=full)

    @rule(turns=st.lists(TURNS, max_size=3), crash=CRASHES, full=st.booleans())
    def pull_and_crash(self, turns: list[Turn], crash: Crash, full: bool) -> None:
        self.run(turns, full=full, crash=crash)

    @rule(turns=st.lists(TURNS, max_size=3), full=st.booleans())
    def observe(self, turns: list[Turn], full: bool) -> None:
        before = self.kept()
        self.run(turns, full=full, observing=True)
        assert self.kept() == before

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
        self.check_kept()

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
        self.folder.cleanup()

    def come_to_rest(self) -> None:
        """No more changes: one run from first page to last, and the store is the source."""
        self.source.now += LATE
        if self.full_at_rest:
            self.run([], full=True)
        else:
            assert self.kept_promises
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
        crash: Crash | None = None,
    ) -> RunReport | None:
        """One run; None where it was killed. It ends well unless something was in its way."""
        self.sound = False
        full = full and not self.incremental_only
        self.source.turns.extend(turns)
        refused = self.source.fired["refused"] + self.source.fired["garbled"]
        report: RunReport | None = None
        killed = False
        with _paged(self.ahead), crashing(self.plant, crash, torn=self.torn_commits) as commits:
            try:
                report = self.plant.run(full=full, observing=observing)
            except Killed:
                killed = True
        self.source.turns.clear()
        hindered = self.source.fired["refused"] + self.source.fired["garbled"] > refused
        if commits.fired and crash is not None:
            self.fired[f"{crash.ending} {'after' if crash.after else 'before'}"] += 1
            assert killed == (crash.ending is not Ending.LOST)
            assert report is None or report.reason == "store_unavailable"
        elif report is not None and report.failed:
            assert hindered, report
            assert report.reason in {"upstream_unavailable", "invalid_page"}, report
        if not observing:
            self.check_kept()
        self.sound = True
        return report

    def connector(self) -> Connector:
        since = Since(param="updated_since", field="updated_at", settle=self.settle)
        return acme(_mapping(self.dated, self.mended), since=since)

    def checkpoint(self) -> tuple[Any, Any, int | None]:
        """(cursor, enumeration, watermark); nothing of it before the first run."""
        state = self.plant.store.streams.get("default", "acme-main", "customers")
        return (state.cursor, state.enumeration, state.watermark) if state else (None, None, None)

    def is_under_way(self) -> bool:
        return self.checkpoint()[1] is not None

    def histories(self) -> dict[str, list[StoredVersion]]:
        reader = self.plant.store.reader
        documents = reader.documents("default", "customer")
        return {d.source_id: reader.history(d.document_id) for d in documents}

    def kept(self) -> Any:
        """Everything that an observation leaves as it is."""
        return self.histories(), self.plant.letters(state=None), self.checkpoint()

    def check_kept(self) -> None:
        """What holds at any time, also right after a crash."""
        histories = self.histories()
        for record_id, versions in histories.items():
            assert [v.version for v in versions] == list(range(1, len(versions) + 1))
            shown = [(v.payload_hash, v.state) for v in versions]
            assert all(a != b for a, b in pairwise(shown)), record_id
            _check_subsequence([_content(v) for v in versions], self.source.past[record_id])
        total = sum(map(len, histories.values()))
        feed = self.plant.store.feed.read(0, 100_000)
        assert [item.seq for item in feed] == list(range(1, total + 1))
        self.check_counted_once(len(histories), total)

    def check_counted_once(self, documents: int, versions: int) -> None:
        """All runs together have counted each document and each version once."""
        runs = self.plant.store.runs.list("default", limit=1000)
        counted = [run.counters for run in runs if run.kind is not RunKind.OBSERVE]
        assert all(counters.balanced for counters in counted)
        assert sum(counters.created for counters in counted) == documents
        assert sum(c.created + c.updated for c in counted) == versions

    def check_store_is_source(self) -> None:
        rows = [row for row in self.source.rows.values() if not row.deleted]
        faulty = {r.record_id for r in rows if not isinstance(r.name, self.accepted())}
        stored = self.plant.payloads()
        assert {
            record_id: (payload["name"], payload["source_updated_at"])
            for record_id, payload in stored.items()
            if record_id not in faulty
        } == {r.record_id: (str(r.name), r.updated_at) for r in rows if r.record_id not in faulty}
        letters = [letter.idempotency_key for letter in self.plant.letters()]
        assert sorted(map(str, letters)) == sorted(f"acme:customer:{r}" for r in faulty)

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
    """Fixes when the next page is fetched, which a thread leaves to chance.

    ahead: before this page is worked on, the earliest there is; else after its commit, the latest.
    """

    @contextmanager
    def fetching(send: Send) -> Iterator[Callable[[Request], Future[Response]]]:
        yield lambda request: _sent(send, request) if ahead else _Unsent(send, request)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(collection, "_ahead", fetching)
        yield


def _sent(send: Send, request: Request) -> Future[Response]:
    future: Future[Response] = Future()
    try:
        future.set_result(send(request))
    except Exception as error:
        future.set_exception(error)
    return future


class _Unsent(Future[Response]):
    """Sends when it is asked for the result."""

    def __init__(self, send: Send, request: Request) -> None:
        super().__init__()
        self.ask = lambda: send(request)

    def result(self, timeout: float | None = None) -> Response:
        return self.ask()


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
