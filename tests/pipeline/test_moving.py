"""A source that moves under the reader: expired cursors, boundaries, held updates, waiting."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import Any

import httpx2
import pytest

from penstock import Cursor, Restart, Since, Stream, ingest, sync
from penstock.errors import UnknownStreamError, UsageError
from penstock.model import times
from penstock.model.outcome import Counters
from penstock.model.run import RunKind, RunState
from penstock.pipeline import pull
from penstock.sdk.connector import Connector
from penstock.sdk.request import RouteRequest
from penstock.sdk.sync import SyncPage
from tests.pipeline.plant import Plant, Provider, acme, customer, empty, page_of, to_customer

MakePlant = Callable[..., Plant]
MINUTE = 60_000_000
GONE = httpx2.Response(410, json={"error": {"code": "cursor_expired"}})


def routed(route: Callable[[RouteRequest], SyncPage], *streams: str) -> Connector:
    connector = empty("customers", *streams)
    connector.sync("customers")(route)
    return connector


def ingested(*numbers: int, **changes: Any) -> Any:
    return ingest.batch(
        "customer",
        [to_customer(customer(number, **changes)) for number in numbers],
        stream="customers",
        idempotency_key=lambda payload: f"acme:customer:{payload['customer_id']}",
        continue_on_error=True,
    )


class TestCursorExpired:
    @pytest.mark.parametrize("expired", [(410,), ("cursor_expired",), (400, "cursor_expired")])
    def test_it_begins_again_from_the_watermark_once(
        self, provider: Provider, make_plant: MakePlant, expired: Sequence[int | str]
    ) -> None:
        """SA13: a cursor expires in the middle of a run."""
        plant = make_plant(acme(expired=expired))
        provider.records = [customer(0)]
        plant.run()
        provider.records = [customer(n) for n in range(7)]
        provider.requests.clear()
        provider.answers = [None, None, GONE]
        report = plant.run()
        assert not provider.answers
        assert report.state is RunState.DONE
        asked = [dict(request.url.params) for request in provider.requests]
        assert asked[3] == asked[0] == {"updated_since": "2026-03-01T09:00:00Z"}
        assert report.counters.created == 6
        assert report.counters.unchanged == 5
        assert plant.versions() == 7

    def test_twice_in_a_run_is_the_end_of_it(
        self, provider: Provider, make_plant: MakePlant
    ) -> None:
        plant = make_plant(acme(expired=(410,)))
        provider.records = [customer(n) for n in range(7)]
        provider.answers = [None, GONE, None, GONE]
        report = plant.run()
        assert (report.state, report.reason) == (RunState.FAILED, "cursor_expired")
        assert not provider.answers
        assert report.counters.created == 2
        assert plant.run().counters.created == 5

    def test_a_first_page_that_is_refused_has_nothing_to_forget(
        self, provider: Provider, make_plant: MakePlant
    ) -> None:
        plant = make_plant(acme(expired=(410,)))
        provider.answers = [GONE]
        assert plant.run().reason == "cursor_expired"
        assert len(provider.requests) == 1

    def test_a_stored_cursor_that_expired_is_forgotten(
        self, provider: Provider, make_plant: MakePlant
    ) -> None:
        """A resume point is older than the provider remembers, or a sync token has run out."""
        pages = Cursor("next_cursor", param="cursor", keep=True)
        plant = make_plant(acme(expired=(410,), pages=pages, since=None))
        provider.answers = [page_of([customer(1)], next_cursor="token", has_more=False)]
        plant.run()
        assert plant.checkpoint()[0]["params"] == [["cursor", "token"]]
        provider.answers = [
            GONE,
            page_of([customer(1), customer(2)], next_cursor="fresh", has_more=False),
        ]
        assert plant.run().counters.created == 1
        assert plant.checkpoint()[0]["params"] == [["cursor", "fresh"]]

    def test_without_a_declaration_it_is_an_error_like_any_other(
        self, plant: Plant, provider: Provider
    ) -> None:
        provider.records = [customer(n) for n in range(3)]
        provider.answers = [None, GONE]
        assert plant.run().reason == "upstream_error"

    def test_a_route_says_it_by_raising_restart(self, make_plant: MakePlant) -> None:
        calls: list[Any] = []

        def route(request: RouteRequest) -> SyncPage:
            calls.append(request.cursor)
            if calls == [None, "a"]:
                raise Restart("the token is too old")
            if request.cursor is None:
                return sync.page(ingested(1), cursor="a", has_more=True)
            return sync.page(ingested(2))

        report = make_plant(routed(route)).run()
        assert calls == [None, "a", None, "a"]
        assert report.counters.created == 2


class TestBoundary:
    def test_more_ties_than_a_page_without_a_cursor_fail_loudly(
        self, provider: Provider, make_plant: MakePlant
    ) -> None:
        """SA17: an API that is paged by its own filter, and one instant that fills a page."""
        tie = "2026-03-01T10:00:00Z"
        provider.limit = 100
        provider.records = [customer(n, updated_at=tie) for n in range(5_000)]
        pages = Cursor(param="updated_since", record="last.updated_at")
        since = Since(param="updated_since", field="updated_at")
        plant = make_plant(acme(pages=pages, since=since))
        report = plant.run()
        assert (report.state, report.reason) == (RunState.FAILED, "cursor_repeated")
        assert report.counters.created == 100
        assert plant.checkpoint()[1] is None

    def test_the_same_record_on_two_pages_is_one_version(
        self, plant: Plant, provider: Provider
    ) -> None:
        """SA15: duplicates across pages, and one key twice on a page with different content."""
        twice = [
            customer(1, display_name="Later", updated_at="2026-03-01T09:00:05Z"),
            customer(1, display_name="Sooner"),
        ]
        provider.answers = [
            page_of([customer(0), customer(2)], next_cursor="a", has_more=True),
            page_of([customer(2), *twice], next_cursor=None, has_more=False),
        ]
        report = plant.run()
        counters = report.counters
        assert (counters.created, counters.unchanged, counters.stale) == (3, 1, 1)
        assert plant.names()["cus_1"] == "Later"

    def test_changes_during_the_scan_are_read_by_the_next_run(
        self, plant: Plant, provider: Provider
    ) -> None:
        """SA16: what moves while pages are read is found at last, whatever the page border."""
        provider.records = [customer(n) for n in range(6)]

        def moving(request: httpx2.Request) -> httpx2.Response:
            answer = provider.page(request)
            provider.put(customer(0, display_name="Moved", updated_at="2026-03-02T09:59:30Z"))
            provider.put(customer(9, updated_at="2026-03-01T09:00:00Z"))
            return answer

        provider.answers = [None, moving]
        plant.run()
        plant.run()
        assert plant.names()["cus_0"] == "Moved"
        plant.run(full=True)
        assert len(plant.names()) == 7

    def test_a_late_commit_is_found_inside_the_settle_window(
        self, provider: Provider, make_plant: MakePlant
    ) -> None:
        """SA20: a row becomes visible late; beyond the window a full run finds it."""
        since = Since(param="updated_since", field="updated_at", settle=timedelta(minutes=10))
        plant = make_plant(acme(since=since))
        provider.records = [customer(1, updated_at="2026-03-02T09:59:59Z")]
        plant.run()
        assert plant.checkpoint()[1] == times.read("2026-03-02T09:50:00Z")
        provider.records += [
            customer(2, updated_at="2026-03-02T09:51:00Z"),
            customer(3, updated_at="2026-03-02T09:40:00Z"),
        ]
        plant.run()
        assert set(plant.names()) == {"cus_1", "cus_2"}
        plant.run(full=True)
        assert set(plant.names()) == {"cus_1", "cus_2", "cus_3"}

    def test_lookback_reads_further_back(self, provider: Provider, make_plant: MakePlant) -> None:
        """SA18: stamps that are rounded up hide a change for up to one unit."""
        since = Since(param="updated_since", field="updated_at", lookback=timedelta(minutes=1))
        plant = make_plant(acme(since=since))
        provider.records = [customer(1)]
        plant.run()
        plant.run()
        assert provider.requests[-1].url.params["updated_since"] == "2026-03-01T08:59:01Z"

    @pytest.mark.parametrize("minutes", [-10, 10])
    def test_only_the_sources_own_clock_moves_the_watermark(
        self, plant: Plant, provider: Provider, minutes: int
    ) -> None:
        """SA19: the source's clock is ten minutes off, one way or the other."""
        theirs = plant.clock.now() + timedelta(minutes=minutes)
        date = {"date": theirs.strftime("%a, %d %b %Y %H:%M:%S GMT")}
        records = [customer(1, updated_at=times.write(theirs.replace(microsecond=0)))]
        provider.answers = [httpx2.Response(200, json={"data": records}, headers=date)]
        report = plant.run()
        started = min(theirs, plant.clock.now() - timedelta(minutes=1))
        assert plant.checkpoint()[1] == times.microseconds(started) - MINUTE
        side = "ahead of" if minutes > 0 else "behind"
        assert any(f"10 min {side} ours" in note for note in report.notes), report.notes

    @pytest.mark.parametrize(
        "mark", [None, "soon", "0000-00-00T00:00:00Z", "2026-02-30T00:00:00Z", {}, "", True]
    )
    def test_a_mark_that_cannot_be_read_is_counted_and_moves_nothing(
        self, provider: Provider, make_plant: MakePlant, mark: object
    ) -> None:
        """DS13: the record is stored, the watermark is that of the others."""
        plant = make_plant(
            acme(lambda record: {"customer_id": record["id"], "name": record["display_name"]})
        )
        odd = customer(5, updated_at=mark)
        provider.answers = [page_of([customer(1), odd, customer(2)])]
        report = plant.run()
        assert report.counters == Counters(pages=1, fetched=3, submitted=3, created=3, unmarked=1)
        assert plant.checkpoint()[1] == times.read("2026-03-01T09:00:02Z")
        (note,) = report.notes
        assert note.startswith("1 of 3 records have no updated_at that can be read as rfc3339")
        state = plant.store.streams.get("default", "acme-main", "customers")
        assert state is not None
        assert state.notes == (note,)
        plant.run()
        state = plant.store.streams.get("default", "acme-main", "customers")
        assert state is not None
        assert state.notes == ()

    def test_edits_that_keep_their_time_of_change_are_found_and_told(
        self, plant: Plant, provider: Provider
    ) -> None:
        """SA21: only a full run can find them, and it says so; going backwards counts as stale."""
        provider.records = [customer(n) for n in range(3)]
        plant.run()
        provider.put(customer(0, display_name="Quietly"))
        provider.put(customer(1, display_name="Backwards", updated_at="2026-02-01T00:00:00Z"))
        plant.run()
        assert plant.names()["cus_0"] == "Customer 0"
        report = plant.run(full=True)
        assert (report.counters.updated, report.counters.stale) == (1, 1)
        assert plant.names()["cus_0"] == "Quietly"
        (note,) = report.notes
        assert note.startswith("1 of 3 records have changed and kept their updated_at")


class TestUnmodified:
    def conditional(self) -> Connector:
        since = Since(
            header="If-Modified-Since",
            field="updated_at",
            format="%a, %d %b %Y %H:%M:%S GMT",
        )
        return acme(lambda r: {"customer_id": r["id"], "name": r["display_name"]}, since=since)

    def test_it_is_a_complete_and_empty_enumeration(
        self, provider: Provider, make_plant: MakePlant
    ) -> None:
        plant = make_plant(self.conditional())
        provider.answers = [page_of([customer(1)]), httpx2.Response(304)]
        plant.run()
        mark = plant.checkpoint()
        report = plant.run()
        assert provider.requests[-1].headers["if-modified-since"] == "Sun, 01 Mar 2026 09:00:01 GMT"
        assert report.state is RunState.DONE
        assert report.counters == Counters(pages=1)
        assert plant.checkpoint() == mark == (None, times.read("2026-03-01T09:00:01Z"))

    def test_it_is_refused_where_nothing_of_the_kind_was_asked(
        self, provider: Provider, make_plant: MakePlant
    ) -> None:
        plant = make_plant(self.conditional())
        provider.answers = [httpx2.Response(304)]
        assert plant.run().reason == "invalid_page"

    def test_it_is_refused_behind_the_first_page(
        self, provider: Provider, make_plant: MakePlant
    ) -> None:
        plant = make_plant(self.conditional())
        provider.answers = [page_of([customer(1)])]
        plant.run()
        provider.answers = [
            page_of([customer(1)], next_cursor="a", has_more=True),
            httpx2.Response(304),
        ]
        assert plant.run().reason == "invalid_page"


class Plaid:
    """/transactions/sync: an update is several pages, valid only if nothing moves meanwhile."""

    def __init__(self) -> None:
        self.added: list[int] = []
        self.moves: list[int] = []
        self.asked: list[str | None] = []

    def __call__(self, request: httpx2.Request) -> httpx2.Response:
        cursor = request.url.params.get("cursor")
        self.asked.append(cursor)
        start, done = map(int, (cursor or "0:0").split(":"))
        if done > start and self.moves:
            self.added.append(self.moves.pop())
            error = "TRANSACTIONS_SYNC_MUTATION_DURING_PAGINATION"
            return httpx2.Response(400, json={"error_code": error})
        shown, end = self.added[done : done + 2], min(done + 2, len(self.added))
        more = end < len(self.added)
        following = f"{start}:{end}" if more else f"{end}:{end}"
        return httpx2.Response(
            200,
            json={
                "added": [customer(n) for n in shown],
                "next_cursor": following,
                "has_more": more,
            },
        )


def plaid_route(request: RouteRequest) -> SyncPage:
    answer = request.http.get("/sync", params={"cursor": request.cursor}, expect=(400,))
    body = answer.json()
    if answer.status == 400:
        raise Restart(body["error_code"])
    batch = ingested(*(int(r["id"].removeprefix("cus_")) for r in body["added"]))
    return sync.page(batch, cursor=body["next_cursor"], has_more=body["has_more"], hold=True)


class TestHeldUpdate:
    @pytest.fixture
    def source(self) -> Plaid:
        return Plaid()

    @pytest.fixture
    def plant(self, make_plant: MakePlant, source: Plaid) -> Plant:
        plant = make_plant(routed(plaid_route))
        plant.provider = source
        return plant

    def held(self, plant: Plant) -> bool:
        return plant.store.held_pages.first("default", "acme-main", "customers") is not None

    def test_pages_are_applied_in_order_when_the_update_ends(
        self, plant: Plant, source: Plaid
    ) -> None:
        source.added = [1, 2, 3, 4, 5]
        report = plant.run()
        assert report.counters == Counters(pages=3, fetched=5, submitted=5, created=5)
        assert source.asked == [None, "0:2", "0:4"]
        assert plant.checkpoint()[0] == "5:5"
        assert not self.held(plant)
        source.added.append(6)
        assert plant.run().counters.created == 1

    def test_a_restart_drops_them_and_begins_the_update_again(
        self, plant: Plant, source: Plaid
    ) -> None:
        source.added = [1, 2]
        plant.run()
        source.asked.clear()
        source.added += [3, 4, 5]
        source.moves = [6]
        report = plant.run()
        assert source.asked == ["2:2", "2:4", "2:2", "2:4"]
        assert source.moves == []
        assert report.counters == Counters(pages=2, fetched=4, submitted=4, created=4)
        assert plant.versions() == 6
        assert not self.held(plant)

    def test_at_most_five_times_a_run(self, plant: Plant, source: Plaid) -> None:
        source.added = [1, 2, 3]
        source.moves = list(range(10, 20))
        report = plant.run()
        assert (report.state, report.reason) == (RunState.FAILED, "cursor_expired")
        assert "began again 5 times" in (report.message or "")
        assert len(source.moves) == 4
        assert plant.names() == {}
        source.moves.clear()
        assert plant.run().state is RunState.DONE
        assert len(plant.names()) == len(source.added)
        assert not self.held(plant)

    @pytest.mark.parametrize("dying_after", range(1, 7))
    def test_a_run_that_is_cut_off_goes_on_behind_what_it_holds(
        self, plant: Plant, source: Plaid, monkeypatch: pytest.MonkeyPatch, dying_after: int
    ) -> None:
        """Held pages are in the store: the next process asks for the next page only."""
        source.added = [1, 2, 3, 4, 5]
        commit = plant.store.documents.commit
        units: list[Any] = []

        def dying(unit: Any) -> None:
            commit(unit)
            units.append(unit)
            if len(units) == dying_after:
                raise KeyboardInterrupt

        with monkeypatch.context() as patched:
            patched.setattr(plant.store.documents, "commit", dying)
            with pytest.raises(KeyboardInterrupt):
                plant.run()
        assert (plant.names() == {}) is (dying_after <= 3)
        assert self.held(plant) is (dying_after < 6)
        plant.run()
        assert len(plant.names()) == plant.versions() == 5
        assert not self.held(plant)
        assert plant.checkpoint()[0] == "5:5"
        assert source.asked[:3] == [None, "0:2", "0:4"]
        assert "0:2" not in source.asked[3:]

    def test_what_was_held_is_forgotten_by_a_full_run(self, plant: Plant, source: Plaid) -> None:
        source.added = [1, 2, 3]
        plant.provider = lambda request: (
            source(request) if not source.asked else httpx2.Response(404)
        )
        assert plant.run().state is RunState.FAILED
        assert self.held(plant)
        plant.provider = source
        assert plant.run(full=True).counters.created == 3
        assert not self.held(plant)

    def test_observation_counts_an_update_once(self, plant: Plant, source: Plaid) -> None:
        source.added = [1, 2, 3]
        source.moves = [4]
        report = plant.run(observing=True)
        assert report.counters == Counters(pages=2, fetched=4, submitted=4, created=4)
        assert not self.held(plant)
        assert plant.names() == {}

    def test_a_rejected_record_of_a_held_page_becomes_a_letter_when_it_is_applied(
        self, make_plant: MakePlant
    ) -> None:
        def route(request: RouteRequest) -> SyncPage:
            if request.cursor is None:
                return sync.page(ingested(1, display_name=5), cursor="a", has_more=True, hold=True)
            assert plant.letters() == []
            return sync.page(ingested(2), hold=True)

        plant = make_plant(routed(route))
        report = plant.run()
        assert (report.counters.created, report.counters.rejected) == (1, 1)
        (letter,) = plant.letters()
        assert letter.idempotency_key == "acme:customer:cus_1"

    def test_a_page_that_is_not_held_ends_the_update_and_the_run_goes_on(
        self, make_plant: MakePlant
    ) -> None:
        seen: list[int] = []

        def route(request: RouteRequest) -> SyncPage:
            seen.append(len(plant.names()))
            page = request.cursor or 0
            return sync.page(ingested(page), cursor=page + 1, has_more=page < 3, hold=page == 0)

        plant = make_plant(routed(route))
        assert plant.run().counters.created == 4
        assert seen == [0, 0, 2, 3]


class TestAgainIn:
    def test_the_page_is_committed_and_the_stream_waits(self, make_plant: MakePlant) -> None:
        """A report: started, asked for twice, then read."""
        answers: list[Callable[[], SyncPage]] = [
            lambda: sync.page(cursor={"job": 7}, again_in=30),
            lambda: sync.page(cursor={"job": 7}, again_in=timedelta(minutes=1)),
            lambda: sync.page(ingested(1)),
        ]
        cursors: list[Any] = []

        def route(request: RouteRequest) -> SyncPage:
            cursors.append(request.cursor)
            return answers.pop(0)()

        plant = make_plant(routed(route))
        for pause in (30, 60):
            asked_at = times.microseconds(plant.clock.now())
            report = plant.run()
            assert (report.state, report.reason) == (RunState.PARKED, "parked")
            state = plant.store.streams.get("default", "acme-main", "customers")
            assert state is not None
            assert (state.state, state.cursor) == ("parked", {"job": 7})
            assert state.next_run_at == asked_at + pause * 1_000_000
            assert not state.lease_owner
        assert plant.run().counters.created == 1
        assert cursors == [None, {"job": 7}, {"job": 7}]

    def test_the_enumeration_goes_on_with_its_own_start(self, make_plant: MakePlant) -> None:
        """Else what changed while the report was being made would be passed over."""

        def route(request: RouteRequest) -> SyncPage:
            if request.cursor is None:
                return sync.page(cursor="job", again_in=30)
            return sync.page(ingested(1, updated_at="2026-03-02T10:30:00Z"))

        plant = make_plant(routed(route))
        started = times.microseconds(plant.clock.now())
        plant.run()
        plant.clock.advance(3600)
        plant.run()
        assert plant.checkpoint()[1] == started - MINUTE

    @pytest.mark.parametrize("again_in", [0, -5, "soon", 10**12, timedelta(days=31)])
    def test_it_must_be_a_time_to_come(self, make_plant: MakePlant, again_in: Any) -> None:
        plant = make_plant(routed(lambda request: sync.page(cursor="a", again_in=again_in)))
        report = plant.run()
        assert report.reason == "usage"
        assert "again_in" in (report.message or "")


class TestWaking:
    def waking(self, *wakes: tuple[str, bool]) -> Connector:
        def route(request: RouteRequest) -> SyncPage:
            for stream, full in wakes:
                sync.wake(stream, full=full)
            return sync.page(ingested(1))

        connector = routed(route, "invoices")
        connector.sync("invoices")(lambda request: sync.page())
        return connector

    def test_it_makes_another_stream_due_with_the_commit(self, make_plant: MakePlant) -> None:
        plant = make_plant(self.waking(("invoices", False)))
        now = times.microseconds(plant.clock.now())
        plant.run()
        state = plant.store.streams.get("default", "acme-main", "invoices")
        assert state is not None
        assert (state.next_run_at, state.full_wanted_at, state.state) == (now, None, "new")
        plant.run("invoices")
        state = plant.store.streams.get("default", "acme-main", "invoices")
        assert state is not None
        assert state.next_run_at is None

    def test_full_makes_its_next_run_a_full_one(self, make_plant: MakePlant) -> None:
        asked: list[bool] = []

        def invoices(request: RouteRequest) -> SyncPage:
            asked.append(request.full)
            return sync.page(watermark=request.now)

        connector = self.waking(("invoices", True))
        connector.sync_routes["invoices"] = invoices
        plant = make_plant(connector)
        for stream in ("invoices", "customers", "invoices", "invoices"):
            plant.run(stream)
        assert asked == [False, True, False]

    def test_nothing_is_woken_where_the_page_is_not_committed(self, make_plant: MakePlant) -> None:
        def route(request: RouteRequest) -> SyncPage:
            sync.wake("invoices")
            raise ValueError("oops")

        connector = routed(route, "invoices")
        plant = make_plant(connector)
        assert plant.run().reason == "route_failed"
        assert plant.store.streams.get("default", "acme-main", "invoices") is None

    def test_only_another_polled_stream_can_be_woken(self, make_plant: MakePlant) -> None:
        raised: list[Exception] = []

        def route(request: RouteRequest) -> SyncPage:
            for stream in ("nothing", "events", "customers"):
                try:
                    sync.wake(stream)
                except (UsageError, UnknownStreamError) as error:
                    raised.append(error)
            return sync.page()

        connector = routed(route)
        connector.streams["events"] = Stream("events", mode="webhook")
        make_plant(connector).run()
        assert [type(error) for error in raised] == [UnknownStreamError, UsageError, UsageError]


class TestFullRuns:
    def scheduled(self, full: str | None = None, **since: Any) -> Connector:
        connector = acme(
            since=Since(param="updated_since", field="updated_at", **since),
        )
        connector.streams["customers"] = Stream("customers", mode="poll", full=full)
        return connector

    def kinds(self, plant: Plant, days: Sequence[float]) -> list[RunKind]:
        found = []
        for pause in days:
            plant.clock.advance(pause * 86_400)
            found.append(plant.run().kind)
        return found

    def test_the_first_run_from_its_moment_on_is_full(
        self, provider: Provider, make_plant: MakePlant
    ) -> None:
        """2026-03-02 is a Monday: the next Sunday is six days away."""
        plant = make_plant(self.scheduled("0 3 * * sun"))
        provider.records = [customer(1)]
        poll, full = RunKind.POLL, RunKind.FULL
        assert self.kinds(plant, [0, 1, 4, 1, 0, 6, 1]) == [
            poll,
            poll,
            poll,
            full,
            poll,
            poll,
            full,
        ]
        assert "updated_since" not in provider.requests[-1].url.params
        assert "updated_since" in provider.requests[-2].url.params

    def test_a_watermark_beyond_the_horizon_makes_a_full_run(
        self, provider: Provider, make_plant: MakePlant
    ) -> None:
        plant = make_plant(self.scheduled(horizon=timedelta(days=30)))
        provider.records = [customer(1)]
        assert self.kinds(plant, [0, 28, 2]) == [RunKind.POLL, RunKind.POLL, RunKind.FULL]

    def test_a_full_run_that_did_not_end_is_gone_on_with(
        self, provider: Provider, make_plant: MakePlant
    ) -> None:
        plant = make_plant(self.scheduled("0 3 * * *"))
        provider.records = [customer(n) for n in range(5)]
        plant.run()
        plant.clock.advance(86_400)
        provider.answers = [None, httpx2.Response(403)]
        assert plant.run().state is RunState.FAILED
        provider.requests.clear()
        plant.run()
        assert [dict(r.url.params).keys() for r in provider.requests] == [{"cursor"}] * 2
        assert self.kinds(plant, [0]) == [RunKind.POLL]


def test_restarts_are_bounded_by_a_number() -> None:
    assert pull.UPDATE_RESTARTS == 5
