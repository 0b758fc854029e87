"""Runs, streams, connections and health as people see them."""

from __future__ import annotations

from dataclasses import replace

import pytest

from penstock.errors import UsageError
from penstock.model.connection import Account, Connection, ConnectionMode, ConnectionState
from penstock.model.outcome import Counters
from penstock.model.run import NewRun, RunKind, RunState
from penstock.model.standing import Condition, Standing
from penstock.model.unit import Checkpoint

from .conftest import NOON, Keeper

ACME = Connection(
    workspace="default",
    name="acme",
    target="acme",
    connector="acme",
    settings={"base_url": "https://api.acme.test"},
    account=Account("a-1", "Acme GmbH", currency="EUR"),
    mode=ConnectionMode.LIVE,
    state=ConnectionState.ACTIVE,
    allow_loopback=False,
    created_at=NOON,
)


def test_a_run_shows_its_counters_and_how_it_ended(read, store, keeper):
    number = keeper.run()
    store.runs.finish(
        number,
        state=RunState.FAILED,
        reason="upstream_error",
        message="GET /customers: 500",
        finished_at=NOON + 2_500_000,
        work_us=1_500_000,
        counters=Counters(submitted=2, created=1, rejected=1),
    )
    shown = read.run(number).as_json()
    assert shown["run"] == number
    assert (shown["state"], shown["reason"]) == ("failed", "upstream_error")
    assert (shown["started_at"], shown["finished_at"]) == (
        "2026-03-02T10:00:00Z",
        "2026-03-02T10:00:02.5Z",
    )
    assert shown["work_seconds"] == 1.5
    assert (shown["submitted"], shown["created"], shown["rejected"]) == (2, 1, 1)


def test_an_observation_says_what_would_have_happened(read, store):
    number = store.runs.start(
        NewRun("default", "acme", "customers", RunKind.OBSERVE, "acme", "0.1.0", "host:1", NOON)
    )
    store.runs.finish(
        number,
        state=RunState.DONE,
        reason=None,
        message=None,
        finished_at=NOON,
        work_us=0,
        counters=Counters(submitted=1, created=1),
    )
    shown = read.run(number).as_json()
    assert (shown["would_created"], shown["submitted"]) == (1, 1)
    assert "created" not in shown


def test_runs_are_listed_latest_first(read, store, keeper):
    first, second = keeper.run(), keeper.run()
    elsewhere = Keeper(store, connection="beta").run()
    assert [run.run_no for run in read.runs()] == [elsewhere, second, first]
    assert [run.run_no for run in read.runs("acme", limit=1)] == [second]


def test_a_run_of_another_workspace_is_not_there(read, store):
    number = Keeper(store, workspace="other").run()
    assert read.runs() == ()
    with pytest.raises(UsageError, match=f"no run {number}"):
        read.run(number)


def test_a_stream_shows_where_it_goes_on(read, store):
    checkpoint = Checkpoint(cursor={"page": 7}, enumeration={"high": 1}, watermark=NOON)
    store.streams.set_checkpoint("default", "acme", "customers", checkpoint, now=NOON)
    (stream,) = read.streams("acme")
    shown = stream.as_json()
    assert shown["cursor"] == {"page": 7}
    assert shown["watermark"] == "2026-03-02T10:00:00Z"
    assert (shown["lease_owner"], shown["lease_until"]) == (None, None)
    assert read.streams("beta") == ()


def test_a_connection_shows_its_secrets_by_name_alone(read, store):
    store.connections.save(ACME, {"api_key": b"sealed-bytes"}, now=NOON)
    shown = read.connection("acme").as_json()
    assert shown["secrets"] == ["api_key"]
    assert shown["settings"] == {"base_url": "https://api.acme.test"}
    assert shown["account"]["currency"] == "EUR"
    assert (shown["mode"], shown["state"]) == ("live", "active")
    assert "sealed" not in repr(shown)
    assert [view.as_json() for view in read.connections()] == [shown]


def test_an_unknown_connection_is_refused_with_those_there_are(read, store):
    store.connections.save(ACME, {}, now=NOON)
    with pytest.raises(UsageError, match="acme"):
        read.connection("acne")


def test_a_healthy_house_has_nothing_to_say(read, keeper):
    keeper.customer("cus_1", "One")
    health = read.health()
    assert health.findings == ()
    assert health.as_json()["store"]["schema_current"] is True
    assert health.as_json()["documents"]["customer"]["documents"] == 1


def test_health_names_what_wants_attention(read, store, keeper):
    store.connections.save(replace(ACME, state=ConnectionState.PAUSED), {}, now=NOON)
    store.streams.set_checkpoint("default", "acme", "customers", Checkpoint(), now=NOON)
    failed = Standing(Condition.FAILED, "upstream_error")
    store.streams.set_standing("default", "acme", "customers", failed, now=NOON)
    keeper.letter(b"one")
    stream, connection, letters = read.health().findings
    assert stream == ("stream acme customers is failed since 2026-03-02T10:00:00Z: upstream_error")
    assert connection == "connection acme is paused"
    assert "1 missing_field" in letters
