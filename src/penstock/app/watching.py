"""Watching a long life from outside: metrics over HTTP, and traces where somebody collects them."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager

from penstock.app.app import App
from penstock.model import times
from penstock.read.gauges import gauges
from penstock.telemetry import event, heard_by

LOOPBACK = "127.0.0.1"
ENDPOINTS = ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")
"""Of these variables, which OpenTelemetry itself defines, one turns traces on."""


@contextmanager
def watched(
    app: App,
    *,
    metrics_port: int | None,
    metrics_host: str = LOOPBACK,
    environment: Mapping[str, str] = os.environ,
) -> Iterator[int | None]:
    """Let others watch while in here; yields the port of the metrics, None without.

    metrics_port: 0 for a free one. Raises UsageError where the port is taken.
    """
    with ExitStack() as undo:
        if any(environment.get(name) for name in ENDPOINTS):
            undo.enter_context(traced())
        port = None
        if metrics_port is not None:
            port = undo.enter_context(metered(app, metrics_port, metrics_host))
        yield port


@contextmanager
def metered(app: App, port: int, host: str = LOOPBACK) -> Iterator[int]:
    """Count events, and answer GET /metrics with them and with the store's gauges."""
    from penstock.telemetry.metrics import Metrics, served

    metrics = Metrics(lambda: gauges(app.store, times.microseconds(app.clock.now())))
    with heard_by(metrics.hear), served(metrics, port, host) as taken:
        yield taken


@contextmanager
def traced() -> Iterator[None]:
    """Export spans; where the extra is missing, say so once and go on without."""
    try:
        from penstock.telemetry.traces import exported
    except ModuleNotFoundError as error:
        event("traces.unavailable", logging.WARNING, missing=error.name, needs="penstock[otel]")
        yield
        return
    with exported():
        yield
