"""The process that freezes: runs a stream, and stops once, as by SIGSTOP, at a named moment.

Prints its report when somebody has let it go on and it has come to its end.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from types import SimpleNamespace

from penstock.app import App
from penstock.config import Settings
from penstock.telemetry import events


def freeze_at(point: str) -> None:
    """Stop at the n-th passing of a kill point, "page.parsed:2" for instance, and only then."""

    def freeze(pid: int, _signal: int) -> None:
        events._KILL_AT = ""
        os.kill(pid, signal.SIGSTOP)

    events.os = SimpleNamespace(kill=freeze, getpid=os.getpid)  # type: ignore[attr-defined]
    events._KILL_AT, _, events._KILL_COUNT = point.partition(":")


def main(database: str, key: str, stream: str, point: str) -> None:
    freeze_at(point)
    with App.open(Settings(database=database, master_key=key, reading_process="off")) as app:
        (report,) = app.run("sim", [stream], wait_s=0)
    print(json.dumps(report.as_json()), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
