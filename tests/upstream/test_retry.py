from __future__ import annotations

from datetime import UTC, datetime, timedelta
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock.upstream.headers import Headers
from penstock.upstream.request import Request
from penstock.upstream.retry import (
    ASKED_CAP,
    Verdict,
    backoff,
    classify,
    may_repeat,
    retry_after,
)

NOW = datetime(2026, 3, 2, 10, tzinfo=UTC)


class TestVerdict:
    @pytest.mark.parametrize("status", [429, 502, 503, 504])
    def test_what_passes_by_itself(self, status):
        assert classify(status) is Verdict.RETRY

    @pytest.mark.parametrize("status", [400, 401, 403, 404, 410, 422, 500, 501])
    def test_what_is_final(self, status):
        assert classify(status) is Verdict.FAIL

    def test_what_is_expected_is_an_answer(self):
        assert classify(404, (404,)) is Verdict.DONE
        assert classify(204) is Verdict.DONE

    def test_only_harmless_requests_are_repeated(self):
        assert may_repeat(Request("GET", "https://a.test/"))
        assert not may_repeat(Request("POST", "https://a.test/"))
        assert may_repeat(Request("POST", "https://a.test/", safe=True))
        assert not may_repeat(Request("PATCH", "https://a.test/"))


class TestBackoff:
    @given(st.integers(0, 200), st.randoms())
    def test_doubles_up_to_a_minute(self, attempt, rng):
        pause = backoff(attempt, None, rng=Random(rng.random())).total_seconds()
        assert min(2**attempt, 60) <= pause <= min(2**attempt + 1, 60)

    @given(st.integers(0, 9), st.timedeltas(timedelta(0), timedelta(hours=1)))
    def test_is_never_shorter_than_asked(self, attempt, asked):
        assert backoff(attempt, asked, rng=Random(1)) >= asked

    def test_those_refused_together_do_not_return_together(self):
        asked = timedelta(seconds=20)
        assert len({backoff(0, asked, rng=Random(seed)) for seed in range(20)}) == 20

    def test_there_is_no_attempt_before_the_first(self):
        with pytest.raises(ValueError, match="below 0"):
            backoff(-1, None, rng=Random(1))


class TestRetryAfter:
    def asked(self, value: str, **more: str) -> timedelta | None:
        return retry_after(Headers([("Retry-After", value), *more.items()]), NOW)

    def test_seconds(self):
        assert self.asked("120") == timedelta(seconds=120)
        assert self.asked("0.5") == timedelta(seconds=0.5)
        assert self.asked("0") == timedelta(0)

    @pytest.mark.parametrize(
        "date",
        [
            "Mon, 02 Mar 2026 10:02:00 GMT",
            "Monday, 02-Mar-26 10:02:00 GMT",
            "Mon Mar  2 10:02:00 2026",
            "Mon, 02 Mar 2026 11:02:00 +0100",
        ],
    )
    @pytest.mark.parametrize("skew", [timedelta(0), timedelta(hours=5), timedelta(days=-400)])
    def test_dates_are_relative_to_the_server_s_own(self, date, skew):
        assert self.asked(date) == timedelta(minutes=2)
        server = (NOW + timedelta(minutes=1)).strftime("%a, %d %b %Y %H:%M:%S GMT")
        headers = Headers([("retry-after", date), ("date", server)])
        assert retry_after(headers, NOW + skew) == timedelta(minutes=1)

    @pytest.mark.parametrize("nonsense", ["", "-5", "soon", "1e9", "٣", "Mon, 99 Foo 2026", "nan"])
    def test_nonsense_is_ignored(self, nonsense):
        assert self.asked(nonsense) is None

    def test_a_missing_field_asks_for_nothing(self):
        assert retry_after(Headers(), NOW) is None

    @pytest.mark.parametrize("huge", ["999999999999", "Fri, 31 Dec 9999 23:59:59 GMT"])
    def test_huge_pauses_are_capped(self, huge):
        assert self.asked(huge) == ASKED_CAP

    def test_a_date_that_has_passed(self):
        assert self.asked("Mon, 02 Mar 2026 09:00:00 GMT") == timedelta(0)

    @given(st.text(max_size=40))
    def test_any_text_gives_a_bounded_pause_or_none(self, text):
        pause = self.asked(text)
        assert pause is None or timedelta(0) <= pause <= ASKED_CAP
