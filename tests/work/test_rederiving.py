"""Re-derivation as a run: fenced, resumable, and the same whoever derives."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any

import msgspec
import pytest

from penstock.app import deriving
from penstock.app.deriving import Assignment
from penstock.errors import (
    LeaseLostError,
    RouteFailedError,
    StopRunError,
    StoreUnavailableError,
    StreamBusyError,
    TooManyRejectedError,
    UsageError,
)
from penstock.model import times
from penstock.model.run import RunKind, RunState
from penstock.model.unit import Head, Lease, NewVersion, UnitOfWork
from penstock.pipeline.derivation import Derived, Span
from penstock.pipeline.difference import Difference
from penstock.pipeline.reading import Installation
from penstock.sdk.loader import load
from penstock.work.rederiving import spans
from penstock.work.team import OnDask, Processes
from tests.database import url_in
from tests.pipeline.derived import apply, counts, deriver, preview, rederiver
from tests.pipeline.plant import Plant, Provider, acme, customer
from tests.pipeline.test_derivation import shouted
from tests.pipeline.test_replay import by_code

MakePlant = Callable[..., Plant]


@pytest.fixture
def provider() -> Provider:
    return Provider([customer(n) for n in range(1, 8)])


@pytest.fixture
def plant(backend: str, tmp_path: Path, provider: Provider) -> Iterator[Plant]:
    """Seven customers on four pages, and a mapping that shouts."""
    plant = Plant(tmp_path, provider)
    plant.run()
    plant.install(acme(shouted), code=b"2")
    yield plant
    plant.store.close()


class Through:
    """A team that lets something happen before it answers."""

    size = 1

    def __init__(self, plant: Plant, happens: Callable[[int], None]) -> None:
        self._deriver = deriver(plant)
        self._happens = happens

    def derive(self, spans: Iterable[Span]) -> Iterator[Derived]:
        for number, span in enumerate(spans):
            derived = self._deriver.derive(span)
            self._happens(number)
            yield derived

    def close(self) -> None:
        """There is nothing."""


# ── the run ──


@pytest.mark.sqlite
def test_what_is_applied_is_a_run_of_its_own(plant: Plant) -> None:
    report = apply(plant)
    assert report.run_no is not None
    run = plant.store.runs.get(report.run_no)
    assert run is not None
    assert (run.kind, run.state, run.counters) == (RunKind.REDERIVE, RunState.DONE, report.counters)
    assert (run.counters.pages, run.counters.updated) == (4, 7)
    assert report.as_json()["documents"]["updated"] == 7


@pytest.mark.sqlite
def test_the_resume_point_and_the_standing_of_the_stream_stay(plant: Plant) -> None:
    before = plant.store.streams.get("default", "acme-main", "customers")
    apply(plant)
    after = plant.store.streams.get("default", "acme-main", "customers")
    assert before is not None
    assert after is not None
    kept = ("cursor", "enumeration", "watermark", "state", "reason", "next_run_at")
    assert [getattr(before, n) for n in kept] == [getattr(after, n) for n in kept]
    assert after.unit_no == before.unit_no + 4
    assert plant.run().counters.updated == 0


def test_narrow_spans_come_to_the_same(plant: Plant) -> None:
    whole = rederiver(plant).preview().difference
    narrow = rederiver(plant, span=1).preview().difference
    assert narrow == whole
    found = list(spans(plant.store.archive, 1))
    assert [(span.after, span.upto) for span in found] == [(0, 2), (2, 4), (4, 6), (6, 7)]
    apply(plant, span=1)
    assert counts(preview(plant)) == {"unchanged": 7}


@pytest.mark.sqlite
def test_a_stream_that_is_being_run_is_waited_for_and_left(plant: Plant) -> None:
    now = plant.clock.now()
    lease = Lease("default", "acme-main", "customers", "another", 0, now + timedelta(hours=1))
    assert plant.store.streams.claim(lease, now=times.microseconds(now)) is not None
    with pytest.raises(StreamBusyError):
        rederiver(plant).apply(wait_s=0)
    assert counts(rederiver(plant).preview().difference) == {"updated": 7}


def test_a_lost_lease_writes_nothing_more_and_the_next_goes_on(plant: Plant) -> None:
    def taken_over(number: int) -> None:
        if number == 2:
            owner = plant.store.streams.get("default", "acme-main", "customers")
            assert owner is not None
            lease = Lease("default", "acme-main", "customers", "another", 0, plant.clock.now())
            now = times.microseconds(plant.clock.now())
            held = plant.store.streams.claim(lease, now=now, held_by=owner.lease_owner)
            assert held is not None
            losses.append(held)

    losses: list[Any] = []
    with pytest.raises(LeaseLostError):
        rederiver(plant, team=Through(plant, taken_over), span=1).apply(wait_s=0)
    assert len(losses) == 1
    assert sum(name.isupper() for name in plant.names().values()) == 4
    (run, *_) = plant.store.runs.list("default")
    assert (run.state, run.reason, run.counters.updated) == (RunState.FAILED, "lease_lost", 4)
    plant.clock.advance(3600)
    assert counts(apply(plant).difference) == {"updated": 3, "unchanged": 4}


def test_a_commit_whose_answer_is_lost_is_not_written_twice(
    plant: Plant, monkeypatch: pytest.MonkeyPatch
) -> None:
    def faulty(unit: UnitOfWork) -> None:
        commit(unit)
        if not lost:
            lost.append(unit)
            raise StoreUnavailableError("the connection broke")

    commit, lost = plant.store.documents.commit, list[UnitOfWork]()
    monkeypatch.setattr(plant.store.documents, "commit", faulty)
    with pytest.raises(StoreUnavailableError):
        rederiver(plant).apply(wait_s=0)
    assert len(lost) == 1
    assert counts(apply(plant).difference) == {"updated": 5, "unchanged": 2}
    assert plant.versions() == 14


def test_what_moves_on_meanwhile_is_not_overwritten(plant: Plant, provider: Provider) -> None:
    """By somebody without this stream's lease: another stream, a webhook, a person."""

    def moves_on(_: int) -> None:
        head = next(iter(plant.store.documents.heads([moved]).values()))
        content = plant.store.documents.content(head.version_no)
        made = plant.store.reader.history(moved)[-1]
        version = _version_after(head, content.replace(b"Customer 1", b"Meanwhile"))
        unit = UnitOfWork("default", "acme-main", "customers", made.run_no, 1, versions=(version,))
        plant.store.documents.commit(unit)

    (stored, *_) = [d for d, _ in plant.store.reader.contents("default", "customer")]
    moved = stored.document_id
    report = rederiver(plant, team=Through(plant, moves_on)).apply(wait_s=0)
    assert report.counters is not None
    assert (report.counters.updated, report.counters.stale) == (6, 1)
    assert plant.names()["cus_1"] == "Meanwhile"


def _version_after(head: Head, content: bytes) -> NewVersion:
    return NewVersion(
        document_id=head.document_id,
        document_type="customer",
        idempotency_key="acme:customer:cus_1",
        source_id=head.source_id,
        version=head.version + 1,
        previous=head.version_no,
        state="live",
        contract_version="1.0",
        payload_hash=b"h" * 32,
        raw_mark=None,
        content=content,
        source_version=head.source_version,
        source_updated_at=head.source_updated_at,
        as_of=head.as_of,
        status=None,
        on_date=None,
        party=None,
        number=None,
        flags=None,
        page_index=None,
    )


@pytest.mark.sqlite
def test_a_mapping_that_refuses_everything_is_stopped(plant: Plant, provider: Provider) -> None:
    provider.limit = 40
    provider.records = [customer(n) for n in range(1, 121)]
    plant.run(full=True)
    plant.install(acme(by_code), code=b"3")
    with pytest.raises(TooManyRejectedError):
        rederiver(plant, span=1).apply(wait_s=0)
    assert 50 <= len(plant.letters()) < 120


@pytest.mark.sqlite
def test_what_a_worker_fails_of_is_said_here(plant: Plant) -> None:
    class Failing(Through):
        to_mend = True

        def derive(self, spans: Iterable[Span]) -> Iterator[Derived]:
            yield Derived(Difference(), failure=("mend it", self.to_mend))

    team = Failing(plant, print)
    with pytest.raises(UsageError, match="mend it"):
        rederiver(plant, team=team).preview()
    team.to_mend = False
    with pytest.raises(StopRunError, match="mend it"):
        rederiver(plant, team=team).preview()


# ── other processes ──

CONNECTOR = """
from penstock import Bearer, Connector, Cursor, Permissions, Since, Stream

acme = Connector(
    key="acme", name="Acme Billing", provider="acme", version="0.1.0",
    base_url="https://api.acme.test",
    settings={"type": "object", "properties": {"api_key": {"x-secret": True}}},
    auth=Bearer(secret="api_key"),
    permissions=Permissions(http=["https://api.acme.test/*"], documents={"customer": ["write"]}),
    streams=[Stream("customers", mode="poll")],
)


@acme.collection("customers", path="/customers", records="data", id="id", document="customer",
                 pages=Cursor("next_cursor", param="cursor"),
                 since=Since(param="updated_since", field="updated_at"))
def customers(record):
    print("a mapping that prints", record["id"])
    if record["id"] == "cus_5":
        raise ZeroDivisionError("on purpose")
    return {"customer_id": record["id"], "name": record["display_name"].upper(),
            "source_updated_at": record["updated_at"]}
"""


@pytest.fixture
def task(plant: Plant, tmp_path: Path) -> Callable[[Span], bytes]:
    """What a worker does, with a connector that lies in a file."""
    file = tmp_path / "acme.py"
    file.write_text(CONNECTOR)
    loaded = load(str(file))
    plant.installation = Installation(loaded, plant.connection)
    return partial(
        deriving.derive,
        Assignment(
            database=url_in(tmp_path),
            connection=msgspec.json.encode(plant.connection),
            target=loaded.target,
            code=loaded.code,
            stream="customers",
            path=(),
            keeps=True,
        ),
    )


def test_processes_come_to_the_same_as_one(
    plant: Plant, task: Callable[[Span], bytes], capfd: pytest.CaptureFixture[str]
) -> None:
    alone = rederiver(plant, span=1).preview().difference
    capfd.readouterr()
    team = Processes(task, 2)
    try:
        report = rederiver(plant, team=team, span=1).apply(wait_s=0)
    finally:
        team.close()
    assert report.difference == alone
    assert counts(alone) == {"updated": 6, "rejected": 1}
    assert report.processes == 2
    assert plant.names()["cus_7"] == "CUSTOMER 7"
    printed = capfd.readouterr()
    assert "a mapping that prints" not in printed.out
    assert "a mapping that prints" in printed.err


@pytest.mark.sqlite
def test_a_process_that_dies_is_told_with_what_to_do(
    plant: Plant, task: Callable[[Span], bytes]
) -> None:
    team = Processes(_die, 2)
    try:
        with pytest.raises(RouteFailedError, match="the same command goes on"):
            rederiver(plant, team=team).apply(wait_s=0)
    finally:
        team.close()
    assert plant.store.runs.list("default")[0].state is RunState.FAILED


def _die(_: Span) -> bytes:
    os._exit(9)


@pytest.mark.sqlite
def test_another_version_of_the_connector_elsewhere_is_refused(
    plant: Plant, task: Any, tmp_path: Path
) -> None:
    (tmp_path / "acme.py").write_text(CONNECTOR + "# edited\n")
    answer = msgspec.msgpack.decode(task(Span(0, 9)), type=Derived)
    assert answer.failure is not None
    assert "not the same where records are derived" in answer.failure[0]
    assert answer.failure[1]


def test_an_assignment_shows_no_password() -> None:
    shown = repr(Assignment("postgresql://u:secret@h/d", b"{}", "acme", b"1", "s", (), keeps=False))
    assert "secret" not in shown


# ── Dask ──


@pytest.mark.filterwarnings("default")
@pytest.mark.torture
def test_a_dask_cluster_comes_to_the_same_as_one(
    plant: Plant, task: Callable[[Span], bytes]
) -> None:
    from distributed import LocalCluster

    alone = rederiver(plant, span=1).preview().difference
    with LocalCluster(
        n_workers=2, threads_per_worker=1, processes=True, dashboard_address=None
    ) as cluster:
        team = OnDask(task, cluster.scheduler_address)
        try:
            assert team.size == 2
            report = rederiver(plant, team=team, span=1).apply(wait_s=0)
        finally:
            team.close()
    assert report.difference == alone
    assert plant.names()["cus_7"] == "CUSTOMER 7"


@pytest.mark.filterwarnings("default")
@pytest.mark.sqlite
def test_a_scheduler_in_this_process_comes_to_the_same_as_one(
    plant: Plant, task: Callable[[Span], bytes]
) -> None:
    from distributed import LocalCluster

    alone = rederiver(plant, span=1).preview().difference
    with LocalCluster(
        n_workers=1, threads_per_worker=2, processes=False, dashboard_address=None
    ) as cluster:
        team = OnDask(task, cluster.scheduler_address)
        try:
            assert rederiver(plant, team=team, span=1).preview().difference == alone
        finally:
            team.close()


@pytest.mark.filterwarnings("default")
def test_a_scheduler_that_does_not_answer_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("penstock.work.team._CONNECT_S", 0.2)
    with pytest.raises(UsageError, match="no Dask scheduler answers"):
        OnDask(_die, "tcp://127.0.0.1:9")
