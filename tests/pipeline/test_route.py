"""Routes in code: what ingest answers, what a page commits, and what ends a run."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from typing import Any

import httpx2
import pytest

from penstock import Emit, ingest, sync
from penstock.contracts import registry
from penstock.contracts.accepted import Accepted
from penstock.errors import (
    ConnectorError,
    OutsideRouteError,
    PermissionDeniedError,
    RecordRejectedError,
    UnknownDocumentTypeError,
    UnknownStreamError,
    UpstreamError,
)
from penstock.model import times
from penstock.model.identity import as_text
from penstock.model.outcome import Counters
from penstock.model.run import RunState
from penstock.sdk.connector import Connector
from penstock.sdk.request import RouteRequest
from tests.pipeline.plant import Plant, customer, empty, errors_of, page_of, to_customer

MakePlant = Callable[..., Plant]
Route = Callable[[RouteRequest], Any]

CALL: dict[str, Any] = {
    "stream": "customers",
    "idempotency_key": lambda payload: f"acme:customer:{payload['customer_id']}",
}


def routed(route: Route, *streams: str, documents: Iterable[str] = ("customer",)) -> Connector:
    """A connector whose stream `customers` is served by a route."""
    connector = empty("customers", *streams, documents=documents)
    connector.sync("customers")(route)
    return connector


def mapped(route: Route) -> Connector:
    """The same, with a mapping declared beside the route."""
    connector = routed(route)
    connector.mapping("customers", id="id", document="customer")(to_customer)
    return connector


def payload(number: int, **changes: Any) -> dict[str, Any]:
    return to_customer(customer(number)) | changes


class Script:
    """A route that does one step each time it is called, and remembers what came of it."""

    def __init__(self, *steps: Callable[[RouteRequest], Any]) -> None:
        self.steps = list(steps)
        self.answers: list[Any] = []
        self.requests: list[RouteRequest] = []

    def __call__(self, request: RouteRequest) -> Any:
        self.requests.append(request)
        self.answers.append(self.steps.pop(0)(request))
        return sync.page()


def batch(*payloads: Any, **changes: Any) -> Callable[[RouteRequest], Any]:
    return lambda request: ingest.batch("customer", payloads, **CALL | changes)


def canonical(one: Any, key: str = "acme:customer:cus_1") -> Callable[[RouteRequest], Any]:
    return lambda request: ingest.canonical(
        "customer", one, stream="customers", idempotency_key=key
    )


def delete(key: str = "acme:customer:cus_1", **marks: Any) -> Callable[[RouteRequest], Any]:
    return lambda request: ingest.delete(
        "customer", stream="customers", idempotency_key=key, **marks
    )


def test_a_batch_answers_in_submitted_order(make_plant: MakePlant) -> None:
    script = Script(batch(payload(1), payload(2, name=5), payload(3), continue_on_error=True))
    plant = make_plant(routed(script))
    report = plant.run()
    assert report.state is RunState.DONE
    assert report.counters == Counters(pages=1, fetched=3, submitted=3, created=2, rejected=1)

    (answer,) = script.answers
    assert (answer.status, answer.document_type) == ("ingested", "customer")
    assert (answer.count, answer.imported, answer.failed) == (3, 2, 1)
    assert [r.provenance.source_id for r in answer.results] == ["cus_1", "cus_3"]
    (failed,) = answer.failed_records
    assert failed.failed is True
    assert (failed.reason, failed.index, failed.retryable) == ("invalid_type", 1, False)
    assert failed.idempotency_key == "acme:customer:cus_2"
    assert [(e.code, e.path) for e in failed.errors] == [("invalid_type", "/name")]
    assert failed.as_json()["errors"][0]["path"] == "/name"
    assert failed.message

    (letter,) = plant.letters()
    assert errors_of(letter) == [("invalid_type", "/name")]
    assert letter.idempotency_key == "acme:customer:cus_2"


def test_results_say_what_was_stored(make_plant: MakePlant) -> None:
    script = Script(batch(payload(1)))
    plant = make_plant(routed(script))
    report = plant.run()
    (result,) = script.answers[0].results
    ((stored, _),) = plant.store.reader.contents("default", "customer")
    accepted = registry.contract("customer").examine(
        payload(1), source_id=None, observed_on=plant.clock.now().date()
    )
    assert isinstance(accepted, Accepted)
    assert result.document_id == as_text(stored.document_id)
    assert result.payload_hash == accepted.payload_hash.hex()
    assert result.document_version_id != result.document_id
    assert result.provenance.outcome == "created"
    assert result.provenance.connector == "acme"
    assert result.provenance.connector_version == "0.1.0"
    assert result.provenance.connection == "acme-main"
    assert result.provenance.stream == "customers"
    assert result.provenance.run == report.run_no
    assert result.provenance.idempotency_key == "acme:customer:cus_1"
    assert result.provenance.index == 0


def test_every_outcome_is_told(make_plant: MakePlant) -> None:
    later = {"source_updated_at": "2026-03-01T10:00:00Z"}
    script = Script(
        canonical(payload(1)),
        canonical(payload(1)),
        canonical(payload(1, name="Renamed", **later)),
        canonical(payload(1, name="Old news")),
    )
    plant = make_plant(routed(script))
    for _ in range(4):
        plant.run()
    created, unchanged, updated, stale = script.answers
    outcomes = [answer.provenance.outcome for answer in script.answers]
    assert outcomes == ["created", "unchanged", "updated", "stale"]
    assert len({answer.document_id for answer in script.answers}) == 1
    assert created.document_version_id == unchanged.document_version_id
    assert created.payload_hash == unchanged.payload_hash
    assert updated.document_version_id == stale.document_version_id
    assert updated.document_version_id != created.document_version_id
    assert plant.names() == {"cus_1": "Renamed"}


def test_the_same_key_twice_in_one_batch_makes_one_version(make_plant: MakePlant) -> None:
    newer = payload(1, name="Newer", source_updated_at="2026-03-01T10:00:00Z")
    script = Script(batch(newer, payload(1), newer))
    plant = make_plant(routed(script))
    report = plant.run()
    assert (report.counters.created, report.counters.stale, report.counters.unchanged) == (1, 1, 1)
    outcomes = [r.provenance.outcome for r in script.answers[0].results]
    assert sorted(outcomes) == ["created", "stale", "unchanged"]
    assert outcomes[1] == "stale"
    assert "same key as record" in script.answers[0].results[1].provenance.note
    assert plant.names() == {"cus_1": "Newer"}
    assert plant.versions() == 1


@pytest.mark.parametrize(
    "refused",
    [canonical(payload(2, name=5)), batch(payload(3), payload(2, name=5), payload(4))],
    ids=["canonical", "batch"],
)
def test_a_rejection_that_escapes_stores_nothing_of_the_page_but_its_letter(
    make_plant: MakePlant, refused: Route
) -> None:
    def route(request: RouteRequest) -> Any:
        canonical(payload(1))(request)
        refused(request)
        raise AssertionError("not reached")

    plant = make_plant(routed(route))
    report = plant.run()
    assert (report.state, report.reason) == (RunState.FAILED, "invalid_type")
    assert report.counters == Counters()
    assert plant.names() == {}
    (letter,) = plant.letters()
    assert letter.reason == "invalid_type"
    assert letter.message == report.message
    assert plant.checkpoint() == (None, None)


def test_committed_pages_stay_when_a_later_one_is_refused(make_plant: MakePlant) -> None:
    def route(request: RouteRequest) -> Any:
        if request.cursor is None:
            batch(payload(1))(request)
            return sync.page(cursor={"page": 2}, has_more=True)
        canonical(payload(2, name=5))(request)
        raise AssertionError("not reached")

    plant = make_plant(routed(route))
    report = plant.run()
    assert report.counters.created == 1
    assert plant.names() == {"cus_1": "Customer 1"}
    assert plant.checkpoint()[0] == {"page": 2}


def test_a_rejection_the_author_catches_does_not_end_the_page(make_plant: MakePlant) -> None:
    def route(request: RouteRequest) -> Any:
        with pytest.raises(RecordRejectedError) as caught:
            canonical(payload(2, name=5))(request)
        assert caught.value.rejection.errors[0].path == "/name"
        return sync.page(batch(payload(1))(request))

    plant = make_plant(routed(route))
    assert plant.run().state is RunState.DONE
    assert plant.names() == {"cus_1": "Customer 1"}


def test_a_delete_makes_a_last_version_and_a_newer_record_restores_it(
    make_plant: MakePlant,
) -> None:
    restored = payload(1, source_updated_at="2026-03-02T09:00:00Z")
    script = Script(
        canonical(payload(1)),
        delete(deleted_at=datetime(2026, 3, 1, 12, tzinfo=UTC)),
        canonical(payload(1)),
        canonical(restored),
    )
    plant = make_plant(routed(script))
    plant.run()
    report = plant.run()
    assert report.counters.updated == 1
    assert script.answers[1].payload_hash == script.answers[0].payload_hash
    assert script.answers[1].provenance.source_id == "cus_1"
    assert plant.names() == {}
    assert plant.run().counters.stale == 1
    assert plant.names() == {}
    assert plant.run().counters.updated == 1
    assert plant.names() == {"cus_1": "Customer 1"}
    assert plant.versions() == 3


def test_a_delete_of_an_unknown_key_leaves_a_grave(make_plant: MakePlant) -> None:
    newer = payload(1, source_updated_at="2026-03-02T09:00:00Z")
    script = Script(
        delete(deleted_at=datetime(2026, 3, 1, 12, tzinfo=UTC)),
        canonical(payload(1)),
        canonical(newer),
    )
    plant = make_plant(routed(script))
    assert plant.run().counters == Counters(pages=1, fetched=1, submitted=1, unchanged=1)
    assert script.answers[0].provenance.outcome == "unchanged"
    assert plant.run().counters.stale == 1
    assert plant.names() == {}
    assert plant.run().counters.created == 1
    assert plant.names() == {"cus_1": "Customer 1"}


def test_a_delete_with_a_naive_time_is_refused(make_plant: MakePlant) -> None:
    plant = make_plant(routed(Script(delete(deleted_at=datetime(2026, 3, 1)))))
    assert plant.run().reason == "invalid_format"


def test_records_go_through_the_mapping_of_their_stream(make_plant: MakePlant) -> None:
    records = [customer(1), {"id": "cus_2"}, customer(3)]
    script = Script(lambda request: ingest.records("customers", records))
    plant = make_plant(mapped(script))
    report = plant.run()
    assert (report.counters.created, report.counters.mapping_errors) == (2, 1)
    (answer,) = script.answers
    assert (answer.document_type, answer.count, answer.imported) == ("customer", 3, 2)
    assert [r.provenance.idempotency_key for r in answer.results] == [
        "acme:customer:cus_1",
        "acme:customer:cus_3",
    ]
    assert answer.failed_records[0].index == 1
    (letter,) = plant.letters()
    assert letter.reason == "mapping_error"
    assert "display_name" in letter.message
    assert letter.raw == b'{"id":"cus_2"}'


def test_filtered_records_are_counted_and_do_not_appear(make_plant: MakePlant) -> None:
    script = Script(lambda request: ingest.records("customers", [customer(1), customer(2)]))
    connector = routed(script)
    connector.mapping("customers", id="id", document="customer")(
        lambda record: None if record["id"] == "cus_1" else to_customer(record)
    )
    plant = make_plant(connector)
    assert plant.run().counters == Counters(pages=1, fetched=2, filtered=1, submitted=1, created=1)
    assert script.answers[0].count == 1


def test_an_answer_tells_the_place_of_its_record_in_the_call(make_plant: MakePlant) -> None:
    def mapping(record: dict[str, Any]) -> Any:
        made = to_customer(record)
        if record["id"] == "cus_2":
            other = made | {"customer_id": "cus_2b"}
            return [Emit("customer", made), Emit("customer", other, id="cus_2b")]
        return None if record["id"] == "cus_1" else made

    records = [customer(1), customer(2), customer(3, display_name=5), customer(4)]

    def step(request: RouteRequest) -> Any:
        batch(payload(8), payload(9))(request)
        return ingest.records("customers", records)

    script = Script(step)
    connector = routed(script)
    connector.mapping("customers", id="id", document="customer")(mapping)
    assert make_plant(connector).run().counters.created == 5
    (answer,) = script.answers
    assert [(r.provenance.source_id, r.provenance.index) for r in answer.results] == [
        ("cus_2", 1),
        ("cus_2b", 1),
        ("cus_4", 3),
    ]
    assert [failed.index for failed in answer.failed_records] == [2]


def test_a_gone_record_needs_only_its_id(make_plant: MakePlant) -> None:
    script = Script(
        lambda request: ingest.record("customers", customer(1)),
        lambda request: ingest.record("customers", {"id": "cus_1"}, gone=True),
    )
    plant = make_plant(mapped(script))
    plant.run()
    assert plant.run().counters.updated == 1
    assert plant.names() == {}


def test_as_of_orders_events_that_carry_no_mark_of_their_own(make_plant: MakePlant) -> None:
    def event(name: str, hour: int) -> Route:
        record = customer(1, display_name=name, updated_at=None)
        moment = datetime(2026, 3, 1, hour, tzinfo=UTC)
        return lambda request: ingest.record("customers", record, as_of=moment)

    script = Script(event("At noon", 12), event("At nine", 9), event("At three", 15))
    plant = make_plant(mapped(script))
    assert plant.run().counters.created == 1
    assert plant.run().counters.stale == 1
    assert plant.names() == {"cus_1": "At noon"}
    assert plant.run().counters.updated == 1
    assert plant.names() == {"cus_1": "At three"}


def test_a_naive_as_of_is_a_wrong_call(make_plant: MakePlant) -> None:
    naive = datetime(2026, 3, 1)
    script = Script(lambda request: ingest.record("customers", customer(1), as_of=naive))
    report = make_plant(mapped(script)).run()
    assert (report.reason, report.counters) == ("usage", Counters())
    assert "as_of" in (report.message or "")


def test_records_of_a_stream_without_mapping_are_a_wrong_call(make_plant: MakePlant) -> None:
    script = Script(lambda request: ingest.records("customers", [customer(1)]))
    report = make_plant(routed(script)).run()
    assert report.reason == "unknown_stream"
    assert "has no mapping" in (report.message or "")


def test_the_watermark_is_the_greatest_mark_and_never_goes_back(make_plant: MakePlant) -> None:
    script = Script(batch(payload(3), payload(1)), lambda request: None, batch(payload(2)))
    plant = make_plant(routed(script))
    plant.run()
    mark = times.read("2026-03-01T09:00:03Z")
    assert plant.checkpoint() == (None, mark)
    plant.run()
    assert script.requests[0].watermark is None
    assert script.requests[1].watermark == datetime(2026, 3, 1, 9, 0, 3, tzinfo=UTC)
    assert plant.checkpoint() == (None, mark)
    plant.run()
    assert plant.checkpoint() == (None, mark)


@pytest.mark.parametrize(
    ("mark", "watermark"),
    [
        ("2026-03-01T09:00:08Z", "2026-03-01T09:00:08Z"),
        (datetime(2026, 3, 1, 9, 0, 8, tzinfo=UTC), "2026-03-01T09:00:08Z"),
        ("soon", "2026-03-01T09:00:01Z"),
        (datetime(2026, 3, 1, 9, 0, 8), "2026-03-01T09:00:01Z"),
        (None, "2026-03-01T09:00:01Z"),
        (8, "2026-03-01T09:00:01Z"),
    ],
)
def test_the_watermark_passes_a_rejected_payload(
    make_plant: MakePlant, mark: Any, watermark: str
) -> None:
    bad = payload(8, name=5, source_updated_at=mark)
    plant = make_plant(routed(Script(batch(payload(1), bad, continue_on_error=True))))
    assert plant.run().counters.rejected == 1
    assert plant.checkpoint() == (None, times.read(watermark))


def test_a_route_may_name_the_watermark_itself(make_plant: MakePlant) -> None:
    asked = datetime(2026, 2, 1, tzinfo=UTC)

    def route(request: RouteRequest) -> Any:
        return sync.page(batch(payload(3))(request), watermark=asked)

    plant = make_plant(routed(route))
    plant.run()
    assert plant.checkpoint() == (None, times.microseconds(asked))


def test_a_named_watermark_stays_behind_the_start_of_the_run(make_plant: MakePlant) -> None:
    ahead = datetime(2030, 1, 1, tzinfo=UTC)
    plant = make_plant(routed(lambda request: sync.page(watermark=ahead)))
    plant.run()
    assert plant.checkpoint() == (None, times.read("2026-03-02T09:59:00Z"))


def test_a_route_is_called_while_there_is_more(make_plant: MakePlant) -> None:
    seen: list[Any] = []

    def route(request: RouteRequest) -> Any:
        number = request.cursor or 0
        seen.append(request.cursor)
        answer = batch(payload(number))(request)
        more = number < 2
        return sync.page(answer, cursor=number + 1 if more else None, has_more=more)

    plant = make_plant(routed(route))
    report = plant.run()
    assert seen == [None, 1, 2]
    assert (report.counters.pages, report.counters.created) == (3, 3)
    assert plant.checkpoint()[0] is None


def test_the_last_cursor_is_what_the_next_run_starts_with(make_plant: MakePlant) -> None:
    seen: list[Any] = []

    def route(request: RouteRequest) -> Any:
        seen.append(request.cursor)
        return sync.page(cursor={"token": len(seen)})

    plant = make_plant(routed(route))
    plant.run()
    plant.run()
    assert seen == [None, {"token": 1}]
    plant.run(full=True)
    assert seen[-1] is None


def test_a_repeated_cursor_stops_the_run(make_plant: MakePlant) -> None:
    calls: list[Any] = []

    def route(request: RouteRequest) -> Any:
        calls.append(request.cursor)
        assert len(calls) < 20
        batch(payload(len(calls)))(request)
        return sync.page(cursor="always", has_more=True)

    plant = make_plant(routed(route))
    report = plant.run()
    assert (report.state, report.reason) == (RunState.FAILED, "cursor_repeated")
    assert calls == [None, "always"]
    assert plant.names() == {"cus_1": "Customer 1"}


@pytest.mark.parametrize("answer", [None, [], {"cursor": 1}])
def test_a_route_ends_with_a_page(make_plant: MakePlant, answer: Any) -> None:
    report = make_plant(routed(lambda request: answer)).run()
    assert report.reason == ConnectorError.code
    assert f"returned {type(answer).__name__}" in (report.message or "")
    assert "return sync.page(…)" in (report.message or "")


def test_a_route_that_raises_ends_the_run_with_the_authors_line(make_plant: MakePlant) -> None:
    def route(request: RouteRequest) -> Any:
        batch(payload(1))(request)
        raise KeyError("amount_due")

    plant = make_plant(routed(route))
    report = plant.run()
    assert (report.state, report.reason) == (RunState.FAILED, "route_failed")
    message = report.message or ""
    assert message.startswith("the route of stream customers raised KeyError: 'amount_due'")
    assert "test_route.py" in message
    assert plant.names() == {}
    assert plant.letters() == []


def test_a_final_answer_of_the_provider_ends_the_run(make_plant: MakePlant, provider: Any) -> None:
    provider.answers = [httpx2.Response(404, json={"error": "no such page"})]
    report = make_plant(routed(lambda request: request.http.get("/gone"))).run()
    assert report.reason == "upstream_error"
    assert "was answered with 404" in (report.message or "")
    assert "no such page" in (report.message or "")


def test_an_author_may_handle_a_final_answer(make_plant: MakePlant, provider: Any) -> None:
    statuses: list[int] = []

    def route(request: RouteRequest) -> Any:
        with pytest.raises(UpstreamError) as caught:
            request.http.get("/gone")
        statuses.append(caught.value.status)
        statuses.append(request.http.get("/gone", expect=(404,)).status)
        return sync.page()

    provider.answers = [httpx2.Response(404), httpx2.Response(404)]
    assert make_plant(routed(route)).run().state is RunState.DONE
    assert statuses == [404, 404]


def test_requests_carry_credentials_the_route_never_sees(
    make_plant: MakePlant, provider: Any
) -> None:
    def route(request: RouteRequest) -> Any:
        params = {"page": 2, "deep": True, "tag": ["a", "b"], "left_out": None}
        answer = request.http.get("/customers", params=params)
        assert "canary-secret" not in repr((request, answer, answer.request))
        return sync.page(ingest.records("customers", answer.json()["data"]))

    provider.answers = [page_of([customer(1)])]
    assert make_plant(mapped(route)).run().counters.created == 1
    (sent,) = provider.requests
    assert sent.headers["authorization"] == "Bearer canary-secret"
    assert str(sent.url).endswith("/customers?page=2&deep=true&tag=a&tag=b")


def test_an_unreadable_page_of_a_route_is_kept(make_plant: MakePlant, provider: Any) -> None:
    provider.answers = [httpx2.Response(200, content=b"<html>")]
    plant = make_plant(routed(lambda request: request.http.get("/customers").json()))
    assert plant.run().reason == "invalid_page"
    (letter,) = plant.letters()
    assert (letter.raw, letter.document_type) == (b"<html>", "")


def test_a_file_that_is_refused_is_not_taken_for_the_answer_before_it(
    make_plant: MakePlant, provider: Any
) -> None:
    def route(request: RouteRequest) -> Any:
        request.http.get("/customers").json()
        return list(request.http.stream("/export.xml").xml("Customer"))

    provider.answers = [None, httpx2.Response(200, content=b"<half")]
    plant = make_plant(routed(route))
    report = plant.run()
    assert report.reason == "invalid_page"
    assert "export.xml" in str(report.message)
    assert plant.letters() == []


def test_a_request_knows_connection_and_run(make_plant: MakePlant) -> None:
    script = Script(lambda request: None, lambda request: None)
    plant = make_plant(routed(script))
    began = plant.clock.now()
    plant.run()
    plant.run(full=True)
    first, second = script.requests
    assert (first.stream, first.cursor, first.watermark) == ("customers", None, None)
    assert (first.now, first.full, second.full) == (began, False, True)
    assert first.account is not None
    assert (first.account.id, first.facts) == ("acct_1", {"region": "eu"})


def test_the_door_closes_behind_the_route(make_plant: MakePlant) -> None:
    plant = make_plant(routed(Script(batch(payload(1)))))
    plant.run()
    with pytest.raises(OutsideRouteError):
        sync.page()


@pytest.mark.parametrize("continue_on_error", [True, False])
@pytest.mark.parametrize(
    ("document", "stream", "error"),
    [
        ("customer", "people", UnknownStreamError),
        ("customers", "customers", UnknownDocumentTypeError),
        ("invoice", "customers", PermissionDeniedError),
    ],
)
def test_a_wrong_call_raises_whatever_continue_on_error_says(
    make_plant: MakePlant, document: Any, stream: str, error: type[Exception], *,
    continue_on_error: bool,
) -> None:  # fmt: skip
    def route(request: RouteRequest) -> Any:
        batch(payload(1))(request)
        with pytest.raises(error):
            ingest.batch(
                document,
                [payload(2)],
                stream=stream,
                idempotency_key="k",
                continue_on_error=continue_on_error,
            )
        raise error("as it came")

    connector = routed(route)
    if error is UnknownDocumentTypeError:
        connector = routed(route, documents=("customer", "customers"))
    plant = make_plant(connector)
    report = plant.run()
    assert report.reason == error.code  # type: ignore[attr-defined]
    assert plant.names() == {}
    assert plant.letters() == []


def test_deleting_needs_a_permission_of_its_own(make_plant: MakePlant) -> None:
    connector = routed(Script(delete()))
    connector.permissions = type(connector.permissions)(documents={"customer": ["write"]})
    report = make_plant(connector).run()
    assert report.reason == "permission_denied"
    assert 'documents={"customer": ["delete"]}' in (report.message or "")


def raising(one: dict[str, Any]) -> str:
    raise LookupError("no number on it")


@pytest.mark.parametrize(
    ("key", "reason", "said"),
    [
        (None, "missing_idempotency_key", "missing or blank"),
        ("", "missing_idempotency_key", "missing or blank"),
        ("  ", "missing_idempotency_key", "missing or blank"),
        ("k" * 300, "invalid_idempotency_key", "300 characters"),
        (" k", "invalid_idempotency_key", "white space"),
        ("a\nb", "invalid_idempotency_key", "control characters"),
        (7, "invalid_idempotency_key", "int 7"),
        (raising, "missing_idempotency_key", "LookupError: no number on it"),
    ],
)
def test_a_record_without_a_usable_key_is_set_aside(
    make_plant: MakePlant, key: Any, reason: str, said: str
) -> None:
    """DS14"""

    def keys(one: dict[str, Any], index: int) -> Any:
        if index:
            return "acme:customer:good"
        return key(one) if callable(key) else key

    script = Script(batch(payload(1), payload(2), idempotency_key=keys, continue_on_error=True))
    plant = make_plant(routed(script))
    report = plant.run()
    assert (report.counters.created, report.counters.rejected) == (1, 1)
    (failed,) = script.answers[0].failed_records
    assert (failed.reason, failed.index) == (reason, 0)
    assert said in failed.message
    (letter,) = plant.letters()
    assert letter.reason == reason
    assert b"cus_1" in (letter.payload or b"")


@pytest.mark.parametrize("source_id", ["", "s" * 256, 5])
def test_an_unusable_source_id_is_set_aside(make_plant: MakePlant, source_id: Any) -> None:
    script = Script(batch(payload(1), source_id=source_id, continue_on_error=True))
    plant = make_plant(routed(script))
    assert plant.run().counters.rejected == 1
    assert script.answers[0].failed_records[0].reason == "invalid_source_id"


@pytest.mark.parametrize("junk", [None, 5, "text", [], [{"name": "A"}], object()])
def test_a_payload_that_is_no_mapping_is_set_aside(make_plant: MakePlant, junk: Any) -> None:
    script = Script(batch(junk, payload(2), idempotency_key=_by_place, continue_on_error=True))
    plant = make_plant(routed(script))
    report = plant.run()
    assert (report.counters.created, report.counters.rejected) == (1, 1)
    assert script.answers[0].failed_records[0].reason == "malformed_payload"
    (letter,) = plant.letters()
    assert letter.payload is not None


def _by_place(one: Any, index: int) -> str:
    return f"acme:customer:{index}"


def test_a_used_key_keeps_its_record(make_plant: MakePlant) -> None:
    script = Script(
        batch(payload(1), idempotency_key="acme:customer:x"),
        batch(payload(2), idempotency_key="acme:customer:x"),
    )
    plant = make_plant(routed(script))
    plant.run()
    report = plant.run()
    assert report.counters.rejected == 1
    (letter,) = plant.letters()
    assert letter.reason == "identity_conflict"
    assert plant.names() == {"cus_1": "Customer 1"}


def test_observation_answers_observed_and_stores_nothing(make_plant: MakePlant) -> None:
    script = Script(batch(payload(1), payload(2, name=5), continue_on_error=True))
    plant = make_plant(routed(script))
    report = plant.run(observing=True)
    (answer,) = script.answers
    assert (answer.status, answer.results[0].status) == ("observed", "observed")
    assert answer.results[0].provenance.outcome == "created"
    assert report.as_json()["would_created"] == 1
    assert plant.names() == {}
    assert plant.letters() == []


def test_observation_keeps_no_letter_of_a_rejection_that_escapes(make_plant: MakePlant) -> None:
    plant = make_plant(routed(Script(canonical(payload(1, name=5)))))
    assert plant.run(observing=True).reason == "invalid_type"
    assert plant.letters() == []


def test_several_calls_of_one_page_are_one_unit(make_plant: MakePlant) -> None:
    def route(request: RouteRequest) -> Any:
        first = canonical(payload(1))(request)
        again = canonical(payload(1))(request)
        assert first.document_version_id == again.document_version_id
        return sync.page()

    plant = make_plant(routed(route))
    report = plant.run()
    assert (report.counters.created, report.counters.unchanged) == (1, 1)
    assert plant.versions() == 1


def test_a_stale_answer_names_the_record_that_won(make_plant: MakePlant) -> None:
    newer = payload(1, name="Newer", source_updated_at="2026-03-01T10:00:00Z")
    told: list[Any] = []

    def route(request: RouteRequest) -> Any:
        batch(payload(2))(request)
        canonical(newer)(request)
        told.append(canonical(payload(1))(request).provenance)
        return sync.page()

    plant = make_plant(routed(route))
    assert plant.run().counters.stale == 1
    assert told[0].outcome == "stale"
    assert told[0].note == "same key as record 1 of this unit"
    assert plant.names() == {"cus_1": "Newer", "cus_2": "Customer 2"}
