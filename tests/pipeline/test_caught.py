"""Rejections that a route catches: the author goes on, and the record is kept all the same."""

from __future__ import annotations

import contextlib
from collections.abc import Callable

from penstock import ingest, sync
from penstock.errors import RecordRejectedError
from penstock.sdk.request import RouteRequest
from tests.pipeline.plant import Plant, empty


def test_a_rejection_that_the_route_catches_is_set_aside_all_the_same(
    make_plant: Callable[..., Plant],
) -> None:
    connector = empty("customers")

    @connector.sync("customers")
    def route(request: RouteRequest) -> sync.SyncPage:
        for number in (1, 2):
            name = "Good" if number == 1 else 5
            payload = {"customer_id": f"cus_{number}", "name": name}
            with contextlib.suppress(RecordRejectedError):
                ingest.canonical(
                    "customer", payload, stream="customers", idempotency_key=f"acme:{number}"
                )
        return sync.page()

    plant = make_plant(connector)
    report = plant.run()
    assert (report.state, report.counters.created, report.counters.rejected) == ("done", 1, 1)
    (letter,) = plant.letters()
    assert letter.reason == "invalid_type"
