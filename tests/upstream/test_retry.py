from __future__ import annotations

from datetime import UTC, datetime, timedelta
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock.upstream.headers import Headers
from penstock.upstream.request import Request, Response
from penstock.upstream.retry import (
    ASKED_CAP,
    USUAL_JUDGE,
    Judge,
    Judged,
    Ruling,
    asked_pause,
    backoff,
    may_repeat,
    retry_after,
)
from penstock.upstream.verdict import Fail, Forbidden, Later, Reauth, Restart, Throttled

NOW = datetime(2026, 3, 2, 10, tzinfo=UTC)


def answered(
    status: int = 429, body: bytes = b"", expect: tuple[int, ...] = (), **fields: str
) -> Response:
    """An answer, its header fields given as keywords."""
    headers = Headers((name.replace("_", "-"), value) for name, value in fields.items())
    request = Request("GET", "https://a.test/x", expect=expect)
    return Response(request, status, headers, body, request.url, NOW)


class TestRuling:
    @pytest.mark.parametrize("status", [408, 425, 500, 502, 503, 504, 520, 524, 529])
    def test_what_passes_by_itself(self, status):
        judged = USUAL_JUDGE.judge(answered(status))
        assert judged.ruling is Ruling.RETRY
        assert judged.passes

    @pytest.mark.parametrize("status", [400, 401, 403, 404, 410, 422, 501, 505, 511])
    def test_what_is_final(self, status):
        assert USUAL_JUDGE.judge(answered(status)).ruling is Ruling.FAIL

    @pytest.mark.parametrize("status", [200, 204, 304])
    def test_what_is_taken(self, status):
        assert USUAL_JUDGE.judge(answered(status)).ruling is Ruling.TAKE

    def test_what_is_expected_is_an_answer(self):
        assert USUAL_JUDGE.judge(answered(404, expect=(404,))).ruling is Ruling.TAKE

    def test_a_limit(self):
        assert USUAL_JUDGE.judge(answered(429)).ruling is Ruling.THROTTLED

    def test_a_limit_in_a_403(self):
        """As GitHub says it: the status alone would be a missing permission."""
        left = answered(403, x_ratelimit_remaining="0", x_ratelimit_reset="60")
        assert USUAL_JUDGE.judge(left) == Judged(Ruling.THROTTLED, timedelta(seconds=60))
        assert USUAL_JUDGE.judge(answered(403, retry_after="5")).ruling is Ruling.THROTTLED
        assert USUAL_JUDGE.judge(answered(403, x_ratelimit_remaining="7")).ruling is Ruling.FAIL

    @pytest.mark.parametrize(
        ("declared", "ruling"),
        [
            ("fail", Ruling.FAIL),
            ("retry", Ruling.RETRY),
            ("skip", Ruling.SKIP),
            ("reauth", Ruling.REAUTH),
        ],
    )
    def test_a_declared_status(self, declared, ruling):
        assert Judge(statuses={418: declared}).judge(answered(418)).ruling is ruling

    @pytest.mark.parametrize(
        ("verdict", "ruling", "after"),
        [
            (Throttled(3), Ruling.THROTTLED, timedelta(seconds=3)),
            (Throttled(), Ruling.THROTTLED, None),
            (Later(90), Ruling.LATER, timedelta(seconds=90)),
            (Reauth("token expired"), Ruling.REAUTH, None),
            (Forbidden("no scope"), Ruling.FORBIDDEN, None),
            (Restart(), Ruling.RESTART, None),
            (Fail("over"), Ruling.FAIL, None),
        ],
    )
    def test_the_connector_is_asked_first_2xx_included(self, verdict, ruling, after):
        judge = Judge(
            lambda response: verdict if b"error" in response.body else None, {200: "fail"}
        )
        assert judge.judge(answered(200, b"error")) == Judged(ruling, after, verdict)
        assert judge.judge(answered(200, b"fine")).ruling is Ruling.FAIL


class TestRepeating:
    def test_only_harmless_requests_are_repeated(self):
        assert may_repeat(Request("GET", "https://a.test/"))
        assert not may_repeat(Request("POST", "https://a.test/"))
        assert may_repeat(Request("POST", "https://a.test/", safe=True))
        assert not may_repeat(Request("PATCH", "https://a.test/"))
        keyed = Request("POST", "https://a.test/", headers=(("Idempotency-Key", "1"),))
        assert may_repeat(keyed)


class TestBackoff:
    @given(st.integers(0, 200), st.randoms())
    def test_doubles_up_to_a_minute(self, attempt, rng):
        pause = backoff(attempt, None, rng=Random(rng.random())).total_seconds()
        assert min(2**attempt, 60) <= pause <= min(2**attempt + 1, 60)

    @given(st.integers(0, 9), st.timedeltas(timedelta(0), timedelta(hours=1)))
    def test_what_was_asked_wins_over_the_formula(self, attempt, asked):
        pause = backoff(attempt, asked, rng=Random(1))
        assert asked <= pause <= asked + timedelta(seconds=1)

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
        """SA2: three date forms, a server whose clock is wrong."""
        assert self.asked(date) == timedelta(minutes=2)
        server = (NOW + timedelta(minutes=1)).strftime("%a, %d %b %Y %H:%M:%S GMT")
        headers = Headers([("retry-after", date), ("date", server)])
        assert retry_after(headers, NOW + skew) == timedelta(minutes=1)

    @pytest.mark.parametrize("nonsense", ["", "-5", "soon", "1e9", "٣", "Mon, 99 Foo 2026", "nan"])
    def test_nonsense_is_ignored(self, nonsense):
        """SA2"""
        assert self.asked(nonsense) is None

    def test_a_missing_field_asks_for_nothing(self):
        assert retry_after(Headers(), NOW) is None

    @pytest.mark.parametrize("huge", ["999999999999", "Fri, 31 Dec 9999 23:59:59 GMT"])
    def test_huge_pauses_are_capped(self, huge):
        """SA2: the year 9999."""
        assert self.asked(huge) == ASKED_CAP

    def test_a_date_that_has_passed(self):
        assert self.asked("Mon, 02 Mar 2026 09:00:00 GMT") == timedelta(0)

    @given(st.text(max_size=40))
    def test_any_text_gives_a_bounded_pause_or_none(self, text):
        pause = self.asked(text)
        assert pause is None or timedelta(0) <= pause <= ASKED_CAP


class TestRateLimitFields:
    """SA3: the limit's own fields, in old drafts and new ones, in all their meanings."""

    @pytest.mark.parametrize(
        "fields",
        [
            {"x_ratelimit_reset": "90"},
            {"x_ratelimit_reset": str(int(NOW.timestamp()) + 90)},
            {"x_ratelimit_reset": str(int(NOW.timestamp() * 1000) + 90_000)},
            {"x_rate_limit_reset": "Mon, 02 Mar 2026 10:01:30 GMT"},
            {"ratelimit_reset": "90", "ratelimit_remaining": "0"},
            {"ratelimit": '"default";r=0;t=90'},
            {"ratelimit": "limit=100, remaining=0, reset=90"},
            {"retry_after": "90", "x_ratelimit_reset": "7"},
        ],
    )
    def test_all_say_a_minute_and_a_half(self, fields):
        assert asked_pause(answered(**fields)) == timedelta(seconds=90)

    def test_unix_time_is_read_on_the_server_s_clock(self):
        reset = str(int(NOW.timestamp()) + 3600 + 90)
        told = answered(x_ratelimit_reset=reset, date="Mon, 02 Mar 2026 11:00:00 GMT")
        assert asked_pause(told) == timedelta(seconds=90)

    @pytest.mark.parametrize(
        "fields",
        [
            {},
            {"x_ratelimit_remaining": "12", "x_ratelimit_reset": "90"},
            {"ratelimit": '"default";r=12;t=90'},
            {"x_ratelimit_reset": "soon"},
            {"ratelimit": "nonsense"},
        ],
    )
    def test_another_limit_or_nonsense_says_nothing(self, fields):
        assert asked_pause(answered(**fields)) is None

    def test_what_lies_far_ahead_is_capped_and_what_has_passed_is_nothing(self):
        assert asked_pause(answered(x_ratelimit_reset="99999999")) == ASKED_CAP
        past = str(int(NOW.timestamp()) - 90)
        assert asked_pause(answered(x_ratelimit_reset=past)) == timedelta(0)

    @given(st.text(max_size=30), st.text(max_size=30))
    def test_any_text_gives_a_bounded_pause_or_none(self, reset, limit):
        pause = asked_pause(answered(x_ratelimit_reset=reset, ratelimit=limit))
        assert pause is None or timedelta(0) <= pause <= ASKED_CAP
