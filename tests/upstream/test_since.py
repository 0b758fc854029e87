from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock.errors import ConnectorError
from penstock.model import times
from penstock.upstream.request import Request
from penstock.upstream.since import Since, Span

ASKED = Request("GET", "https://api.acme.test/invoices")
MARK = datetime(2026, 3, 2, 10, 0, 0, 999_999, tzinfo=UTC)


class TestAsking:
    @pytest.mark.parametrize(
        ("form", "sent"),
        [
            ("rfc3339", "2026-03-02T10:00:00Z"),
            ("unix", "1772445600"),
            ("unix_ms", "1772445600999"),
            ("date", "2026-03-01"),
            ("%Y-%m-%d %H:%M", "2026-03-02 10:00"),
            ("%a, %d %b %Y %H:%M:%S GMT", "Mon, 02 Mar 2026 10:00:00 GMT"),
        ],
    )
    def test_the_mark_is_cut_down_never_rounded_up(self, form, sent):
        since = Since(param="from", field="at", format=form)
        assert since.apply(ASKED, MARK).param("from") == sent

    def test_a_day_is_not_over_before_it_is_over_everywhere(self):
        since = Since(param="from", field="at", format="date")
        behind = MARK.astimezone(timezone(timedelta(hours=-12)))
        assert since.write(MARK) <= behind.date().isoformat()

    @given(st.datetimes(datetime(1970, 1, 2), datetime(2100, 1, 1), timezones=st.just(UTC)))
    def test_what_is_sent_is_never_later_than_the_mark(self, mark):
        for form in ("rfc3339", "unix", "unix_ms", "%Y-%m-%dT%H:%M:%S.%f"):
            since = Since(param="from", field="at", format=form)
            asked = since.measure({"at": since.write(mark)})
            assert asked is not None
            assert times.microseconds(mark) - 1_000_000 < asked <= times.microseconds(mark)

    def test_without_a_mark_everything_is_asked_for(self):
        assert Since(param="from", field="at").apply(ASKED, None) == ASKED

    def test_without_a_mark_the_declared_start_counts(self):
        since = Since(param="from", field="at", start=datetime(2020, 1, 1, tzinfo=UTC))
        assert since.apply(ASKED, None).param("from") == "2020-01-01T00:00:00Z"

    def test_lookback_is_taken_off(self):
        since = Since(param="from", field="at", lookback=timedelta(hours=2))
        assert since.apply(ASKED, MARK).param("from") == "2026-03-02T08:00:00Z"

    def test_it_may_go_into_a_header(self):
        since = Since(header="If-Modified-Since", field="at", format="%a, %d %b %Y %H:%M:%S GMT")
        assert since.apply(ASKED, MARK).headers == (
            ("If-Modified-Since", "Mon, 02 Mar 2026 10:00:00 GMT"),
        )

    def test_a_backfill_slice_is_asked_for_with_a_little_around_it(self):
        since = Since(param="from", until="to", field="at")
        asked = since.between(ASKED, MARK, MARK + timedelta(days=1))
        assert asked.params == (("from", "2026-03-02T10:00:00Z"), ("to", "2026-03-03T10:00:01Z"))

    def test_with_neither_param_nor_header_it_only_measures(self):
        assert Since(field="at").apply(ASKED, MARK) == ASKED

    def test_beyond_the_horizon_a_full_run_is_due(self):
        since = Since(param="from", field="at", horizon=timedelta(days=30))
        assert since.is_too_old(MARK, MARK + timedelta(days=31))
        assert not since.is_too_old(MARK, MARK + timedelta(days=30))
        assert not Since(field="at").is_too_old(MARK, MARK + timedelta(days=9999))


class TestMeasuring:
    TEN = times.microseconds(datetime(2026, 3, 2, 10, tzinfo=UTC))

    @pytest.mark.parametrize(
        "value",
        [
            "2026-03-02T10:00:00Z",
            "2026-03-02T11:00:00+01:00",
            "2026-03-02T11:00:00.000000000+0100",
            "2026-03-02 10:00:00",
            "/Date(1772445600000+0000)/",
            "1772445600",
            "1772445600000",
            1772445600,
            1772445600000,
            Decimal("1772445600.0"),
        ],
    )
    def test_forms_of_one_moment(self, value):
        assert Since(field="meta.at").measure({"meta": {"at": value}}) == self.TEN

    def test_fractions_count(self):
        assert Since(field="at").measure({"at": "2026-03-02T10:00:00.25Z"}) == self.TEN + 250_000
        assert Since(field="at").measure({"at": Decimal("1772445600.25")}) == self.TEN + 250_000

    def test_the_declared_unit_counts(self):
        assert Since(field="at", format="unix_ms").measure({"at": 5}) == 5_000
        assert Since(field="at", format="unix").measure({"at": 5}) == 5_000_000

    def test_the_declared_pattern_counts(self):
        assert Since(field="at", format="%d.%m.%Y %H:%M").measure({"at": "02.03.2026 10:00"}) == (
            self.TEN
        )

    @pytest.mark.parametrize(
        "value",
        [None, "", "soon", "2026-02-30T10:00:00Z", True, [], {}, 10**40, "9" * 40, "/Date(x)/"],
    )
    def test_what_cannot_be_read_is_no_mark(self, value):
        assert Since(field="at").measure({"at": value}) is None
        assert Since(field="at", format="%d.%m.%Y").measure({"at": value}) is None

    @given(
        st.lists(
            st.one_of(
                st.datetimes(datetime(1990, 1, 1), datetime(2050, 1, 1)).map(
                    lambda moment: times.write(moment.replace(tzinfo=UTC))
                ),
                st.sampled_from(
                    [
                        *("soon", None, 1772445600, "2026-03-02T10:00:00Z", "20Z", "9999Z"),
                        *("1705010112345", "20260302", "2026-03-02", "0000-00-00T00:00:00Z"),
                    ]
                ),
            ),
            max_size=5,
        )
    )
    def test_the_span_of_many(self, values):
        since = Since(field="at")
        each = [since.measure({"at": value}) for value in values]
        read = [moment for moment in each if moment is not None]
        high, low = max(read, default=None), min(read, default=None)
        assert since.span(values) == Span(high, low, len(each) - len(read))

    def test_a_record_without_the_field_has_no_mark(self):
        assert Since(field="at").measure({}) is None
        assert Since(field="at").measure(7) is None


@pytest.mark.parametrize(
    "slip",
    [
        {"format": "iso"},
        {"start": datetime(2020, 1, 1)},
        {"field": "a..b"},
    ],
)
def test_declarations_that_cannot_work(slip):
    with pytest.raises(ConnectorError):
        Since(**{"field": "at"} | slip)
