"""A worker as `penstock worker` is, that takes others for dead sooner than 30 s."""

from __future__ import annotations

import sys

from penstock.app import App
from penstock.app.serving import Serving
from penstock.config import Settings
from penstock.work.queue import PRIORITIES
from penstock.work.stop import Stop, at_signals
from tests.work.frozen import freeze_at


def main(database: str, key: str, workers: str, stale_s: str, point: str = "") -> None:
    """point: where it freezes once, if anywhere."""
    if point:
        freeze_at(point)
    stop = Stop()
    settings = Settings(database=database, master_key=key, reading_process="off")
    with at_signals(stop), App.open(settings) as app:
        serving = Serving(app, stop, int(workers), tuple(PRIORITIES), stale_s=float(stale_s))
        sys.exit(0 if serving.run(30) else 3)


if __name__ == "__main__":
    main(*sys.argv[1:])
