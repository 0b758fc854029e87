"""What the client makes of an answer: the connector's verdict, declared statuses, the circuit."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from random import Random
from traceback import format_exception
from typing import Any

import pytest

from penstock.errors import (
    CursorExpiredError,
    ForbiddenError,
    NeedsReauthError,
    ParkedError,
    PenstockError,
    UpstreamError,
    UpstreamUnavailableError,
)
from penstock.sdk.request import Http
from penstock.upstream.auth import Credentials
from penstock.upstream.circuit import FAILURES, LONGEST_PAUSE, Circuit
from penstock.upstream.client import Client
from penstock.upstream.guard import Egress
from penstock.upstream.request import Response
from penstock.upstream.retry import Judge, StatusRule
from penstock.upstream.verdict import (
    Fail,
    Forbidden,
    Later,
    Reauth,
    Restart,
    Throttled,
    Verdict,
    VerdictOf,
)

from .clock import FakeClock
from .provider import Provider, answer, page, reset

SECRET = "s3cret-key"
LOOPBACK = Egress.of(["http://127.0.0.1/*"], allow_loopback=True)


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@contextmanager
def client(
    provider: Provider,
    clock: FakeClock,
    verdict: VerdictOf | None = None,
    statuses: dict[int, StatusRule] | None = None,
) -> Iterator[Http]:
    judge, ours = Judge(verdict, statuses), Credentials({"api_key": SECRET})
    with Client(
        provider.url,
        clock=clock,
        egress=LOOPBACK,
        judge=judge,
        rng=Random(1),
        credentials=ours,
    ) as one:
        yield Http(one)


def by_error(**verdicts: Verdict) -> VerdictOf:
    """A connector's judgement by the member `error` of a body, whatever the status."""

    def judge(response: Response) -> Verdict | None:
        document = response.json()
        return verdicts.get(document.get("error", "")) if isinstance(document, dict) else None

    return judge


def failing(code: str) -> Any:
    return page({"error": code})


class TestAVerdictOnA200:
    def test_throttled_waits_as_long_as_it_says(self, clock: FakeClock) -> None:
        verdict = by_error(limit=Throttled(7))
        with (
            Provider([failing("limit"), page([1])]) as provider,
            client(provider, clock, verdict) as c,
        ):
            assert c.get("/x").json() == [1]
        assert 7 <= clock.slept[0] <= 8

    def test_a_long_throttle_parks_the_run_as_rate_limited(self, clock: FakeClock) -> None:
        verdict = by_error(limit=Throttled(600))
        with (
            Provider([failing("limit")]) as provider,
            client(provider, clock, verdict) as c,
            pytest.raises(ParkedError) as parked,
        ):
            c.get("/x")
        assert parked.value.code == "rate_limited"
        assert timedelta(seconds=600) <= parked.value.until - clock.now()
        assert clock.slept == []

    def test_later_parks_without_another_request(self, clock: FakeClock) -> None:
        with (
            Provider([failing("pending")]) as provider,
            client(provider, clock, by_error(pending=Later(20))) as c,
            pytest.raises(ParkedError) as parked,
        ):
            c.get("/x")
        assert parked.value.code == "parked"
        assert parked.value.until == clock.now() + timedelta(seconds=20)

    @pytest.mark.parametrize(
        ("verdict", "error", "said"),
        [
            (Reauth("the token was revoked"), NeedsReauthError, "the token was revoked"),
            (Forbidden("scope invoices.read"), ForbiddenError, "scope invoices.read"),
            (Restart("cursor too old"), CursorExpiredError, "cursor too old"),
            (Fail("this account is closed"), UpstreamError, "this account is closed"),
        ],
    )
    def test_the_others_end_the_run(
        self, clock: FakeClock, verdict: Verdict, error: type[Exception], said: str
    ) -> None:
        with (
            Provider([failing("now")]) as provider,
            client(provider, clock, by_error(now=verdict)) as c,
            pytest.raises(error, match=said),
        ):
            c.get("/x")
        assert len(provider.received) == 1

    @pytest.mark.parametrize("kind", [Fail, Reauth, Forbidden, Restart])
    def test_a_secret_in_its_sentence_is_not_shown(
        self, clock: FakeClock, kind: type[Fail]
    ) -> None:
        with (
            Provider([failing("now")]) as provider,
            client(provider, clock, by_error(now=kind(f"bad key {SECRET}"))) as c,
            pytest.raises(PenstockError, match="bad key") as failure,
        ):
            c.get("/x")
        assert SECRET not in "".join(format_exception(failure.value))


class TestADeclaredStatus:
    def test_skip_is_an_answer_with_nothing_in_it(self, clock: FakeClock) -> None:
        with (
            Provider([answer(404, b"none")]) as provider,
            client(provider, clock, statuses={404: "skip"}) as c,
        ):
            assert c.get("/x").skipped

    def test_retry(self, clock: FakeClock) -> None:
        with (
            Provider([answer(409), page([1])]) as provider,
            client(provider, clock, statuses={409: "retry"}) as c,
        ):
            assert c.get("/x").json() == [1]

    def test_reauth(self, clock: FakeClock) -> None:
        with (
            Provider([answer(419)]) as provider,
            client(provider, clock, statuses={419: "reauth"}) as c,
            pytest.raises(NeedsReauthError, match="419"),
        ):
            c.get("/x")

    def test_fail_is_not_repeated(self, clock: FakeClock) -> None:
        with (
            Provider([answer(503)]) as provider,
            client(provider, clock, statuses={503: "fail"}) as c,
            pytest.raises(UpstreamError, match="503"),
        ):
            c.get("/x")


class TestWrites:
    def test_a_write_with_an_idempotency_key_is_repeated(self, clock: FakeClock) -> None:
        with (
            Provider([reset, answer(503), page([1])]) as provider,
            client(provider, clock) as c,
        ):
            c.post("/x", json={}, headers={"Idempotency-Key": "run-1"})
        assert [sent.headers["idempotency-key"] for sent in provider.received] == ["run-1"] * 3


class TestALimitThatLasts:
    def test_parks_the_run_instead_of_failing_it(self, clock: FakeClock) -> None:
        with (
            Provider([answer(429)] * 6) as provider,
            client(provider, clock) as c,
            pytest.raises(ParkedError, match="refused 6 times, at last with 429") as parked,
        ):
            c.get("/x")
        assert parked.value.throttled
        assert len(provider.received) == 6


class TestTheCircuit:
    def test_opens_after_repeated_failure_and_says_so(self, clock: FakeClock) -> None:
        script = [*[answer(503)] * FAILURES, page([1])]
        with Provider(script) as provider, client(provider, clock) as c:
            for _ in range(FAILURES // 6):
                with pytest.raises(UpstreamUnavailableError):
                    c.get("/x")
            with pytest.raises(ParkedError, match=r"has failed since .* status 503") as parked:
                c.get("/x")
            assert len(provider.received) == FAILURES, "an open circuit sends nothing"
            clock.advance((parked.value.until - clock.now()).total_seconds())
            assert c.get("/x").json() == [1]

    def test_an_outage_costs_little_more_than_the_requests_that_met_it(
        self, clock: FakeClock
    ) -> None:
        """SA4: 503 to fifty streams at once. Retries are bounded for all of them together."""
        streams = 50
        with Provider([answer(503)] * 500) as provider, client(provider, clock) as c:
            refused = 0
            for _ in range(streams):
                with pytest.raises((UpstreamUnavailableError, ParkedError)):
                    c.get("/x")
                refused += 1
            assert (refused, len(provider.received)) == (streams, FAILURES)

    def test_lets_one_attempt_through_when_the_pause_is_over(self, clock: FakeClock) -> None:
        with Provider([answer(503)] * (FAILURES + 1)) as provider, client(provider, clock) as c:
            for _ in range(FAILURES // 6):
                with pytest.raises(UpstreamUnavailableError):
                    c.get("/x")
            clock.advance(60)
            with pytest.raises(ParkedError, match="it is left alone until"):
                c.get("/x")
            assert len(provider.received) == FAILURES + 1, "a retry was sent"

    def test_waits_longer_each_time_up_to_an_hour(self, clock: FakeClock) -> None:
        circuit, now = Circuit("api.acme.test"), clock.now()
        pauses = [circuit.failed(now, "status 500") for _ in range(FAILURES + 9)]
        assert pauses[: FAILURES - 1] == [None] * (FAILURES - 1)
        minutes = [(until - now).total_seconds() / 60 for until in pauses if until]
        assert minutes == [1, 2, 4, 8, 16, 32, 60, 60, 60, 60]
        assert timedelta(minutes=minutes[-1]) == LONGEST_PAUSE

    def test_a_success_closes_it(self, clock: FakeClock) -> None:
        circuit = Circuit("api.acme.test")
        for _ in range(FAILURES):
            circuit.failed(clock.now(), "status 500")
        with pytest.raises(ParkedError):
            circuit.check(clock.now())
        circuit.worked()
        circuit.check(clock.now())

    def test_a_limit_is_no_fault(self, clock: FakeClock) -> None:
        script = [answer(429)] * 6 * 3 + [page([1])]
        with Provider(script) as provider, client(provider, clock) as c:
            for _ in range(3):
                with pytest.raises(ParkedError, match="rate limit"):
                    c.get("/x")
            assert c.get("/x").json() == [1]
