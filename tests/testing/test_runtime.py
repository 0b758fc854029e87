"""The kit an author tests a connector with: what is queued, asked, handed over and stored."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from penstock import Connector, Permissions, Stream, ingest, sync
from penstock.errors import ConnectorError, RecordRejectedError, SettingsError
from penstock.testing import ManualClock, connector_runtime
from penstock.upstream.recording import FORMAT
from tests.pipeline.plant import acme, customer, to_customer


def routed() -> Connector:
    """A connector whose route does everything itself."""
    connector = Connector(
        key="acme",
        name="Acme",
        provider="acme",
        version="0.1.0",
        base_url="https://api.acme.test",
        permissions=Permissions(
            http=["https://api.acme.test/*"], documents={"customer": ["write", "delete"]}
        ),
        streams=[Stream("customers", mode="poll")],
    )

    @connector.sync("customers")
    def customers(request: Any) -> sync.SyncPage:
        request.log(f"from {request.cursor}")
        page = request.http.get("/customers", params={"cursor": request.cursor}).json()
        batch = ingest.batch(
            "customer",
            [to_customer(row) for row in page["data"]],
            stream="customers",
            continue_on_error=True,
            idempotency_key=lambda p: f"acme:customer:{p['customer_id']}",
        )
        return sync.page(batch, cursor=page["next"], has_more=page["next"] is not None)

    return connector


class TestARun:
    def test_stores_what_was_answered(self) -> None:
        with connector_runtime(acme()) as runtime:
            runtime.respond({"data": [customer(1)], "next_cursor": "two"})
            runtime.respond({"data": [customer(2), customer(3, display_name=" ")]})
            report = runtime.run("customers")
            assert (report.counters.created, report.counters.rejected) == (2, 1)
            assert [d["name"] for d in runtime.documents("customer")] == [
                "Customer 1",
                "Customer 2",
            ]
            assert [letter.reason for letter in runtime.dead_letters] == ["missing_field"]
            cursor, watermark = runtime.checkpoint("customers")
            assert (cursor, watermark) == (None, datetime(2026, 3, 1, 9, 0, 3, tzinfo=UTC))

    def test_shows_what_was_asked_with_the_credentials(self) -> None:
        with connector_runtime(acme(), secrets={"api_key": "k-1"}) as runtime:
            runtime.respond({"data": []})
            runtime.run("customers")
            (sent,) = runtime.requests
        assert (sent.method, sent.path, sent.params) == ("GET", "/customers", {})
        assert sent.headers["authorization"] == "Bearer k-1"

    def test_asks_again_from_the_watermark(self) -> None:
        with connector_runtime(acme()) as runtime:
            for _ in range(2):
                runtime.respond({"data": [customer(1)]})
                runtime.run("customers")
            assert runtime.requests[1].params == {"updated_since": "2026-03-01T09:00:01Z"}

    def test_waits_on_a_clock_that_only_counts(self) -> None:
        with connector_runtime(acme()) as runtime:
            runtime.respond(status=429, headers={"Retry-After": "20"})
            runtime.respond({"data": []})
            assert not runtime.run("customers").failed
            assert 20 <= runtime.clock.slept[0] <= 21

    def test_an_answer_for_one_path_is_for_no_other(self) -> None:
        with connector_runtime(acme()) as runtime:
            runtime.respond({"data": [customer(1)]}, path="/customers")
            runtime.respond("never asked for", path="/invoices")
            assert runtime.run("customers").counters.created == 1

    def test_fails_the_test_where_nothing_is_queued(self) -> None:
        with (
            connector_runtime(acme()) as runtime,
            pytest.raises(AssertionError, match="asked GET /customers, and no answer is queued"),
        ):
            runtime.run("customers")


class TestACall:
    def test_returns_the_page_and_what_was_handed_over(self) -> None:
        with connector_runtime(routed()) as runtime:
            runtime.respond({"data": [customer(1), customer(2, display_name=" ")], "next": "b"})
            call = runtime.call("customers", cursor="a")
            assert (call.cursor, call.has_more) == ("b", True)
            assert [(i.key, i.reason) for i in call.ingested] == [
                ("acme:customer:cus_1", None),
                ("acme:customer:cus_2", "missing_field"),
            ]
            payload = call.ingested[0].payload
            assert payload is not None
            assert payload["name"] == "Customer 1"
            assert runtime.logs == ["from a"]

    def test_commits_nothing(self) -> None:
        with connector_runtime(routed()) as runtime:
            runtime.respond({"data": [customer(1)], "next": None})
            runtime.call("customers")
            assert runtime.documents("customer") == []
            assert runtime.checkpoint("customers") == (None, None)

    def test_raises_what_the_route_raises(self) -> None:
        connector = routed()

        def strict(request: Any) -> sync.SyncPage:
            ingest.canonical("customer", {}, stream="customers", idempotency_key="k")
            return sync.page()

        connector.sync_routes["customers"] = strict
        with connector_runtime(connector) as runtime, pytest.raises(RecordRejectedError):
            runtime.call("customers")

    def test_with_bounds_is_one_of_the_backfill_route(self) -> None:
        connector, told = routed(), []

        @connector.backfill("customers")
        def past(request: Any) -> sync.SyncPage:
            told.append((request.from_, request.to, request.partition))
            return sync.page()

        day = datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 1, 2, tzinfo=UTC)
        with connector_runtime(connector) as runtime:
            runtime.call("customers", from_=day[0], to=day[1], partition={"region": "eu"})
        assert told == [(*day, {"region": "eu"})]

    def test_is_for_routes(self) -> None:
        with (
            connector_runtime(acme()) as runtime,
            pytest.raises(ConnectorError, match="`run` serves collections"),
        ):
            runtime.call("customers")


class TestARecording:
    def test_is_what_is_answered(self, tmp_path: Path) -> None:
        recording = {
            "format": FORMAT,
            "request": {"method": "GET", "path": "/customers", "params": []},
            "response": {
                "status": 200,
                "headers": {"content-type": "application/json"},
                "text": json.dumps({"data": [customer(1)]}),
            },
        }
        (tmp_path / "0001.json").write_text(json.dumps(recording))
        with connector_runtime(acme()) as runtime:
            assert runtime.replay(tmp_path) == 1
            assert runtime.run("customers").counters.created == 1

    def test_a_folder_without_one(self, tmp_path: Path) -> None:
        with (
            connector_runtime(acme()) as runtime,
            pytest.raises(ValueError, match="penstock record"),
        ):
            runtime.replay(tmp_path)

    def test_a_file_of_another_format(self, tmp_path: Path) -> None:
        (tmp_path / "1.json").write_text("{}")
        with (
            connector_runtime(acme()) as runtime,
            pytest.raises(ValueError, match="no recording of this format"),
        ):
            runtime.replay(tmp_path)


def test_settings_are_checked_as_connect_checks_them() -> None:
    connector = acme()
    connector.settings = {"type": "object", "required": ["base_url"], "properties": {}}
    with pytest.raises(SettingsError, match="base_url"), connector_runtime(connector):
        pass


def test_the_clock_moves_when_it_is_told() -> None:
    clock = ManualClock()
    before = clock.now()
    clock.sleep(3)
    clock.advance(2)
    assert ((clock.now() - before).total_seconds(), clock.slept) == (5, [3])
