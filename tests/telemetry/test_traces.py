"""Spans: a run with its pages and requests below it, from events alone."""

from __future__ import annotations

import gzip
import logging
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import ClassVar

import pytest
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import StatusCode

from penstock.telemetry import about, event, heard_by
from penstock.telemetry.traces import Traces, exported

SECOND = 1_000_000_000


class Now:
    """Nanoseconds, moved by hand."""

    def __init__(self) -> None:
        self.at = 100 * SECOND

    def __call__(self) -> int:
        return self.at


@pytest.fixture
def now():
    return Now()


@pytest.fixture
def spans(now):
    """Those exported so far, oldest first."""
    exporter = InMemorySpanExporter()
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    with heard_by(Traces(provider, now).hear):
        yield exporter.get_finished_spans
    provider.shutdown()


def test_a_run_has_its_pages_and_requests_below_it(spans, now):
    with about(connection="acme", run=7):
        event("run.started", kind="poll")
        now.at += 2 * SECOND
        event("request.answered", logging.DEBUG, method="GET", status=200, seconds=0.5)
        event("page.committed", seconds=1.5, created=2)
        now.at += SECOND
        event("run.finished", state="done", reason=None, seconds=3.0)
    request, page, run = spans()
    assert [span.name for span in (request, page, run)] == ["request", "page", "run"]
    assert {span.parent.span_id for span in (request, page)} == {run.context.span_id}
    assert (run.start_time, run.end_time) == (100 * SECOND, 103 * SECOND)
    assert request.end_time - request.start_time == SECOND // 2
    assert run.attributes["penstock.connection"] == "acme"
    assert run.attributes["penstock.state"] == "done"
    assert page.attributes["penstock.created"] == 2
    assert run.status.status_code is StatusCode.UNSET


def test_runs_side_by_side_do_not_mix(spans):
    for number in (1, 2):
        with about(run=number):
            event("run.started")
    for number in (1, 2):
        with about(run=number):
            event("page.committed")
            event("run.finished", state="done")
    first, one, second, two = spans()
    assert first.parent.span_id == one.context.span_id
    assert second.parent.span_id == two.context.span_id
    assert one.context.trace_id != two.context.trace_id


def test_what_failed_is_marked(spans):
    with about(run=7):
        event("run.started")
        event("request.broken", fault="ReadTimeout", seconds=30.0)
        event("run.finished", state="failed", reason="upstream_unavailable")
    request, run = spans()
    assert (request.status.status_code, request.status.description) == (
        StatusCode.ERROR,
        "ReadTimeout",
    )
    assert run.status.description == "upstream_unavailable"


def test_a_request_outside_a_run_is_a_trace_of_its_own(spans):
    event("request.answered", status=200, seconds=0.1)
    (request,) = spans()
    assert request.parent is None


def test_an_end_without_a_beginning_is_no_span(spans):
    event("run.finished", run=8, state="done")
    assert spans() == ()


class Collector(BaseHTTPRequestHandler):
    """Takes spans and keeps where they were posted."""

    got: ClassVar[list[str]] = []

    def do_POST(self):
        body = self.rfile.read(int(self.headers["content-length"]))
        assert b"penstock" in gzip.decompress(body) if body[:2] == b"\x1f\x8b" else body
        self.got.append(self.path)
        self.send_response(200)
        self.send_header("content-length", "0")
        self.end_headers()

    def log_message(self, *_):
        pass


def test_spans_are_sent_to_the_endpoint_before_the_end(monkeypatch):
    with HTTPServer(("127.0.0.1", 0), Collector) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
        thread.start()
        endpoint = f"http://127.0.0.1:{server.server_port}"
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint)
        with exported(), about(run=7):
            event("run.started")
            event("run.finished", state="done")
        server.shutdown()
        thread.join()
    assert Collector.got == ["/v1/traces"]
