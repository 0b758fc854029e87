"""Backfills of an app: pulled by several threads, by whoever serves, behind the live streams."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import msgspec
import pytest

from penstock.app import App, serving
from penstock.app.backfilling import Backfilling
from penstock.app.serving import Serving
from penstock.config import Settings
from penstock.errors import ConnectorError, UsageError
from penstock.model.backfill import Step
from penstock.model.run import RunKind
from penstock.read.backfills import BackfillView
from penstock.work.stop import Stop
from penstock.work.task import Task
from tests.database import KEY, url_in

MANIFEST = """
from penstock import Connector, Cursor, Permissions, Rate, Since, Stream

acme = Connector(
    key="acme", name="Acme", provider="acme", version="0.1.0", base_url="{settings.base_url}",
    settings={"type": "object", "properties": {"base_url": {"type": "string"}}},
    permissions=Permissions(http=["http://127.0.0.1/*"], documents={"customer": ["write"]}),
    rate=Rate(RATE), streams=[Stream(key, mode="poll", schedule="0 3 * * *")
                              for key in ("customers", "people")])

def declare(stream):
    @acme.collection(stream, path="/" + stream, records="data", id="id",
                     pages=Cursor("next", param="cursor"), document="customer",
                     since=Since(param="since", until="until", field="changed"))
    def customer(record):
        return {"customer_id": record["id"], "name": "Somebody",
                "source_updated_at": record["changed"]}

declare("customers")
declare("people")
"""
DAYS = [datetime(2026, 1, day, tzinfo=UTC) for day in range(1, 9)]


class Api(ThreadingHTTPServer):
    """Every slice has `pages` pages of one customer. asked: (stream, since), in order.

    at_once: the most requests that were under way together. meet: so many have to be, for any of
    them to be answered. heard: called with each request before it is answered.
    """

    daemon_threads = True

    def __init__(self, pages: int = 2) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.pages = pages
        self.asked: list[tuple[str, str]] = []
        self.meet = threading.Barrier(1)
        self.reached = threading.Event()
        self.heard: Callable[[str, str, int], None] = lambda _stream, _since, _page: None
        threading.Thread(target=self.serve_forever, daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"

    def answer(self, target: str) -> Any:
        parts = urlsplit(target)
        query = {name: values[0] for name, values in parse_qs(parts.query).items()}
        page, since = int(query.get("cursor", "1")), query.get("since", "2026-02-01T00:00:00Z")
        self.asked.append((parts.path[1:], since))
        self.reached.set()
        self.heard(*self.asked[-1], page)
        self.meet.wait(30)
        record = {"id": f"{parts.path[1:]} {since} {page}", "changed": since}
        return {"data": [record], "next": str(page + 1) if page < self.pages else None}


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Api

    def do_GET(self) -> None:
        body = msgspec.json.encode(self.server.answer(self.path))
        self.send_response(200)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Tests are told by what was asked."""


@pytest.fixture
def api() -> Iterator[Api]:
    api = Api()
    yield api
    api.shutdown()
    api.server_close()


@pytest.fixture
def app(backend: str, tmp_path: Path, api: Api) -> Iterator[App]:
    with App.open(Settings(database=url_in(tmp_path), master_key=KEY)) as app:
        yield app


def connect(app: App, folder: Path, api: Api, rate: int = 1000) -> None:
    target = folder / "acme.py"
    target.write_text(MANIFEST.replace("RATE", str(rate)))
    app.connect(str(target), "acme", {"base_url": api.url}, {}, allow_loopback=True)


def start(app: App, *, parallel: int = 2, days: int = 3) -> BackfillView:
    asked = ("acme", "customers", DAYS[0], DAYS[days], Step.DAY)
    return Backfilling(app).start(*asked, parallel=parallel)


def test_partitions_are_pulled_side_by_side(app: App, api: Api, tmp_path: Path) -> None:
    connect(app, tmp_path, api)
    api.meet = threading.Barrier(2)
    view = start(app, parallel=2, days=4)
    ended = Backfilling(app).pull(view.backfill_no, Stop())
    assert (ended.state, ended.done, ended.counters.created) == ("done", 4, 8)
    assert ended.seconds_left == 0
    runs = app.read.runs("acme")
    assert {(run.kind, run.state) for run in runs} == {("backfill", "done")}
    assert sorted(run.partition for run in runs)[0] == f"backfill/{view.backfill_no}/2026-01-01"


def test_two_processes_pull_one_backfill_and_no_partition_twice(
    app: App, api: Api, tmp_path: Path
) -> None:
    connect(app, tmp_path, api)
    view = start(app, parallel=2, days=7)
    with App.open(app.settings) as other:
        helper = threading.Thread(
            target=lambda: Backfilling(other).pull(view.backfill_no, Stop()), daemon=True
        )
        helper.start()
        ended = Backfilling(app).pull(view.backfill_no, Stop())
        helper.join(30)
    assert (ended.state, ended.counters.created, ended.counters.unchanged) == ("done", 14, 0)
    assert len(api.asked) == 14


def test_whoever_serves_pulls_partitions_beside_the_streams(
    app: App, api: Api, tmp_path: Path
) -> None:
    connect(app, tmp_path, api)
    view = start(app)
    assert Serving(app, Stop(), workers=4).run_once(grace_s=30)
    assert app.read.backfill(view.backfill_no).is_complete
    kinds = {run.kind for run in app.read.runs("acme")}
    assert kinds == {RunKind.BACKFILL, RunKind.POLL}
    assert {row.state for row in app.store.streams.list("default")} == {"ok"}


def test_partitions_never_take_every_worker(app: App, api: Api, tmp_path: Path) -> None:
    connect(app, tmp_path, api)
    view = start(app, parallel=8, days=7)
    serving = Serving(app, Stop(), workers=4)
    now = app.clock.now()
    micros = int(now.timestamp() * 1_000_000)
    offered = list(serving.service.ticker.more(micros, 16))
    assert len(offered) == 2
    assert offered[0].partition == f"backfill/{view.backfill_no}/2026-01-01"
    serving.close(0)


def test_the_only_worker_leaves_a_partition_for_a_stream_that_waits(
    app: App, api: Api, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The partition goes on from its last page afterwards, and has not failed."""
    monkeypatch.setattr(serving, "GIVE_WAY_US", 0)
    api.pages = 4
    connect(app, tmp_path, api)
    assert Serving(app, Stop(), workers=1).run_once(grace_s=30)
    view = start(app, days=1)

    def heard(_stream: str, _since: str, _page: int) -> None:
        if len(api.asked) == 2:
            app.run_now("acme", "customers")

    api.asked.clear()
    api.heard = heard
    assert Serving(app, Stop(), workers=1).run_once(grace_s=30)
    of_the_past = [since.startswith("2026-01-01") for _, since in api.asked]
    begun = of_the_past.index(False)
    assert begun <= 3, "a page more may have been on its way"
    assert of_the_past[begun : begun + 4] == [False] * 4
    assert of_the_past[begun + 4 :] == [True] * len(of_the_past[begun + 4 :]) != []
    done = app.read.backfill(view.backfill_no)
    assert (done.is_complete, done.counters.created) == (True, 4)


def test_live_requests_go_before_those_of_a_backfill(app: App, api: Api, tmp_path: Path) -> None:
    """Of three that always wait for the one pace, the live stream is served nearly alone."""
    api.pages = 12
    connect(app, tmp_path, api, rate=12)
    view, stop = start(app, parallel=2, days=7), Stop()
    pulling = threading.Thread(
        target=lambda: Backfilling(app).pull(view.backfill_no, stop), daemon=True
    )
    pulling.start()
    assert api.reached.wait(30)
    (report,) = app.run("acme", ["people"])
    stop.ask()
    pulling.join(30)
    assert (report.state, report.counters.created) == ("done", 12)
    live = [place for place, (stream, _) in enumerate(api.asked) if stream == "people"]
    between = live[-1] - live[0] + 1 - len(live)
    assert any(stream == "customers" for stream, _ in api.asked[: live[0]]), "it was under way"
    assert between < 6, "in turn it would have been twenty"


def test_a_stop_leaves_the_rest_to_the_next_one(app: App, api: Api, tmp_path: Path) -> None:
    connect(app, tmp_path, api, rate=2)
    view, stop = start(app), Stop()

    def leave(seen: BackfillView) -> None:
        if seen.done:
            stop.ask()

    left = Backfilling(app).pull(view.backfill_no, stop, leave)
    assert left.state == "running"
    assert 1 <= left.done < 3
    assert left.partitions["running"] == 0
    assert all(not row.lease_owner for row in app.store.streams.list("default"))
    assert Backfilling(app).pull(view.backfill_no, Stop()).counters.created == 6


def test_a_pause_by_somebody_else_ends_the_pulling(app: App, api: Api, tmp_path: Path) -> None:
    connect(app, tmp_path, api, rate=8)
    view = start(app, parallel=1, days=4)

    def pause(seen: BackfillView) -> None:
        if seen.done and seen.runs:
            Backfilling(app).pause(view.backfill_no)

    paused = Backfilling(app).pull(view.backfill_no, Stop(), pause)
    assert (paused.state, paused.reason) == ("paused", "by hand")
    assert paused.partitions["running"] == 0
    Backfilling(app).resume(view.backfill_no)
    assert Backfilling(app).pull(view.backfill_no, Stop()).is_complete


def test_a_connector_that_no_longer_loads_pauses_the_backfill(
    app: App, api: Api, tmp_path: Path
) -> None:
    connect(app, tmp_path, api)
    view = start(app)
    (tmp_path / "acme.py").unlink()
    task = Task("default", "acme", "customers", f"backfill/{view.backfill_no}/2026-01-01")
    with pytest.raises(ConnectorError):
        Backfilling(app).run(task, Stop(), lambda: False)
    paused = app.read.backfill(view.backfill_no)
    assert paused.state == "paused"
    assert "acme.py" in (paused.reason or "")


def test_a_paused_connection_ends_the_pulling_with_a_sentence(
    app: App, api: Api, tmp_path: Path
) -> None:
    connect(app, tmp_path, api)
    view = start(app, parallel=1)

    def pause(seen: BackfillView) -> None:
        app.store.connections.set("default", "acme", state="paused")  # type: ignore[arg-type]

    with pytest.raises(UsageError, match="penstock connections resume acme"):
        Backfilling(app).pull(view.backfill_no, Stop(), pause)


def test_what_lies_in_the_future_is_left_to_the_live_stream(
    app: App, api: Api, tmp_path: Path
) -> None:
    connect(app, tmp_path, api)
    now = app.clock.now()
    view = Backfilling(app).start(
        "acme", "customers", now.replace(year=now.year - 1), now.replace(year=9999), Step.MONTH
    )
    assert view.to_at == view.cutoff_at == view.created_at
