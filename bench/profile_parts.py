"""Where penstock's time goes: µs per record for each stage of a first and an unchanged ingest.

    python bench/profile_parts.py [--records 20000]

The real parts run in this process, each wrapped in a stop-watch. A stage's time is its own, without
that of the stages it calls; `wait` is for the page that another thread fetches meanwhile, `rest` is
what no stage accounts for. The second column is what the thread itself computed: what is missing
there is the disk, or another thread's turn.
"""

from __future__ import annotations

import argparse
import threading
import time
from collections import defaultdict
from collections.abc import Callable
from functools import wraps
from importlib import import_module
from typing import Any

from ingests import provider, workspace
from peers import HERE
from run import WORK

STAGES = (
    ("wait", "concurrent.futures", "Future.result"),
    ("split", "penstock.upstream.wire", "split"),
    ("glance", "penstock.pipeline.reading", "RecordReader.glance"),
    ("sort out", "penstock.pipeline.reading", "RecordReader.sort_out"),
    ("read", "penstock.pipeline.reading", "RecordReader.read"),
    ("look", "penstock.pipeline.look", "Look.add"),
    ("look", "penstock.pipeline.look", "Look.fields"),
    ("drift", "penstock.pipeline.drift", "compare"),
    ("unpack", "penstock.pipeline.reading_process", "Answer.result"),
    ("merge", "penstock.pipeline.reading_process", "Reading.put_into"),
    ("decode", "penstock.upstream.wire", "decode_records"),
    ("mapping", "penstock.pipeline.mapping", "submissions"),
    ("examine", "penstock.pipeline.examine", "Desk.examine"),
    ("heads", "penstock.store.sqlite_documents", "SqliteDocuments.heads"),
    ("decide", "penstock.pipeline.unit", "verdicts"),
    ("decide", "penstock.pipeline.unit", "effects"),
    ("compose", "penstock.pipeline.unit", "compose"),
    ("commit", "penstock.store.sqlite_documents", "SqliteDocuments.commit"),
)


class Watch:
    """Seconds of this thread by stage, passed and busy; an inner one stops the outer."""

    def __init__(self) -> None:
        self.thread = threading.get_ident()
        self.seconds: defaultdict[str, float] = defaultdict(float)
        self.busy: defaultdict[str, float] = defaultdict(float)
        self.running = ["rest"]
        self.since = time.perf_counter()
        self.busy_since = time.thread_time()

    def turn(self) -> None:
        now, busy = time.perf_counter(), time.thread_time()
        self.seconds[self.running[-1]] += now - self.since
        self.busy[self.running[-1]] += busy - self.busy_since
        self.since, self.busy_since = now, busy

    def timed(self, stage: str, function: Callable[..., Any]) -> Callable[..., Any]:
        @wraps(function)
        def call(*args: Any, **keywords: Any) -> Any:
            if threading.get_ident() != self.thread:
                return function(*args, **keywords)
            self.turn()
            self.running.append(stage)
            try:
                return function(*args, **keywords)
            finally:
                self.turn()
                self.running.pop()

        return call

    def attach(self, stage: str, module: str, path: str) -> None:
        owner: Any = import_module(module)
        *parents, name = path.split(".")
        for parent in parents:
            owner = getattr(owner, parent)
        setattr(owner, name, self.timed(stage, getattr(owner, name)))

    def table(self, title: str, records: int) -> str:
        """The lines of one ingest; the watch starts again at nothing."""
        self.turn()
        rows = [(name, spent, self.busy[name]) for name, spent in self.seconds.items()]
        rows.append(("all", sum(self.seconds.values()), sum(self.busy.values())))
        self.seconds.clear()
        self.busy.clear()
        each = 1e6 / records
        return "\n".join(
            [title, *(f"  {n:10} {s * each:7.2f} {b * each:7.2f}" for n, s, b in rows)]
        )


def main() -> None:
    parser = argparse.ArgumentParser(description="µs per record for each stage of an ingest.")
    parser.add_argument("--records", type=int, default=20_000)
    records = parser.parse_args().records
    WORK.mkdir(exist_ok=True)

    from penstock.app import App
    from penstock.cli.session import expect_many_records
    from penstock.config import Settings

    expect_many_records()
    watch = Watch()
    for stage in STAGES:
        watch.attach(*stage)
    with provider(records) as url, workspace(WORK) as directory:
        database = Settings(database=f"sqlite:///{directory / 'penstock.db'}")
        with App.open(database) as app:
            target = str(HERE / "connector.py")
            settings, secrets = {"base_url": url}, {"api_key": "x"}
            app.connect(target, "bench", settings, secrets, allow_loopback=True)
            watch.table("", 1)
            app.run("bench")
            print(watch.table("first, µs per record", records))
            app.run("bench", full=True)
            print(watch.table("unchanged, µs per record", records))


if __name__ == "__main__":
    main()
