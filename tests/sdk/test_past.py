"""The past of a stream: who can read a slice of it, and by which keys."""

from __future__ import annotations

from typing import Any

import pytest

from penstock import Connector, Since, Stream
from penstock.errors import UnknownStreamError, UsageError
from penstock.sdk.past import Past, past_of

BOUNDS = Since(param="since", until="until", field="updated_at")


def connector(since: Since | None = BOUNDS, path: str = "/customers", **params: str) -> Connector:
    made = Connector(
        key="acme",
        name="Acme",
        provider="acme",
        version="0.1.0",
        streams=[
            Stream("customers", mode="poll"),
            Stream("history", mode="backfill"),
            Stream("events", mode="webhook"),
        ],
    )
    declared: dict[str, Any] = {"id": "id", "document": "customer", "params": params}
    made.collection("customers", path=path, since=since, **declared)(dict)
    return made


def test_a_collection_with_both_bounds_can_be_asked_for_a_slice() -> None:
    assert past_of(connector(), "customers") == Past(frozenset(), frozenset())


def test_a_route_reads_any_past_and_knows_its_keys_itself() -> None:
    acme = connector(since=None)
    acme.backfill("customers")(print)
    past = past_of(acme, "customers")
    assert past == Past()
    past.check("customers", ["region", "whatever"])


@pytest.mark.parametrize(
    "since",
    [
        None,
        Since(field="updated_at"),
        Since(param="since", field="updated_at"),
        Since(until="until", field="updated_at"),
    ],
)
def test_without_both_bounds_there_is_no_slice(since: Since | None) -> None:
    with pytest.raises(UsageError, match="streams that can: none") as refused:
        past_of(connector(since), "customers")
    assert '@acme.backfill("customers")' in refused.value.message


def test_a_stream_that_cannot_names_those_that_can() -> None:
    with pytest.raises(UsageError, match="streams that can: customers"):
        past_of(connector(), "history")
    with pytest.raises(UsageError, match="streams that can: customers"):
        past_of(connector(), "events")
    with pytest.raises(UnknownStreamError, match="it has: customers"):
        past_of(connector(), "invoices")


def test_keys_are_those_that_the_declaration_has_a_place_for() -> None:
    past = past_of(
        connector(path="/{partition.region}/customers", kind="{partition.kind}"), "customers"
    )
    assert (past.keys, past.needed) == ({"region", "kind"}, {"region"})
    past.check("customers", ["region"])
    past.check("customers", ["region", "kind"])
    with pytest.raises(UsageError, match="give --partition region=…"):
        past.check("customers", ["kind"])
    with pytest.raises(UsageError, match=r"nothing in the .* depends on it; keys .*: kind, region"):
        past.check("customers", ["region", "zone"])
