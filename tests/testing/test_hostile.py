"""A connector is put through every fault, and what the kit says of it is true."""

from __future__ import annotations

from dataclasses import replace

import pytest

from penstock.testing import FAULTS, Answer, HostileProvider, ManualClock, Sent, put_through
from penstock.upstream.retry import Judge
from tests.pipeline.plant import acme, customer

BY_NAME = {fault.name: fault for fault in FAULTS}


def answer(sent: Sent) -> Answer:
    """Three pages of two customers, one of which is faulty."""
    records = [customer(n) for n in range(1, 7)]
    records[3]["display_name"] = " "
    since = sent.params.get("updated_since", "")
    records = [r for r in records if r["updated_at"] >= since]
    start = int(sent.params.get("cursor", "0"))
    following = str(start + 2) if start + 2 < len(records) else None
    return Answer.of({"data": records[start : start + 2], "next_cursor": following})


def test_a_collection_survives_them_all() -> None:
    ordeals = put_through(acme(), "customers", answer)
    assert [ordeal.fault for ordeal in ordeals] == list(FAULTS)
    ended = {ordeal.fault.name: ordeal.reason for ordeal in ordeals}
    assert ended["throttled"] is None
    assert ended["long_pause"] == "rate_limited"
    assert ended["outage"] == "upstream_unavailable"
    assert ended["html"] == "invalid_page"
    assert ended["redirects_inside"] == "egress_denied"


def test_what_does_not_end_as_it_must_is_told() -> None:
    connector = acme()
    connector.judge = Judge(statuses={404: "skip"})
    with pytest.raises(AssertionError) as told:
        put_through(connector, "customers", answer, faults=[BY_NAME["not_found"]])
    assert "not_found: a run that should have stopped ended done" in str(told.value)
    assert "not_found: the store is not what it would have been" in str(told.value)


def test_a_fault_that_never_strikes_is_told() -> None:
    never = replace(BY_NAME["server_error"], strikes=0)
    with pytest.raises(AssertionError, match="server_error: the fault never struck"):
        put_through(acme(), "customers", answer, faults=[never])


def test_every_fault_has_a_name_of_its_own() -> None:
    assert len(BY_NAME) == len(FAULTS)


def test_a_provider_that_is_well_answers_well() -> None:
    import httpx2

    with HostileProvider(answer, clock=ManualClock()) as provider, httpx2.Client() as client:
        got = client.get(f"{provider.url}/customers", params={"cursor": "4"}).json()
    assert [record["id"] for record in got["data"]] == ["cus_5", "cus_6"]
    assert provider.requests[0].params == {"cursor": "4"}
    assert provider.fired == 0


def test_an_answer_that_raises_fails_the_test() -> None:
    import httpx2

    def broken(_sent: Sent) -> Answer:
        raise AssertionError("who is asking?")

    with (
        pytest.raises(AssertionError, match="who is asking"),
        HostileProvider(broken, clock=ManualClock()) as provider,
        httpx2.Client() as client,
        pytest.raises(httpx2.HTTPError),
    ):
        client.get(provider.url)
