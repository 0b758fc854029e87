"""Two sessions on real connections, in every order of their named steps.

As PostgreSQL's own isolation tests do it: a step that has to wait for the other session is left to
wait, the steps of the other go on, and what each order must lead to is asserted for each.
"""

from __future__ import annotations

import itertools
import queue
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from dataclasses import replace
from typing import Any

import psycopg
import pytest
from sqlalchemy import text

from penstock.errors import LeaseLostError, WriteConflictError
from penstock.model.unit import Lease, UnitOfWork
from penstock.store import postgres_feed, unit
from penstock.store.postgres import PostgresStore
from penstock.store.postgres_documents import PostgresSession
from penstock.store.postgres_error import is_conflict
from penstock.store.rows import FeedItem
from penstock.store.unit import write
from penstock.testing.store_worker import NOW, UNTIL, UNTIL_US, Worker
from tests.cluster import Cluster, cluster

BLOCKED = """
SELECT count(*) FROM pg_stat_activity
WHERE application_name = 'penstock' AND wait_event_type = 'Lock'
"""


@pytest.fixture(scope="module")
def server() -> Iterator[Cluster]:
    with cluster() as made:
        yield made


@pytest.fixture(scope="module")
def store(server: Cluster) -> Iterator[PostgresStore]:
    """One for all orders: each has workspaces of its own."""
    with PostgresStore.open(server.url) as opened:
        yield opened


@pytest.fixture
def watcher(server: Cluster) -> Iterator[psycopg.Connection[Any]]:
    with psycopg.connect(server.url, autocommit=True) as connection:
        yield connection


def orders(*sessions: Sequence[str]) -> list[tuple[str, ...]]:
    """All interleavings of the sessions' steps, each session's own in their order."""
    steps = [step for session in sessions for step in session]
    turns = [name for name, session in enumerate(sessions) for _ in session]
    found = []
    for turn in sorted(set(itertools.permutations(turns))):
        left = [iter(session) for session in sessions]
        found.append(tuple(next(left[name]) for name in turn))
    assert len(set(found)) == len(found)
    assert all(len(order) == len(steps) for order in found)
    return found


class Session:
    """A thread that takes one step after the other; a step may have to wait for another session."""

    def __init__(self) -> None:
        self.steps: queue.Queue[tuple[Callable[[], Any], Future[Any]] | None] = queue.Queue()
        self.thread = threading.Thread(target=self._work)
        self.thread.start()

    def take(self, step: Callable[[], Any]) -> Future[Any]:
        taken: Future[Any] = Future()
        self.steps.put((step, taken))
        return taken

    def close(self) -> None:
        self.steps.put(None)
        self.thread.join(30)
        assert not self.thread.is_alive(), "a session hangs"

    def _work(self) -> None:
        while (ordered := self.steps.get()) is not None:
            step, taken = ordered
            try:
                taken.set_result(step())
            except BaseException as error:
                taken.set_exception(error)


def play(
    order: Sequence[str],
    steps: dict[str, Callable[[], Any]],
    watcher: psycopg.Connection[Any],
    after_each: Callable[[], None] = lambda: None,
) -> dict[str, Any]:
    """Take the steps in that order. What each returned, or the error it raised.

    The next step begins when this one is done, or waits for a lock; steps of a session that waits
    stand behind it.
    """
    sessions = {name: Session() for name in sorted({step[0] for step in order})}
    taken: dict[str, Future[Any]] = {}
    try:
        for step in order:
            taken[step] = sessions[step[0]].take(steps[step])
            _settle(taken, watcher)
            after_each()
    finally:
        for session in sessions.values():
            session.close()
    return {step: future.exception() or future.result() for step, future in taken.items()}


def _settle(taken: dict[str, Future[Any]], watcher: psycopg.Connection[Any]) -> None:
    """Until every session is done with its steps or waits for a lock."""
    deadline = time.monotonic() + 30
    while open_ := {step[0] for step, future in taken.items() if not future.done()}:
        waiting = watcher.execute(BLOCKED).fetchone()
        if waiting == (len(open_),):
            return
        assert time.monotonic() < deadline, f"neither done nor waiting: {open_}"
        time.sleep(0.0005)


class Writer:
    """One unit in a transaction that is taken apart. Ends at its first error, as a commit does."""

    def __init__(self, store: PostgresStore, worker: Worker) -> None:
        self.store = store
        self.worker = worker
        self.unit: UnitOfWork | None = None
        self.failed: BaseException | None = None

        self._lent: Any = None

    def begin(self) -> None:
        """A transaction with its id."""
        self._lent = self.store._engines.writer.raw_connection()
        self._lent.driver_connection.execute("SELECT pg_current_xact_id()")

    def write(self) -> None:
        if self._lent is None:
            self._lent = self.store._engines.writer.raw_connection()
        assert self.unit is not None
        try:
            write(PostgresSession(self._lent.driver_connection), self.unit)
        except BaseException as error:
            self._lent.driver_connection.rollback()
            self.failed = error

    def commit(self) -> str:
        """How it ended: written, lease_lost or conflict."""
        if self.failed is None:
            self._lent.driver_connection.commit()
        self._lent.close()
        match self.failed:
            case None:
                return "written"
            case LeaseLostError():
                return "lease_lost"
            case WriteConflictError():
                return "conflict"
            case error if is_conflict(error):
                return "conflict"
        raise self.failed


def shown(order: Sequence[str]) -> str:
    return " ".join(order)


# ── a lease passes on ──


@pytest.mark.parametrize(
    "order", orders(("a.write", "a.commit"), ("b.claim", "b.write", "b.commit")), ids=shown
)
def test_a_lease_passes_on(
    store: PostgresStore, watcher: psycopg.Connection[Any], order: tuple[str, ...]
) -> None:
    """PS19, PS20: the old owner writes before the new one has the lease, or nothing."""
    pass_on(store, watcher, order, "lease " + shown(order))


def pass_on(
    store: PostgresStore, watcher: psycopg.Connection[Any], order: tuple[str, ...], place: str
) -> None:
    old = Worker(store, workspace=place)
    a = Writer(store, old)
    a.unit = old.unit(old.invoice("a"))
    b: Writer | None = None

    def claim() -> int:
        nonlocal b
        new = Worker(store, workspace=place, owner="worker 2", now=UNTIL_US)
        b = Writer(store, new)
        b.unit = new.unit(new.invoice("b"))
        return new.unit_no

    def of_b(verb: str) -> Any:
        assert b is not None
        return getattr(b, verb)()

    steps = {
        "a.write": a.write,
        "a.commit": a.commit,
        "b.claim": claim,
        "b.write": lambda: of_b("write"),
        "b.commit": lambda: of_b("commit"),
    }
    came = play(order, steps, watcher)
    old_was_first = order.index("a.write") < order.index("b.claim")
    assert came["a.commit"] == ("written" if old_was_first else "lease_lost")
    assert came["b.claim"] == int(old_was_first), "the new owner sees how far the old one came"
    assert came["b.commit"] == "written"
    stored = [found.source_id for found in store.reader.documents(place, "invoice")]
    assert stored == (["a", "b"] if old_was_first else ["b"])
    state = store.streams.get(place, "acme", "invoices")
    assert state is not None
    assert (state.epoch, state.lease_owner) == (2, "worker 2")
    assert state.unit_no == len(stored)


@pytest.mark.parametrize(
    "order", orders(("a.claim", "a.release"), ("b.claim", "b.release")), ids=shown
)
def test_two_claim_a_free_stream(
    store: PostgresStore, watcher: psycopg.Connection[Any], order: tuple[str, ...]
) -> None:
    """PS19: whoever comes first; the other has it only after that one gave it back."""
    place = "claim " + shown(order)
    held: dict[str, Lease] = {}

    def claim(name: str) -> bool:
        asked = Lease(place, "acme", "invoices", f"worker {name}", 0, UNTIL)
        state = store.streams.claim(asked, now=NOW)
        if state is not None:
            held[name] = replace(asked, epoch=state.epoch)
        return state is not None

    def release(name: str) -> bool:
        return name in held and store.streams.release(held[name])

    steps = {f"{name}.claim": lambda name=name: claim(name) for name in "ab"}
    steps |= {f"{name}.release": lambda name=name: release(name) for name in "ab"}
    came = play(order, steps, watcher)
    first, second = order[0][0], "b" if order[0][0] == "a" else "a"
    one_by_one = order.index(f"{first}.release") < order.index(f"{second}.claim")
    assert (came[f"{first}.claim"], came[f"{second}.claim"]) == (True, one_by_one)
    assert (came[f"{first}.release"], came[f"{second}.release"]) == (True, one_by_one)
    state = store.streams.get(place, "acme", "invoices")
    assert state is not None
    assert (state.epoch, state.lease_owner) == (1 + one_by_one, "")


def test_without_the_epoch_in_the_fence_a_zombie_writes(
    store: PostgresStore, watcher: psycopg.Connection[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The control: the same order, and the old owner's page is in."""
    whose = "AND lease_owner = :owner AND epoch = :epoch"
    assert whose in unit.FENCE
    monkeypatch.setattr(unit, "FENCE", unit.FENCE.replace(whose, ""))
    order = ("b.claim", "a.write", "a.commit", "b.write", "b.commit")
    with pytest.raises(AssertionError, match="lease_lost"):
        pass_on(store, watcher, order, "unfenced")


# ── two write one document ──

RACE = orders(("a.look", "a.write", "a.commit"), ("b.look", "b.write", "b.commit"))


@pytest.mark.parametrize("order", RACE, ids=shown)
@pytest.mark.parametrize("there", [False, True], ids=["new", "changed"])
def test_two_write_one_document(
    store: PostgresStore, watcher: psycopg.Connection[Any], order: tuple[str, ...], there: bool
) -> None:
    """Of two who looked before the other had committed one writes; the other decides again."""
    place = f"document {there} " + shown(order)
    writers = {
        name: Writer(store, Worker(store, workspace=place, stream=f"stream_{name}"))
        for name in "ab"
    }
    if there:
        first = Worker(store, workspace=place, stream="first")
        first.commit(first.invoice("1"))

    def look(name: str) -> None:
        worker = writers[name].worker
        content = f"by {name}".encode()
        made = worker.invoice("1")
        known = store.documents.heads([made.document_id])
        made = worker.next_version("1", content) if known else made._replace(content=content)
        writers[name].unit = worker.unit(made)

    steps: dict[str, Callable[[], Any]] = {}
    for name, writer in writers.items():
        steps |= {
            f"{name}.look": lambda name=name: look(name),
            f"{name}.write": writer.write,
            f"{name}.commit": writer.commit,
        }
    came = play(order, steps, watcher)
    winner = next(step[0] for step in order if step.endswith("write"))
    other = "b" if winner == "a" else "a"
    apart = order.index(f"{winner}.commit") < order.index(f"{other}.look")
    assert came[f"{winner}.commit"] == "written"
    assert came[f"{other}.commit"] == ("written" if apart else "conflict")
    if not apart:
        look(other)
        writers[other].worker.commit(unit=writers[other].unit)
    history = store.reader.history(writers["a"].worker.invoice("1").document_id)
    assert [version.version for version in history] == list(range(1, 3 + there))
    assert [version.content for version in history][there:] == [
        f"by {name}".encode() for name in (winner, other)
    ]


# ── the feed's horizon ──

FEED = orders(
    ("a.begin", "a.write", "a.commit"), ("b.begin", "b.write", "b.commit"), ("c.read", "d.read")
)
SOME = FEED[::14]


@pytest.mark.parametrize("order", SOME, ids=shown)
def test_a_follower_misses_nothing(
    store: PostgresStore, watcher: psycopg.Connection[Any], order: tuple[str, ...]
) -> None:
    follow(store, watcher, order)


@pytest.mark.torture
def test_a_follower_misses_nothing_in_any_order(
    store: PostgresStore, watcher: psycopg.Connection[Any]
) -> None:
    for order in FEED:
        follow(store, watcher, order)


def test_without_the_horizon_a_follower_sees_the_later_one_first(
    store: PostgresStore, watcher: psycopg.Connection[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The control: whatever is committed is placed."""
    everything = str(postgres_feed._PLACE).replace("txid < open", "true")
    monkeypatch.setattr(postgres_feed, "_PLACE", text(everything))
    begun_first = ("a.begin", "b.begin", "b.write", "b.commit", "c.read")
    with pytest.raises(AssertionError, match=r"at c\.read"):
        follow(store, watcher, (*begun_first, "a.write", "a.commit", "d.read"))


def follow(store: PostgresStore, watcher: psycopg.Connection[Any], order: tuple[str, ...]) -> None:
    """LE6: each version once, in one order for ever, nothing before what is still open."""
    place = "feed " + shown(order)
    begun = store.feed.head()
    writers = {
        name: Writer(store, Worker(store, workspace=place, stream=f"stream_{name}"))
        for name in "ab"
    }
    for name, writer in writers.items():
        writer.unit = writer.worker.unit(writer.worker.invoice(name))
    seen: list[FeedItem] = []

    def read() -> int:
        seen.extend(store.feed.read(seen[-1].seq if seen else begun))
        return len(seen)

    steps: dict[str, Callable[[], Any]] = {"c.read": read, "d.read": read}
    for name, writer in writers.items():
        steps |= {f"{name}.{verb}": getattr(writer, verb) for verb in ("begin", "write", "commit")}
    came = play(order, steps, watcher)
    for reading in ("c.read", "d.read"):
        at = order.index(reading)
        assert came[reading] == placed(order[:at]), f"{shown(order)}: at {reading}"
    read()
    assert [item.seq for item in seen] == [begun + 1, begun + 2], shown(order)
    assert store.feed.read(begun) == seen, shown(order)
    numbers = {d.source_id: d.version_no for d in store.reader.documents(place, "invoice")}
    first = min("ab", key=lambda name: order.index(f"{name}.begin"))
    if (came["c.read"], came["d.read"]) == (0, 0):
        assert seen[0].ref == numbers[first], f"{shown(order)}: by transaction"


def placed(done: Sequence[str]) -> int:
    """How many items stand below the horizon: committed, and nobody older is open."""
    begun = [step[0] for step in done if step.endswith("begin")]
    count = 0
    for name in begun:
        if f"{name}.commit" not in done:
            break
        count += 1
    return count
