"""Named events, and the kill points that fault tests aim at.

Modules log through `event(name, **fields)`: one standard-library logger per first word of the
name, the fields as `extra`. Logs, metrics and traces attach to these names. Never pass a secret
or a payload.
"""

from __future__ import annotations

import logging
import os
import signal
from itertools import count

_KILL_AT, _, _KILL_COUNT = os.environ.get("PENSTOCK_KILL_AT", "").partition(":")
_passings = count(1)


def event(name: str, level: int = logging.INFO, **fields: object) -> None:
    """Log one named event, for instance event("page.committed", stream="invoices", records=200)."""
    logger = logging.getLogger("penstock." + name.partition(".")[0])
    if logger.isEnabledFor(level):
        shown = " ".join(f"{key}={value}" for key, value in fields.items())
        logger.log(level, "%s %s", name, shown, extra={"event": name, "fields": fields})


def kill_point(name: str) -> None:
    """Die here, as by kill -9, when PENSTOCK_KILL_AT=<name>:<n> names this point's n-th passing.

    One comparison when unset. The fault tests prove with it that any moment may be the last one.
    """
    if name == _KILL_AT and next(_passings) >= int(_KILL_COUNT or "1"):
        os.kill(os.getpid(), signal.SIGKILL)
