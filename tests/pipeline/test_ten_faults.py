"""Faults that every tool of this kind repeats, by their names: what a stream shows instead.

Each scenario holds with its guard, and is run once more with the guard taken out: then it must
fail, or it would prove nothing. docs/faults.md lists all ten; those that need processes of their
own stand beside what they need.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import httpx2
import pytest

from penstock import Cursor, Offset, PageNumber, Since
from penstock.model import times
from penstock.model.run import RunState
from penstock.model.standing import ALL_WELL, Condition
from penstock.model.unit import UnitOfWork
from penstock.pipeline.reading import Installation
from penstock.sdk import verify
from penstock.sdk.connector import Connector
from penstock.sdk.loader import Loaded
from penstock.upstream.counted import FullPage
from penstock.upstream.paging import PageView
from penstock.work import ending
from tests.pipeline.plant import Plant, Provider, acme, customer, empty, page_of, to_customer
from tests.upstream.paged_api import WAYS, Listing, PagedApi

MakePlant = Callable[..., Plant]
TIE = "2026-03-01T10:00:00Z"
BROKEN = Path(__file__).parents[1] / "sdk" / "broken"


# ── boundary equality ──


class TestBoundaryEquality:
    def test_boundary_equality(self, plant: Plant, provider: Provider) -> None:
        """SA16: more equal times than a page holds, on both sides of a run's border."""
        self.more_ties_than_a_page(plant, provider)

    def test_control_an_exclusive_boundary_loses_ties(
        self, plant: Plant, provider: Provider, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Must fail: asked with > instead of >=."""
        write = Since.write
        a_second = timedelta(seconds=1)
        monkeypatch.setattr(Since, "write", lambda since, at: write(since, at + a_second))
        with pytest.raises(AssertionError, match="a tie is lost"):
            self.more_ties_than_a_page(plant, provider)

    def test_control_without_the_hash_ties_are_doubled(
        self, plant: Plant, provider: Provider, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Must fail: read again, and nobody knows that it is the same."""
        heads = plant.store.documents.heads

        def forgotten(ids: Any) -> Any:
            found = heads(ids).items()
            return {i: head._replace(payload_hash=b"?" * 32, raw_mark=None) for i, head in found}

        monkeypatch.setattr(plant.store.documents, "heads", forgotten)
        with pytest.raises(AssertionError, match="a tie is doubled"):
            self.more_ties_than_a_page(plant, provider)

    def more_ties_than_a_page(self, plant: Plant, provider: Provider) -> None:
        provider.records = [customer(n, updated_at=TIE) for n in range(5)]
        plant.run()
        before = self.bytes_of_state(plant)
        for known in (5, 9, 13):
            fresh = [customer(n, updated_at=TIE) for n in range(known, known + 4)]
            provider.records += fresh
            report = plant.run()
            assert len(plant.names()) == known + 4, "a tie is lost"
            assert plant.versions() == known + 4, "a tie is doubled"
            assert (report.counters.created, report.counters.unchanged) == (4, known)
        assert provider.limit < 4, "the ties fill more than a page"
        assert self.bytes_of_state(plant) == before, "the state grew"

    def bytes_of_state(self, plant: Plant) -> int:
        state = plant.store.streams.get("default", "acme-main", "customers")
        assert state is not None
        return len(json.dumps([state.cursor, state.enumeration, state.watermark]))


# ── cursor precision against window ──


class CoarseProvider:
    """Filters by the unit of its parameter, inclusive, whatever its records' own precision is."""

    def __init__(self, since: Since) -> None:
        self.since = since

        self.records: list[dict[str, Any]] = []
        self.asked: list[int] = []

    def __call__(self, request: httpx2.Request) -> httpx2.Response:
        text = request.url.params.get("since")
        from_ = None if text is None else self.since.measure_value(text)
        if from_ is not None:
            self.asked.append(from_)
        kept = [r for r in self.records if from_ is None or self.in_its_unit(r) >= from_]
        return page_of(kept)

    def in_its_unit(self, record: dict[str, Any]) -> int:
        mark = times.read(record["updated_at"])
        return mark // self.unit_us * self.unit_us

    @property
    def unit_us(self) -> int:
        return 86_400_000_000 if self.since.format == "date" else 1_000_000


class TestCursorPrecisionVsWindow:
    FORMATS = ("rfc3339", "unix", "date", "%Y-%m-%d %H:%M:%S")

    @pytest.mark.parametrize("format_name", FORMATS)
    def test_cursor_precision_vs_window(self, make_plant: MakePlant, format_name: str) -> None:
        """SA18: records in milliseconds, a filter in seconds or days."""
        self.finer_than_the_filter(make_plant, format_name)

    def test_a_format_that_cannot_say_a_moment_is_refused(self, backend: str) -> None:
        """What no overlap could mend: `penstock check` says it before anything runs."""
        (finding,) = [
            each
            for each in verify.check(str(BROKEN / "format_without_year.py"))
            if each.severity == "error"
        ]
        assert "does not name a day in full" in finding.message

    @pytest.mark.parametrize("format_name", FORMATS)
    def test_control_a_filter_rounded_up_skips(
        self, make_plant: MakePlant, format_name: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Must fail: the sent value is cut up instead of down."""
        write = Since.write
        unit = timedelta(days=2) if format_name == "date" else timedelta(seconds=1)

        def rounded_up(since: Since, moment: datetime) -> str:
            return write(since, moment + unit)

        monkeypatch.setattr(Since, "write", rounded_up)
        with pytest.raises(AssertionError, match="skipped"):
            self.finer_than_the_filter(make_plant, format_name)

    def finer_than_the_filter(self, make_plant: MakePlant, format_name: str) -> None:
        since = Since(param="since", field="updated_at", format=format_name)
        provider = CoarseProvider(since)
        plant = make_plant(acme(since=since, pages=Cursor("next_cursor", param="cursor")))
        plant.provider = provider
        old = [customer(n, updated_at=f"2026-02-{n:02}T09:00:00Z") for n in range(1, 21)]
        provider.records = [*old, customer(21, updated_at="2026-03-01T09:00:00.250Z")]
        plant.run()
        provider.records.append(customer(22, updated_at="2026-03-01T09:00:00.750Z"))
        report = plant.run()
        assert "cus_22" in plant.names(), "a change inside the unit is skipped"
        assert report.counters.fetched == 2, "the history is read again"
        (asked,) = provider.asked
        _, watermark = plant.checkpoint()
        overlap = times.read("2026-03-01T09:00:00.250Z") - asked
        # A day begins 12 hours later in the last zone; so much more is read of a filter by days.
        zones = 43_200_000_000 if format_name == "date" else 0
        assert 0 <= overlap < provider.unit_us + zones
        assert watermark == times.read("2026-03-01T09:00:00.75Z")


# ── a client's filter fools the pager ──


class TestClientFilterFoolsPager:
    ROWS = tuple(customer(number) for number in range(12))

    def test_client_filter_fools_pager(self, make_plant: MakePlant) -> None:
        """SA31: the pager counts what was fetched, never what the mapping kept."""
        self.all_but_the_last_are_filtered(make_plant)

    def test_control_a_pager_that_counts_what_was_kept_stops(
        self, make_plant: MakePlant, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Must fail: the page looks short, and the rest is never asked for."""

        def is_over(_: FullPage, page: PageView) -> bool:
            return not any(b'"cus_11"' in raw for raw in page.raw)

        monkeypatch.setattr(FullPage, "is_over", is_over)
        with pytest.raises(AssertionError, match="paging stopped"):
            self.all_but_the_last_are_filtered(make_plant)

    def all_but_the_last_are_filtered(self, make_plant: MakePlant) -> None:
        def only_the_last(record: dict[str, Any]) -> dict[str, Any] | None:
            return to_customer(record) if record["id"] == "cus_11" else None

        pages = PageNumber(size_param="per_page", size=3)
        api = PagedApi(Listing(list(self.ROWS)), WAYS["page number"].style)
        plant = make_plant(acme(only_the_last, path="/v1/customers", pages=pages, since=None))
        plant.provider = api
        report = plant.run()
        assert set(plant.payloads()) == {"cus_11"}, "paging stopped"
        assert (report.counters.fetched, report.counters.filtered) == (12, 11)
        assert len(api.requests) == 5


# ── offsets drift ──


class TestOffsetDrift:
    def test_offset_drift(self, make_plant: MakePlant) -> None:
        """SA14: rows go and come while they are read; at rest the store equals the source."""
        self.rows_go_and_come(make_plant)

    def test_control_without_the_row_read_again_others_are_skipped(
        self, make_plant: MakePlant, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Must fail: nobody sees that the rows have shifted."""
        monkeypatch.setattr(Offset, "_has_shifted", lambda *_: False)
        with pytest.raises(AssertionError, match="a row is skipped"):
            self.rows_go_and_come(make_plant)

    def test_the_endpoint_is_marked(self, tmp_path: Path, backend: str) -> None:
        """`penstock check` says that such a stream needs to be read anew now and then."""
        clean = (BROKEN / "clean.py").read_text()
        file = tmp_path / "acme.py"
        file.write_text(
            clean.replace('id="id",', 'id="id", pages=__import__("penstock").Offset(),')
        )
        (finding,) = verify.check(str(file))
        assert (finding.severity, "rows can be skipped" in finding.message) == ("warning", True)

    def rows_go_and_come(self, make_plant: MakePlant) -> None:
        rows = [customer(number) for number in range(60)]
        api = PagedApi(Listing(list(rows)), WAYS["offset"].style)

        def moving(request: httpx2.Request) -> httpx2.Response:
            answer = api(request)
            if len(api.requests) == 2:
                del api.listing.rows[0:2]
            if len(api.requests) == 4:
                api.listing.rows.insert(0, customer(99))
            return answer

        declared = {"path": "/v1/customers", "pages": Offset(size=20), "since": None}
        plant = make_plant(acme(deletes="absent", **declared))
        plant.provider = moving
        assert plant.run().state is RunState.DONE
        assert len(api.listing.rows) == 59, "the rows did not move"
        still_there = {row["id"] for row in rows[2:]}
        assert still_there <= set(plant.names()), "a row is skipped"
        for _ in range(2):
            plant.run()
        assert set(plant.names()) == {row["id"] for row in api.listing.rows}


# ── endless retries ──


class Outage:
    """Two lists of four pages; the third page of one answers 500 until it is well."""

    def __init__(self) -> None:
        self.is_well = False
        self.asked: list[str] = []

    def __call__(self, request: httpx2.Request) -> httpx2.Response:
        number = int(request.url.params.get("cursor", "0"))
        self.asked.append(f"{request.url.path}/{number}")
        if request.url.path == "/customers" and number == 2 and not self.is_well:
            return httpx2.Response(500, text="oops")
        base = 100 if request.url.path == "/leads" else 0
        following = str(number + 1) if number < 3 else None
        return page_of([customer(base + number)], next_cursor=following)


class TestEndlessRetryReportedAsOk:
    def test_endless_retry_reported_as_ok(self, make_plant: MakePlant) -> None:
        """SA5: 33 hours of 500 on one page are red, with a cause and since when."""
        self.hours_of_500(make_plant)

    def test_control_a_run_that_only_retries_looks_healthy(
        self, make_plant: MakePlant, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Must fail: the stream stands where it stood, since the next run will try again."""
        monkeypatch.setattr(ending, "standing_after", lambda *_: ALL_WELL)
        with pytest.raises(AssertionError, match="it looks healthy"):
            self.hours_of_500(make_plant)

    def hours_of_500(self, make_plant: MakePlant) -> None:
        plant = make_plant(self.two_streams())
        plant.provider = outage = Outage()
        begun: list[int | None] = []
        for hour in range(33):
            assert plant.run("customers").reason == "upstream_unavailable"
            condition, reason, since = self.standing(plant)
            assert condition == Condition.UPSTREAM_FAILING, "it looks healthy"
            assert "status 500" in str(reason)
            begun.append(since)
            if hour % 16 == 0:
                assert plant.run("leads").state is RunState.DONE
            plant.clock.advance(3600)
        assert len(set(begun)) == 1, "since when it fails must not move"
        assert outage.asked.count("/customers/0") == 1, "the run did not go on at its place"
        assert plant.checkpoint("customers")[0]["params"] == [["cursor", "2"]]

        outage.is_well = True
        assert plant.run("customers").counters.created == 2
        assert self.standing(plant)[0] == Condition.OK

    def two_streams(self) -> Connector:
        connector = empty("customers", "leads")
        for stream in ("customers", "leads"):
            connector.collection(
                stream,
                path=f"/{stream}",
                records="data",
                id="id",
                document="customer",
                pages=Cursor("next_cursor", param="cursor"),
            )(to_customer)
        return connector

    def standing(self, plant: Plant) -> tuple[str, str | None, int | None]:
        state = plant.store.streams.get("default", "acme-main", "customers")
        assert state is not None
        return state.state, state.reason, state.since


# ── redeploys ──


@pytest.fixture
def host(backend: str, tmp_path: Path, provider: Provider) -> Iterator[Callable[..., Plant]]:
    """A plant as one more process or host would have it: the same database, opened again."""
    plants: list[Plant] = []

    def start() -> Plant:
        plants.append(Plant(tmp_path, provider))
        return plants[-1]

    yield start
    for plant in plants:
        plant.store.close()


class TestRedeploy:
    """Renamed, restarted, on a second host: it is the same stream, with one writer."""

    def test_redeploy_resets_or_doubles_poller(
        self, host: Callable[..., Plant], provider: Provider
    ) -> None:
        self.renamed_and_restarted(host, provider)
        self.two_hosts_at_once(host, provider)

    def test_control_a_cursor_that_belongs_to_the_code_is_lost(
        self, host: Callable[..., Plant], provider: Provider, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Must fail: new code, new cursor."""
        install = Plant.install

        def forgetful(plant: Plant, connector: Connector, code: bytes = b"1") -> None:
            install(plant, connector, code)
            if code != b"1":
                claim = plant.store.streams.claim

                def from_the_start(*args: Any, **how: Any) -> Any:
                    state = claim(*args, **how)
                    return state and replace(state, cursor=None, enumeration=None, watermark=None)

                monkeypatch.setattr(plant.store.streams, "claim", from_the_start)

        monkeypatch.setattr(Plant, "install", forgetful)
        with pytest.raises(AssertionError, match="another cursor"):
            self.renamed_and_restarted(host, provider)

    def test_control_a_writer_without_its_epoch_writes_over_the_other(
        self, host: Callable[..., Plant], provider: Provider, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Must fail: whoever holds the lease now, its name is good enough."""

        def unfenced(plant: Plant, unit: UnitOfWork) -> UnitOfWork:
            row = plant.store.streams.get("default", "acme-main", "customers")
            assert row is not None
            assert unit.lease is not None
            lease = replace(unit.lease, owner=row.lease_owner, epoch=row.epoch)
            return replace(unit, lease=lease, unit_no=row.unit_no + 1)

        monkeypatch.setattr(TestRedeploy, "as_sent", staticmethod(unfenced))
        with pytest.raises(AssertionError, match="two writers"):
            self.two_hosts_at_once(host, provider)

    def renamed_and_restarted(self, host: Callable[..., Plant], provider: Provider) -> None:
        provider.records = [customer(n) for n in range(6)]
        provider.answers = [None, None, httpx2.Response(403)]
        first = host()
        assert first.run().state is RunState.FAILED
        assert not provider.answers, "the first run was not cut off"
        place = first.checkpoint()
        first.store.close()

        second = host()
        second.install(acme(), b"2")
        renamed = Loaded(acme(), "renamed/acme_v2.py", (), b"2")
        second.installation = Installation(renamed, second.connection)
        assert second.checkpoint() == place
        provider.requests.clear()
        assert second.run().counters.created == 2
        asked = [dict(request.url.params) for request in provider.requests]
        assert asked == [dict(place[0]["params"])], "it asked from another cursor"
        assert second.versions() == 6

    def two_hosts_at_once(self, host: Callable[..., Plant], provider: Provider) -> None:
        provider.records = [customer(n, updated_at=TIE) for n in range(20, 26)]
        one, other = host(), host()
        commit = one.store.documents.commit
        seen: list[Any] = []

        def overtaken(unit: UnitOfWork) -> None:
            seen.append(unit)
            if len(seen) == 2:
                assert other.run().reason == "stream_busy", "two pollers of one stream"
                assert unit.lease is not None
                assert one.store.streams.release(unit.lease)  # as if it had run out
                assert other.run().state is RunState.DONE
            commit(self.as_sent(one, unit))

        one.store.documents.commit = overtaken  # type: ignore[method-assign]
        report = one.run()
        assert len(seen) >= 2, "nobody came between"
        assert report.reason == "lease_lost", "there were two writers"
        assert one.checkpoint()[0] is None, "the cursor is that of the one who was late"
        numbers = {f"cus_{n}" for n in range(20, 26)}
        assert numbers <= set(one.names())
        assert one.versions() == len(one.names())

    @staticmethod
    def as_sent(_plant: Plant, unit: UnitOfWork) -> UnitOfWork:
        return unit
