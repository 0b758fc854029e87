"""ingest and sync outside a route: nothing happens, and the sentence says what to do."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from penstock import ingest, sync
from penstock.errors import OutsideRouteError


@pytest.mark.parametrize(
    "call",
    [
        lambda: ingest.canonical("customer", {}, stream="customers", idempotency_key="k"),
        lambda: ingest.batch("customer", [], stream="customers", idempotency_key="k"),
        lambda: ingest.delete("customer", stream="customers", idempotency_key="k"),
        lambda: ingest.record("customers", {}),
        lambda: ingest.records("customers", []),
        sync.page,
    ],
    ids=["canonical", "batch", "delete", "record", "records", "page"],
)
def test_outside_a_route_there_is_no_door(call: Callable[[], Any]) -> None:
    with pytest.raises(OutsideRouteError, match="penstock run"):
        call()
