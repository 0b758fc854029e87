"""Progress: what a line tells, and how often one is said."""

from __future__ import annotations

from dataclasses import dataclass

from penstock.cli.progress import LINE_EVERY_S, Lines, told
from penstock.model.outcome import Counters


@dataclass(frozen=True)
class Step:
    stream: str
    counters: Counters
    seconds: float


def test_a_line_tells_pages_records_rate_and_the_outcomes_that_occurred():
    counters = Counters(
        pages=12, fetched=12_000, submitted=11_990, created=11_980, rejected=10, mapping_errors=10
    )
    assert told(counters, 2.0) == ("12 pages, 12,000 records, 6,000/s, 11,980 created, 20 rejected")


def test_a_route_that_fetches_by_itself_is_counted_by_what_it_submits():
    assert told(Counters(pages=1, submitted=1, unchanged=1), 0.0) == (
        "1 page, 1 record, 1 unchanged"
    )


def test_a_stream_is_told_of_at_once_and_then_now_and_then():
    said: list[str] = []
    lines = Lines(said.append)
    for tenth in range(0, int(LINE_EVERY_S * 20) + 1):
        lines.show(Step("invoices", Counters(pages=tenth), tenth / 10))
    lines.show(Step("customers", Counters(pages=1), 0.1))
    assert [line.partition(",")[0] for line in said] == [
        "invoices: 0 pages",
        "invoices: 50 pages",
        "invoices: 100 pages",
        "customers: 1 page",
    ]
