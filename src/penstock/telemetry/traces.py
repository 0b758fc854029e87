"""Traces for OpenTelemetry, made from the named events: a span for each run, page and request.

Needs the extra `otel`: nobody imports this module before an endpoint is configured.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Lock
from typing import TypeAlias

from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace import Span, SpanKind, Status, StatusCode, set_span_in_context

from penstock.telemetry.events import Fields, heard_by

_Value: TypeAlias = bool | int | float | str

_WITHIN_A_RUN = {
    "page.committed": ("page", SpanKind.INTERNAL),
    "request.answered": ("request", SpanKind.CLIENT),
    "request.broken": ("request", SpanKind.CLIENT),
}
"""Events that end a span of their own; their `seconds` say how long it was."""

_NS = 1_000_000_000


class Traces:
    """Makes spans of what it hears. now_ns: the wall clock, in nanoseconds.

    A run is begun by one event and ended by another; one that never ends is never exported.
    """

    def __init__(self, provider: TracerProvider, now_ns: Callable[[], int] = time.time_ns) -> None:
        self._tracer = provider.get_tracer("penstock")
        self._now_ns = now_ns

        self._lock = Lock()
        self._runs: dict[object, Span] = {}

    def hear(self, name: str, fields: Fields) -> None:
        """One event; a listener for `heard_by`."""
        match name:
            case "run.started":
                self._begin(fields)
            case "run.finished":
                self._end(fields)
            case _ if name in _WITHIN_A_RUN:
                self._record(name, fields)

    def _begin(self, fields: Fields) -> None:
        span = self._tracer.start_span(
            "run", attributes=_attributes(fields), start_time=self._now_ns()
        )
        with self._lock:
            self._runs[fields.get("run")] = span

    def _end(self, fields: Fields) -> None:
        with self._lock:
            span = self._runs.pop(fields.get("run"), None)
        if span is None:
            return
        span.set_attributes(_attributes(fields))
        if fields.get("state") == "failed":
            span.set_status(Status(StatusCode.ERROR, str(fields.get("reason"))))
        span.end(self._now_ns())

    def _record(self, name: str, fields: Fields) -> None:
        """A span that has just ended, below its run's where there is one."""
        called, kind = _WITHIN_A_RUN[name]
        run = self._runs.get(fields.get("run"))
        seconds, now = fields.get("seconds"), self._now_ns()
        length = int(seconds * _NS) if isinstance(seconds, int | float) else 0
        span = self._tracer.start_span(
            called,
            context=set_span_in_context(run) if run is not None else None,
            kind=kind,
            attributes=_attributes(fields),
            start_time=now - length,
        )
        if name == "request.broken":
            span.set_status(Status(StatusCode.ERROR, str(fields.get("fault"))))
        span.end(now)


@contextmanager
def exported() -> Iterator[None]:
    """Send the spans of this process to the endpoint that OpenTelemetry's own variables name.

    What is not sent yet is sent at the end.
    """
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter

    provider = TracerProvider(resource=Resource.create({"service.name": "penstock"}))
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    try:
        with heard_by(Traces(provider).hear):
            yield
    finally:
        provider.shutdown()


def _attributes(fields: Fields) -> dict[str, _Value]:
    return {
        f"penstock.{name}": value if isinstance(value, bool | int | float) else str(value)
        for name, value in fields.items()
        if value is not None
    }
