"""Serving on a real database: planning, running what is due, stopping, and giving up in time."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from penstock.app import App
from penstock.app.planning import Planning
from penstock.app.serving import Serving
from penstock.config import Settings
from penstock.errors import UnknownStreamError, UsageError
from penstock.model import times
from penstock.model.connection import StreamState
from penstock.model.standing import Condition
from penstock.simulator import Company, serve
from penstock.work.stop import Stop
from penstock.work.task import Task
from penstock.work.timetable import MOST_ATTEMPTS
from tests.database import KEY, url_in
from tests.upstream.clock import FakeClock

MANIFEST = """
from penstock import Bearer, Connector, Cursor, Permissions, Since, Stream

acme = Connector(
    key="acme", name="Acme", provider="acme", version="0.1.0", base_url="{settings.base_url}",
    settings={"type": "object", "required": ["base_url", "api_key"], "properties": {
        "base_url": {"type": "string"}, "api_key": {"type": "string", "x-secret": True}}},
    auth=Bearer(secret="api_key"),
    permissions=Permissions(http=["http://127.0.0.1/*"], documents={"customer": ["write"]}),
    streams=[STREAMS],
)
"""
COLLECTION = """
@acme.collection("KEY", path="/customers", params={"limit": 5}, records="data", id="id",
                 pages=Cursor("next_cursor", param="cursor"), document="customer")
def KEY(record):
    HOOK
    return {"customer_id": record["id"], "name": record["display_name"]}
"""


class Site:
    """An app with one connection to the simulated company, and a clock to turn."""

    def __init__(self, app: App, manifest: Path, clock: FakeClock) -> None:
        self.app = app
        self.manifest = manifest
        self.clock = clock

    def declare(self, hook: str = "pass", **schedules: str | None) -> None:
        streams = ", ".join(
            f'Stream("{key}", mode="poll", schedule={schedule!r})'
            for key, schedule in schedules.items()
        )
        text = MANIFEST.replace("STREAMS", streams)
        for key in schedules:
            text += COLLECTION.replace("KEY", key).replace("HOOK", hook)
        self.manifest.write_text(text)

    def serve_once(self, stop: Stop | None = None) -> None:
        assert Serving(self.app, stop or Stop(), workers=4).run_once(grace_s=30)

    def plan(self) -> None:
        Planning(self.app.store, self.clock).plan()

    def stream(self, key: str = "customers") -> StreamState:
        row = self.app.store.streams.get("default", "main", key)
        assert row is not None
        return row

    def minutes_to_next(self, key: str = "customers") -> float:
        due = self.stream(key).next_run_at
        assert due is not None
        return (due - times.microseconds(self.clock.now())) / 60_000_000

    def runs(self) -> list[str]:
        """Streams that ran, in order."""
        return [run.stream for run in reversed(self.app.store.runs.list("default"))]


@pytest.fixture
def site(backend: str, tmp_path: Path) -> Iterator[Site]:
    clock = FakeClock()
    settings = Settings(database=url_in(tmp_path), master_key=KEY, reading_process="off")
    company = Company(seed=3, records=60, faulty=0)
    with serve(company) as provider, App.open(settings, clock=clock) as app:
        site = Site(app, tmp_path / "acme.py", clock)
        site.declare(customers="0 * * * *")
        options = {"base_url": provider.url}
        app.connect(str(site.manifest), "main", options, {"api_key": provider.token})
        yield site


@pytest.mark.sqlite
class TestPlanning:
    def test_a_new_stream_runs_at_once_and_then_by_its_schedule(self, site: Site) -> None:
        site.serve_once()
        assert site.runs() == ["customers"]
        assert 0 < site.minutes_to_next() <= 61
        site.serve_once()
        assert site.runs() == ["customers"]
        site.clock.advance(61 * 60)
        site.serve_once()
        assert site.runs() == ["customers", "customers"]

    def test_after_days_without_anybody_a_stream_runs_once(self, site: Site) -> None:
        site.serve_once()
        site.clock.advance(3 * 24 * 3600)
        site.serve_once()
        assert len(site.runs()) == 2
        assert 0 < site.minutes_to_next() <= 61

    def test_a_manifest_may_change_while_we_serve(self, site: Site) -> None:
        site.declare(customers="0 0 1 1 *", friends="*/5 * * * *", strangers=None)
        site.plan()
        assert site.minutes_to_next("friends") == 0
        assert site.app.store.streams.get("default", "main", "strangers") is None
        site.declare(customers="0 0 1 1 *")
        site.plan()
        assert (site.stream("friends").schedule, site.stream("friends").next_run_at) == (None, None)

    def test_a_schedule_that_cannot_be_read_stops_no_other(self, site: Site) -> None:
        site.declare(customers="0 * * * *", friends="hourly")
        site.plan()
        assert site.stream("friends").next_run_at is None
        site.serve_once()
        assert site.runs() == ["customers"]

    def test_a_manifest_that_cannot_be_read_leaves_what_was_planned(self, site: Site) -> None:
        site.plan()
        site.manifest.write_text("nonsense(")
        site.plan()
        assert site.stream().schedule == "0 * * * *"


class TestByHand:
    def test_a_paused_stream_does_not_run_until_it_is_resumed(self, site: Site) -> None:
        site.plan()
        assert site.app.pause_stream("main", "customers")
        site.clock.advance(24 * 3600)
        site.serve_once()
        assert site.runs() == []
        assert site.app.resume_stream("main", "customers")
        site.serve_once()
        assert site.runs() == ["customers"]

    def test_run_now_goes_before_the_schedule(self, site: Site) -> None:
        site.serve_once()
        assert site.app.run_now("main", "customers")
        site.serve_once()
        assert len(site.runs()) == 2
        assert site.minutes_to_next() > 0

    def test_of_what_is_not_there_a_sentence_says_so(self, site: Site) -> None:
        with pytest.raises(UsageError, match="there is no connection 'other'"):
            site.app.pause_stream("other", "customers")
        with pytest.raises(UnknownStreamError):
            site.app.run_now("main", "nothing")
        assert site.app.store.streams.list("default") == []

    def test_how_many_workers_has_a_limit(self, site: Site) -> None:
        with pytest.raises(UsageError, match="must be 1 to 256"):
            Serving(site.app, Stop(), workers=0)


@pytest.mark.sqlite
class TestFailures:
    def test_a_stream_that_cannot_begin_says_why_and_tries_again(self, site: Site) -> None:
        site.plan()
        site.manifest.write_text("nonsense(")
        serving = Serving(site.app, Stop(), workers=1)
        serving.service.turn()
        serving.close(10)
        row = site.stream()
        assert (row.state, row.failures) == (Condition.FAILED, 1)
        assert "was never closed" in (row.reason or "")
        assert 0.5 <= site.minutes_to_next() <= 1

    def test_a_stream_whose_process_dies_again_and_again_is_parked(self, site: Site) -> None:
        """Each attempt is counted before it begins; one that dies has not told its end."""
        site.declare(hook="import os; os._exit(70)", customers="0 * * * *")
        site.plan()
        for _ in range(MOST_ATTEMPTS):
            assert die_serving(site) == 70
        assert site.stream().attempts == MOST_ATTEMPTS
        site.serve_once()
        row = site.stream()
        assert (row.state, row.next_run_at) == (Condition.FAILED, None)
        assert "its process died 3 times in a row" in (row.reason or "")
        assert len(site.runs()) == MOST_ATTEMPTS
        site.declare(customers="0 * * * *")  # mended
        site.app.run_now("main", "customers")
        site.serve_once()
        assert site.stream().state == Condition.OK


class TestStopping:
    def test_what_is_under_way_ends_at_its_page_and_goes_on_later(self, site: Site) -> None:
        site.plan()
        stop = Stop()
        commit = site.app.store.documents.commit
        pages: list[int] = []

        def commit_and_stop(unit: object) -> None:
            commit(unit)  # type: ignore[arg-type]
            pages.append(1)
            stop.ask()

        site.app.store.documents.commit = commit_and_stop  # type: ignore[method-assign]
        Serving(site.app, stop, workers=1).run_task(Task("default", "main", "customers"))
        row = site.stream()
        assert (len(pages), row.state) == (1, Condition.PARKED)
        assert row.enumeration is not None
        assert site.minutes_to_next() == 0
        assert not row.lease_owner
        site.app.store.documents.commit = commit  # type: ignore[method-assign]
        site.serve_once()
        assert site.stream().state == Condition.OK

    def test_leases_left_after_the_grace_time_are_given_back(self, site: Site) -> None:
        site.plan()
        held, go_on = threading.Event(), threading.Event()
        stop = Stop()
        serving = Serving(site.app, stop, workers=1)
        claim = site.app.store.streams.claim

        def claim_and_stand_still(*args: object, **options: object) -> object:
            state = claim(*args, **options)  # type: ignore[arg-type]
            held.set()
            assert go_on.wait(30)
            return state

        site.app.store.streams.claim = claim_and_stand_still  # type: ignore[assignment]
        serving.service.turn()
        assert held.wait(10)
        assert site.stream().lease_owner
        stop.ask()
        stop.ask()  # twice: do not wait
        assert not serving.close(grace_s=30)
        assert not site.stream().lease_owner
        go_on.set()
        assert serving.runner.ended(10)
        assert site.runs() in ([], ["customers"])
        assert site.app.store.reader.counts("default") == {}


def die_serving(site: Site) -> int:
    """Serve in a process of its own; how that ended."""
    words = ("--database", site.app.settings.database, "serve", "--once", "--workers", "1")
    environment = os.environ | {"PENSTOCK_MASTER_KEY": KEY, "PENSTOCK_READING_PROCESS": "off"}
    child = subprocess.run(
        [sys.executable, "-m", "penstock.cli.main", *words],
        env=environment,
        capture_output=True,
        check=False,
        cwd=site.manifest.parent,
    )
    return child.returncode
