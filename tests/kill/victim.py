"""The process that is killed: forks a child for every order, which runs a connection.

Orders and answers are JSON lines. {"point": "page.parsed", "passing": 3} dies there by itself,
{"after_s": 0.05} is killed from outside, {} runs to the end; {"backfill": 1} pulls that backfill
instead of the streams. Answer: {"killed": bool, "exit": n}.
"""

from __future__ import annotations

import itertools
import json
import os
import signal
import sys
import time
from typing import Any

from penstock.app import App
from penstock.app.backfilling import Backfilling
from penstock.config import Settings
from penstock.telemetry import events
from penstock.work.stop import Stop


def main(database: str, key: str) -> None:
    settings = Settings(database=database, master_key=key)
    for line in sys.stdin:
        order = json.loads(line)
        child = os.fork()
        if child == 0:
            live(settings, order)
        if "after_s" in order:
            time.sleep(order["after_s"])
            os.kill(child, signal.SIGKILL)
        _, status = os.waitpid(child, 0)
        killed = os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL
        answer = {"killed": killed, "exit": None if killed else os.waitstatus_to_exitcode(status)}
        print(json.dumps(answer), flush=True)


def live(settings: Settings, order: dict[str, Any]) -> None:
    """Run all streams of the connection, armed as ordered, and end without cleaning up."""
    events._KILL_AT = order.get("point", "")
    events._KILL_COUNT = str(order.get("passing", 1))
    events._passings = itertools.count(1)
    status = 70
    try:
        with App.open(settings) as app:
            if "backfill" in order:
                view = Backfilling(app).pull(order["backfill"], Stop())
                os._exit(0 if view.is_complete else 3)
            reports = app.run("sim", full=order.get("full", False), wait_s=10)
        status = 3 if any(report.failed for report in reports) else 0
    finally:
        os._exit(status)


if __name__ == "__main__":
    main(*sys.argv[1:])
