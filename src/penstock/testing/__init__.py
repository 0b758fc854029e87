"""The public test kit, for authors of connectors and of storage backends.

`connector_runtime` runs connector code without a network, on answers that are queued or recorded;
`HostileProvider` serves a connector's own answers badly, one fault at a time. `store_contract` is
the behaviour of a storage backend. Nothing here needs pytest to be imported.
"""

from __future__ import annotations

from penstock.testing.answers import Answer, Sent
from penstock.testing.clock import ManualClock
from penstock.testing.hostile import FAULTS, Fault, HostileProvider, Ordeal, put_through
from penstock.testing.runtime import Call, ConnectorRuntime, Ingested, connector_runtime

__all__ = [
    "FAULTS",
    "Answer",
    "Call",
    "ConnectorRuntime",
    "Fault",
    "HostileProvider",
    "Ingested",
    "ManualClock",
    "Ordeal",
    "Sent",
    "connector_runtime",
    "put_through",
]
