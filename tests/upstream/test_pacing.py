"""Pacers on one real store, under a clock that sleeping moves; and clients that ask them."""

from __future__ import annotations

from contextlib import ExitStack
from datetime import timedelta
from random import Random

import pytest

from penstock.errors import ConnectorError, ParkedError
from penstock.model.pace import Priority
from penstock.store.sqlite import SqliteStore
from penstock.upstream.client import Client
from penstock.upstream.guard import Egress
from penstock.upstream.pace import Budget, Rate
from penstock.upstream.pacing import SPREAD_S, Pacer, Sharers
from penstock.upstream.request import Request, Response
from penstock.upstream.retry import Policy

from .clock import FakeClock
from .provider import Provider, answer, page

ASKED = Request("GET", "https://api.acme.test/customers")


@pytest.fixture
def clock():
    return FakeClock()


@pytest.fixture
def store():
    with SqliteStore.open("sqlite://") as opened:
        yield opened


@pytest.fixture
def pacer(store, clock):
    """Makes pacers; those of one connection share their pace."""

    def make(*rates, connection="acme-main", **options):
        sharers = Sharers("default", connection, "acme")
        return Pacer(store.pace, sharers, clock=clock, rates=rates, rng=Random(1), **options)

    return make


def waited(pacer, request=ASKED):
    with pacer.take(request) as seconds:
        return round(seconds, 2)


def answered(*, headers=(), request=ASKED):
    return Response(request, 200, dict(headers), b"", request.url, None)


class Interrupted(FakeClock):
    """While the next sleeper sleeps, something happens."""

    def __init__(self) -> None:
        super().__init__()
        self.meanwhile = None

    def sleep(self, seconds):
        happening, self.meanwhile = self.meanwhile, None
        if happening is not None:
            happening()
        super().sleep(seconds)


class TestTurns:
    def test_pacers_of_one_connection_take_turns(self, pacer):
        one, other = pacer(Rate(10)), pacer(Rate(10))
        assert [waited(one), waited(other), waited(one)] == [0, 0.1, 0.1]

    def test_connections_do_not_wait_for_each_other(self, pacer):
        waited(pacer(Rate(1)))
        assert waited(pacer(Rate(1), connection="acme-other")) == 0

    def test_with_scope_app_all_connections_of_a_connector_do(self, pacer):
        waited(pacer(Rate(1, scope="app")))
        other = pacer(Rate(1, scope="app"), connection="acme-other")
        assert waited(other) == pytest.approx(1.03, abs=0.01)

    def test_a_named_rate_is_a_budget_of_its_own(self, pacer):
        one = pacer(Rate(1), Rate(1, name="search"))
        search = Request("GET", ASKED.url, rate="search")
        assert [waited(one), waited(one, search)] == [0, 0]
        assert waited(one, search) == pytest.approx(1.03, abs=0.01)

    def test_several_rates_of_one_name_hold_together(self, pacer):
        one = pacer(Rate(10, burst=10), Rate(2, per=10, burst=2))
        assert [waited(one), waited(one)] == [0, 0]
        assert waited(one) == pytest.approx(5.15, abs=0.01)

    def test_a_rate_that_is_not_declared_is_said(self, pacer):
        with pytest.raises(ConnectorError, match=r"no rate is named 'serch'.*default"):
            waited(pacer(Rate(1)), Request("GET", ASKED.url, rate="serch"))

    def test_a_wait_of_more_than_half_a_minute_parks_and_takes_nothing(self, pacer, clock):
        one = pacer(Rate(1, per=60))
        waited(one)
        for _ in range(3):
            with pytest.raises(ParkedError) as parked:
                waited(one)
        assert (parked.value.until - clock.now()).total_seconds() == pytest.approx(60 / 0.97)
        assert parked.value.throttled
        assert "acme-main has no place before (default: 1 in 60 s)" in parked.value.message
        assert clock.slept == []

    def test_a_window_that_is_used_up_parks_until_it_opens(self, pacer, clock):
        one = pacer(Rate(3, per=86_400, resets="00:00Z"), priority=Priority.WEBHOOK)
        assert [waited(one) for _ in range(3)] == [0, 0, 0]
        with pytest.raises(ParkedError) as parked:
            waited(one)
        assert f"{parked.value.until:%Y-%m-%d %H:%M}" == "2026-03-03 00:00"

    def test_a_webhook_is_let_in_before_one_that_sleeps(self, store, pacer):
        clock = Interrupted()
        sharers = Sharers("default", "acme-main", "acme")
        poll = Pacer(store.pace, sharers, clock=clock, rates=[Rate(10)])
        hook = Pacer(
            store.pace, sharers, clock=FakeClock(), rates=[Rate(10)], priority=Priority.WEBHOOK
        )
        waited(poll)
        let_in = []
        clock.meanwhile = lambda: let_in.append(waited(hook))
        assert waited(poll) == 0.21
        assert let_in == [0.1]

    def test_who_goes_late_makes_the_others_keep_their_distance(self, store):
        """Close before the next one it may be one too many in somebody's window."""
        clock = Interrupted()
        one = Pacer(
            store.pace, Sharers("default", "acme-main", "acme"), clock=clock, rates=[Rate(10)]
        )
        waited(one)
        clock.meanwhile = lambda: clock.advance(0.05)
        assert waited(one) == 0.15
        assert waited(one) == 0.08

    def test_who_goes_only_a_little_late_moves_nobody(self, store):
        clock = Interrupted()
        one = Pacer(
            store.pace, Sharers("default", "acme-main", "acme"), clock=clock, rates=[Rate(10)]
        )
        waited(one)
        clock.meanwhile = lambda: clock.advance(0.018)
        assert waited(one) == 0.12
        assert waited(one) == 0.09


class TestRefusals:
    def test_a_refusal_holds_everybody(self, pacer, clock):
        one, other = pacer(Rate(10)), pacer(Rate(10))
        one.hold(ASKED, clock.now() + timedelta(seconds=5))
        assert [waited(other), waited(one)] == [5.0, 0.1]

    def test_who_sleeps_already_is_held_too(self, store):
        clock, sharers = Interrupted(), Sharers("default", "acme-main", "acme")
        one = Pacer(store.pace, sharers, clock=clock, rates=[Rate(10)])
        waited(one)
        clock.meanwhile = lambda: one.hold(ASKED, clock.now() + timedelta(seconds=5))
        assert waited(one) == 5.0

    def test_without_a_rate_everybody_is_held_and_comes_back_spread(self, pacer, clock):
        one, other = pacer(), pacer()
        assert waited(one) == 0
        one.hold(ASKED, clock.now() + timedelta(seconds=5))
        assert 5 < waited(other) <= 5 + SPREAD_S

    def test_a_long_hold_parks(self, pacer, clock):
        for one in (pacer(), pacer(Rate(10))):
            one.hold(ASKED, clock.now() + timedelta(seconds=120))
            with pytest.raises(ParkedError) as parked:
                waited(one)
            assert parked.value.until >= clock.now() + timedelta(seconds=120)
        assert clock.slept == []

    def test_of_an_app_only_the_refused_connection_is_held(self, pacer, clock):
        """A 429 does not say which limit was reached: one account must not stop all others."""
        rates = Rate(10), Rate(10, scope="app")
        pacer(*rates).hold(ASKED, clock.now() + timedelta(seconds=5))
        assert waited(pacer(*rates, connection="acme-other")) == 0
        assert waited(pacer(*rates)) == 5.0

    def test_a_refused_search_does_not_hold_the_rest(self, pacer, clock):
        one = pacer(Rate(10), Rate(10, name="search"))
        search = Request("GET", ASKED.url, rate="search")
        one.hold(search, clock.now() + timedelta(seconds=5))
        assert [waited(one), waited(one, search)] == [0, 5.0]


class TestBudgets:
    def test_what_the_provider_tells_corrects_the_shared_pace(self, pacer):
        """Shopify's header: 40 of 40 used, by somebody else."""

        def read(response):
            used, size = map(int, response.headers["x-calls"].split("/"))
            return Budget(left=size - used, limit=size)

        one, other = (pacer(Rate(2, burst=40, read=read)) for _ in range(2))
        assert waited(one) == 0
        one.saw(ASKED, answered(headers={"x-calls": "40/40"}))
        assert waited(other) == pytest.approx(0.52, abs=0.01)

    def test_points_that_were_not_used_come_back(self, pacer):
        one = pacer(Rate(50, burst=1_000, read=lambda _: Budget(cost=10)))
        query = Request("POST", ASKED.url, cost=1_000)
        assert waited(one, query) == 0
        one.saw(query, answered(request=query))
        assert waited(one, Request("POST", ASKED.url, cost=990)) == 0

    @pytest.mark.parametrize("read", [lambda r: r.headers["gone"], lambda _: Budget(left="all")])
    def test_an_answer_that_cannot_be_read_stops_nothing(self, pacer, caplog, read):
        one = pacer(Rate(10, read=read))
        one.saw(ASKED, answered())
        assert [waited(one), waited(one)] == [0, 0.1]
        assert "pace.unread" in caplog.text


class TestConcurrency:
    def test_so_many_are_in_flight_over_all_who_share_the_connection(self, pacer):
        pacers = [pacer(concurrency=2) for _ in range(3)]
        with ExitStack() as flying:
            for one in pacers[:2]:
                assert flying.enter_context(one.take(ASKED)) == 0
            with pytest.raises(ParkedError):
                waited(pacers[2])
        assert waited(pacers[2]) == 0

    def test_a_place_is_free_again_after_a_failure(self, pacer):
        one = pacer(concurrency=1)
        with pytest.raises(ConnectionError), one.take(ASKED):
            raise ConnectionError
        assert waited(one) == 0

    def test_one_who_waits_flies_as_soon_as_a_place_is_free(self, store):
        clock, sharers = Interrupted(), Sharers("default", "acme-main", "acme")
        one = Pacer(store.pace, sharers, clock=clock, concurrency=1)
        flying = one.take(ASKED)
        flying.__enter__()
        clock.meanwhile = lambda: flying.__exit__(None, None, None)
        assert waited(one) < 0.1


class TestClients:
    def test_sa1_a_pause_of_two_minutes_stops_all_four_workers(self, pacer, clock):
        """SA1: 429 with Retry-After: 120. No request from anybody until it has passed; no run has
        failed, each is parked; and then all go on."""
        script = [answer(429, retry_after="120"), *(page({"data": []}) for _ in range(4))]
        with Provider(script) as provider, ExitStack() as opened:
            clients = [self.client(opened, provider, clock, pacer(Rate(20))) for _ in range(4)]
            request = Request("GET", "/customers")
            for client in clients:
                with pytest.raises(ParkedError) as parked:
                    client.send(request)
                assert parked.value.until >= clock.now() + timedelta(seconds=120)
            assert len(provider.received) == 1
            clock.advance(122)
            assert [client.send(request).status for client in clients] == [200] * 4
            assert len(provider.received) == 5

    @pytest.mark.parametrize("told", [{}, {"retry_after": "1"}])
    def test_one_refusal_of_one_worker_is_enough_for_all(self, pacer, clock, told):
        script = [answer(429, **told), *(page({"data": []}) for _ in range(2))]
        with Provider(script) as provider, ExitStack() as opened:
            refused, other = (
                self.client(opened, provider, clock, pacer(Rate(20))) for _ in range(2)
            )
            refused.send(Request("GET", "/customers"))
            began = clock.monotonic()
            assert 1 <= began <= 2
            other.send(Request("GET", "/customers"))
            assert len(provider.received) == 3
            assert clock.monotonic() - began < 0.1

    def test_each_attempt_takes_a_turn(self, pacer, clock):
        script = [answer(503), page({"data": []})]
        with Provider(script) as provider, ExitStack() as opened:
            client = self.client(opened, provider, clock, pacer(Rate(1, per=20)))
            client.send(Request("GET", "/customers"))
            assert len(provider.received) == 2
            assert clock.monotonic() == pytest.approx(20 / 0.97, abs=0.1)

    def test_waiting_does_not_count_against_the_deadline(self, pacer, clock):
        with Provider([page({}), page({})]) as provider, ExitStack() as opened:
            client = self.client(opened, provider, clock, pacer(Rate(1, per=25)))
            client._timeouts = type(client._timeouts)(total_s=10)
            for _ in range(2):
                assert client.send(Request("GET", "/customers")).status == 200
            assert clock.monotonic() > 25

    def client(self, opened, provider, clock, pacer):
        return opened.enter_context(
            Client(
                provider.url,
                egress=Egress.of(["http://127.0.0.1/*"], allow_loopback=True),
                clock=clock,
                pacer=pacer,
                policy=Policy(attempts=3),
                rng=Random(1),
            )
        )
