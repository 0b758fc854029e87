"""Metrics for Prometheus: counted from the named events, and read from the store at each scrape."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from typing import NamedTuple

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Histogram,
    disable_created_metrics,
    start_http_server,
)
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from penstock.errors import UsageError
from penstock.telemetry.events import Fields

LOOPBACK = "127.0.0.1"

OUTCOMES = ("created", "updated", "unchanged", "stale", "rejected", "filtered", "mapping_errors")
"""Counts of a page that are told as records by outcome."""

_PLACE = ("workspace", "connection", "stream")
_RUN_S = (1, 5, 15, 60, 300, 900, 3600, 14_400)
_REQUEST_S = (0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)


class Gauge(NamedTuple):
    """One number of this moment. Those of one name have the same help and names of labels."""

    name: str
    help: str
    value: float
    labels: Mapping[str, str] = {}


class Metrics:
    """Counts what it hears. gauges: asked at each scrape."""

    def __init__(self, gauges: Callable[[], Iterable[Gauge]] = tuple) -> None:
        # Or every number has a second line, which nobody asks for.
        disable_created_metrics()  # type: ignore[no-untyped-call]
        self.registry = CollectorRegistry()

        counter = partial(Counter, registry=self.registry)
        histogram = partial(Histogram, registry=self.registry)
        self._events = counter("penstock_events", "Named events, by name.", ["event"])
        self._runs = counter("penstock_runs", "Runs that ended.", [*_PLACE, "state"])
        self._run_s = histogram("penstock_run_seconds", "Length of runs.", _PLACE, buckets=_RUN_S)
        self._pages = counter("penstock_pages", "Pages committed.", _PLACE)
        self._records = counter(
            "penstock_records", "Records committed, by outcome.", [*_PLACE, "outcome"]
        )
        self._requests = counter(
            "penstock_requests",
            "Requests to providers, by status; 0 where no answer came.",
            ["workspace", "connection", "status"],
        )
        self._request_s = histogram(
            "penstock_request_seconds",
            "Time to a whole answer.",
            ["workspace", "connection"],
            buckets=_REQUEST_S,
        )
        self.registry.register(_AtScrape(gauges))

    def hear(self, name: str, fields: Fields) -> None:
        """One event; a listener for `heard_by`."""
        self._events.labels(name).inc()
        match name:
            case "run.finished":
                self._runs.labels(*_place(fields), str(fields.get("state"))).inc()
                self._run_s.labels(*_place(fields)).observe(_number(fields, "seconds"))
            case "page.committed":
                self._page(fields)
            case "request.answered" | "request.broken":
                self._request(fields)

    def _page(self, fields: Fields) -> None:
        place = _place(fields)
        self._pages.labels(*place).inc()
        for outcome in OUTCOMES:
            if number := _number(fields, outcome):
                self._records.labels(*place, outcome).inc(number)

    def _request(self, fields: Fields) -> None:
        workspace, connection, _ = _place(fields)
        status = str(fields.get("status", 0))
        self._requests.labels(workspace, connection, status).inc()
        self._request_s.labels(workspace, connection).observe(_number(fields, "seconds"))


@contextmanager
def served(metrics: Metrics, port: int, host: str = LOOPBACK) -> Iterator[int]:
    """Answer GET /metrics; yields the port, which is a free one where 0 was given.

    Raises UsageError where the address is taken or not ours.
    """
    try:
        server, thread = start_http_server(port, addr=host, registry=metrics.registry)
    except (OSError, OverflowError) as error:
        raise UsageError(
            f"metrics cannot be served on {host}:{port}: {error}; choose another --metrics-port"
        ) from error
    try:
        yield server.server_port
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class _AtScrape(Collector):
    def __init__(self, gauges: Callable[[], Iterable[Gauge]]) -> None:
        self._gauges = gauges

    def describe(self) -> Iterable[GaugeMetricFamily]:
        """Nothing: registering must not ask the store yet."""
        return ()

    def collect(self) -> Iterable[GaugeMetricFamily]:
        families: dict[str, GaugeMetricFamily] = {}
        for gauge in self._gauges():
            if gauge.name not in families:
                labels = list(gauge.labels)
                families[gauge.name] = GaugeMetricFamily(gauge.name, gauge.help, labels=labels)
            families[gauge.name].add_metric(list(gauge.labels.values()), gauge.value)
        return families.values()


def _place(fields: Fields) -> tuple[str, str, str]:
    workspace, connection, stream = (str(fields.get(name, "")) for name in _PLACE)
    return workspace, connection, stream


def _number(fields: Fields, name: str) -> float:
    value = fields.get(name, 0)
    return value if isinstance(value, int | float) else 0
