"""The composition root: the only place that names concrete parts and wires them.

`app` has the verbs that the faces call, `wiring` the parts of a connection, `serving` what runs for
months, `planning` when each stream runs.
"""

from penstock.app.app import (
    App,
    Finding,
    Findings,
    Progress,
    RederiveReport,
    ReplayReport,
    RunReport,
    check,
    spent_secrets,
)
from penstock.app.wiring import open_store, upgrade_store

__all__ = [
    "App",
    "Finding",
    "Findings",
    "Progress",
    "RederiveReport",
    "ReplayReport",
    "RunReport",
    "check",
    "open_store",
    "spent_secrets",
    "upgrade_store",
]
