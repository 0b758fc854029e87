"""Drift: listed, looked into, accepted."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

CONNECTOR = """
import json
from pathlib import Path
from penstock import Connector, Permissions, Stream, ingest, sync

acme = Connector(
    key="acme", name="Acme", provider="acme", version="0.1.0",
    permissions=Permissions(documents={"customer": ["write"]}),
    streams=[Stream("customers", mode="poll", drift="POLICY")],
)

@acme.mapping("customers", id="id", document="customer")
def customer(record):
    return {"customer_id": record["id"], "name": record["name"]}

@acme.sync("customers")
def customers(request):
    return sync.page(ingest.records("customers", json.loads(Path("records.json").read_text())))
"""


def record(number: int, **changes: Any) -> dict[str, Any]:
    tier = "paid" if number % 2 else "free"
    return {"id": f"cus_{number}", "name": f"Name {number}", "tier": tier, "net": 1.25} | changes


def provide(*records: dict[str, Any]) -> None:
    Path("records.json").write_text(json.dumps(records))


@pytest.fixture
def learnt(shell, request):
    """A shell after a first run; the next one will show three differences."""
    policy = getattr(request, "param", "warn")
    Path("acme.py").write_text(CONNECTOR.replace("POLICY", policy))
    assert shell("connect acme.py --name acme").code == 0
    provide(*(record(n) for n in range(20)))
    assert shell("run acme").code == 0
    provide(record(1), record(2, vat="DE1", tier="gold"), record(3, net="1.25"))
    return shell


@pytest.fixture
def drifted(learnt):
    assert learnt("run acme").code == 0
    return learnt


def kinds(listing: Any) -> list[tuple[str, str]]:
    return [(item["kind"], item["path"]) for item in listing["items"]]


def test_drift_is_listed_with_its_first_record(drifted):
    listing = drifted.json("drift acme customers")
    assert sorted(kinds(listing)) == [
        ("new_field", "vat"),
        ("new_value", "tier"),
        ("type_change", "net"),
    ]
    (value,) = (item for item in listing["items"] if item["kind"] == "new_value")
    assert value["detail"] == "gold"
    assert value["idempotency_key"] == "acme:customer:cus_2"
    assert (value["run"], value["page"], value["accepted_at"]) == (2, None, None)
    assert value["first_seen_at"].endswith("Z")
    assert listing == drifted.json("drift") == drifted.json("drift acme")
    shown = drifted("drift")
    assert "tier has a new value 'gold'; known are free, paid" in shown.out
    assert "--accept" in shown.err


def test_the_run_that_meets_drift_warns_of_it(learnt):
    ran = learnt("run acme")
    assert ran.code == 0
    assert "warning: customers: the provider's records changed" in ran.err
    assert "penstock drift acme customers" in ran.err


def test_doctor_counts_what_waits(drifted):
    assert drifted.json("doctor")["drift"] == {"new_field": 1, "new_value": 1, "type_change": 1}
    assert "penstock drift" in drifted("doctor").err
    drifted("drift acme --accept")
    assert drifted.json("doctor")["drift"] == {}
    assert "records have changed" not in drifted("doctor").err


def test_accepted_drift_is_listed_no_more(drifted):
    first = drifted.json("drift")["items"][0]
    assert drifted.json(f"drift acme --accept --id {first['id']}") == {"accepted": 1}
    assert len(drifted.json("drift")["items"]) == 2
    assert "accepted 2 differences" in drifted("drift acme customers --accept").err
    assert drifted.json("drift")["items"] == []
    assert drifted("drift").err == "no drift\n"
    assert drifted("drift acme --accept").err == "no drift to accept\n"
    assert [bool(item["accepted_at"]) for item in drifted.json("drift --all")["items"]] == [
        True
    ] * 3


def test_a_list_goes_on_where_it_ended(drifted):
    whole = drifted.json("drift")["items"]
    first = drifted.json("drift --limit 1")
    rest = drifted.json(f"drift --after {first['after']}")
    assert first["items"] + rest["items"] == whole
    assert rest["after"] is None
    assert "--after" in drifted("drift --limit 1").err
    assert drifted("drift --after nonsense").code == 2
    assert drifted("drift --after WyJ4Il0").code == 2


def test_a_shape_shows_what_records_look_like(drifted):
    view = drifted.json("drift acme customers --shape")
    assert (view["learnt"], view["crowded"]) == (True, False)
    fields = {field["path"]: field for field in view["fields"]}
    assert list(fields) == ["id", "name", "net", "tier", "vat"]
    assert fields["tier"]["values"] == ["free", "gold", "paid"]
    assert fields["net"] == {
        "path": "net", "types": ["number", "text"], "seen": 23, "present": 23, "nulls": 0,
        "values": None, "digits": 1, "scale": 2,
    }  # fmt: skip
    shown = drifted("drift acme customers --shape").out
    assert "1.2 digits" in shown
    assert "free, gold, paid" in shown


def test_before_the_first_records_there_is_no_shape(shell):
    Path("acme.py").write_text(CONNECTOR.replace("POLICY", "warn"))
    shell("connect acme.py --name acme")
    shown = shell("drift acme customers --shape")
    assert "no records seen yet" in shown.err
    assert "still learning" in shown.err


@pytest.mark.parametrize("learnt", ["pause"], indirect=True)
def test_a_paused_stream_goes_on_after_acceptance(learnt):
    ran = learnt("run acme")
    assert ran.code == 3
    assert "penstock drift acme customers --accept" in ran.err
    (stream,) = learnt.json("streams")
    assert stream["state"] == "paused_by_drift"
    assert "records changed" in stream["reason"]
    assert learnt.json("documents list customer")["items"][0]["version"] == 1
    assert learnt("run acme").code == 3
    learnt("drift acme --accept")
    assert learnt.json("streams")[0]["state"] == "ok"
    assert learnt("run acme").code == 0


@pytest.mark.parametrize(
    "words",
    [
        "drift nobody",
        "drift nobody --accept",
        "drift --accept",
        "drift acme --id 1",
        "drift acme --accept --id 99",
        "drift acme --shape",
        "drift nobody customers --shape",
        "drift acme orders",
        "drift acme orders --accept",
    ],
)
def test_a_wrong_call_says_what_to_do(drifted, words):
    answer = drifted(words)
    assert answer.code == 2
    assert answer.err.startswith("error: ")
    assert len(drifted.json("drift")["items"]) == 3
