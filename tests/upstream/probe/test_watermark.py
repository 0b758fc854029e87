"""Which field tells of changes, and how exactly."""

from __future__ import annotations

import pytest

from penstock.upstream.probe.watermark import watermark


def rows(*values, name="updated_at"):
    return [{"id": number, name: value} for number, value in enumerate(values)]


@pytest.mark.parametrize(
    ("values", "spelling", "precision"),
    [
        (["2026-03-01", "2026-03-02"], "date", "day"),
        (["2026-03-01T00:00:00Z", "2026-03-02T00:00:00Z"], "rfc3339", "day"),
        (["2026-03-01T09:00Z"], "rfc3339", "minute"),
        (["2026-03-01T09:00:01Z"], "rfc3339", "second"),
        (["2026-03-01T09:00:01.000Z", "2026-03-01T09:00:02.000Z"], "rfc3339", "second"),
        (["2026-03-01T09:00:01.000Z", "2026-03-01T09:00:02.120Z"], "rfc3339", "millisecond"),
        (["2026-03-01T09:00:01.000001+01:00"], "rfc3339", "microsecond"),
        (["2026-03-01 09:00:01"], "%Y-%m-%d %H:%M:%S", "second"),
        ([1772445600, 1772445601], "unix", "second"),
        ([1772445600000], "unix_ms", "millisecond"),
        (["/Date(1772445600123+0000)/"], "rfc3339", "millisecond"),
    ],
)
def test_format_and_precision(values, spelling, precision):
    found = watermark(rows(*values))
    assert found is not None
    assert (found.since.format, found.precision) == (spelling, precision)


@pytest.mark.parametrize(
    "name", ["updated_at", "UpdatedDateUTC", "lastModified", "SystemModstamp", "changed"]
)
def test_names_that_tell_of_changes(name):
    found = watermark(rows("2026-03-01T09:00:01Z", name=name))
    assert found is not None
    assert (found.since.field, found.note) == (name, None)


def test_one_that_tells_of_new_records_only_is_taken_with_a_note():
    found = watermark(rows("2026-03-01T09:00:01Z", name="created_at"))
    assert found is not None
    assert "new records only" in (found.note or "")
    both = [{"created_at": "2026-03-01", "meta": {"updated": "2026-03-01"}}]
    better = watermark(both)
    assert better is not None
    assert better.since.field == "meta.updated"


@pytest.mark.parametrize(
    ("values", "order"),
    [
        ([1772445600, 1772445601, 1772445601], "ascending"),
        ([1772445602, 1772445601], "descending"),
        ([1772445602, 1772445601, 1772445603], "unsorted"),
        ([1772445602, 1772445602], "unknown"),
    ],
)
def test_the_order_of_the_records(values, order):
    found = watermark(rows(*values))
    assert found is not None
    assert found.order == order


def test_records_without_it_are_counted():
    found = watermark([*rows("2026-03-01T09:00:01Z", None), {"id": 9}])
    assert found is not None
    assert found.missing == 2


@pytest.mark.parametrize(
    "records",
    [[], rows("soon"), rows(True), rows(None), rows("2026-03-01", name="due_date"), ["x"]],
)
def test_what_tells_no_time_of_change(records):
    assert watermark(records) is None
