"""Deletes proven by absence: what two complete enumerations in a row lack is gone, nothing else."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import httpx2
import pytest

from penstock import Cursor, Emit, PageNumber, Permissions
from penstock.model.run import RunState
from penstock.pipeline.pull import Pull
from penstock.pipeline.sweep import is_too_much
from penstock.sdk.connector import Connector
from penstock.store.rows import Absence, Sweep
from penstock.store.sweeps import SqlSweeps
from tests.model_based.crash import Crash, Ending, Killed, crashing
from tests.pipeline.plant import Plant, Provider, acme, customer

MakePlant = Callable[..., Plant]


def sweeping(mapping: Callable[..., Any] | None = None, **changes: Any) -> Connector:
    return acme(mapping, deletes="absent", **changes)


def names_of(provider: Provider) -> set[str]:
    return {record["id"] for record in provider.records}


@pytest.fixture
def plant(make_plant: MakePlant, provider: Provider) -> Plant:
    """Forty customers, listed once."""
    provider.limit = 10
    provider.records = [customer(n) for n in range(40)]
    plant = make_plant(sweeping())
    plant.run()
    return plant


def remove(provider: Provider, *numbers: int) -> None:
    gone = {f"cus_{n}" for n in numbers}
    provider.records = [record for record in provider.records if record["id"] not in gone]


def waiting(plant: Plant) -> list[tuple[int | None, int | None]]:
    return [(s.waiting, s.members) for s in plant.store.sweeps.waiting("default")]


class TestProof:
    def test_a_record_is_gone_when_two_enumerations_in_a_row_lack_it(
        self, plant: Plant, provider: Provider
    ) -> None:
        """SA22: a tombstone only with proof."""
        remove(provider, 3, 4)
        first = plant.run(full=True)
        assert (first.counters.absent, len(plant.names())) == (0, 40)
        second = plant.run(full=True)
        assert (second.counters.absent, second.counters.updated) == (2, 2)
        assert plant.names().keys() == names_of(provider)
        assert plant.run(full=True).counters.absent == 0
        assert plant.versions() == 42

    def test_a_record_that_comes_back_is_a_new_version(
        self, plant: Plant, provider: Provider
    ) -> None:
        remove(provider, 3)
        plant.run(full=True)
        plant.run(full=True)
        assert "cus_3" not in plant.names()
        provider.records.append(customer(3))
        assert plant.run(full=True).counters.updated == 1
        assert plant.names()["cus_3"] == "Customer 3"
        assert plant.run(full=True).counters.absent == 0

    def test_seen_in_between_it_starts_over(self, plant: Plant, provider: Provider) -> None:
        everything = list(provider.records)
        for shown in (False, True, False, True, False):
            provider.records = list(everything)
            if not shown:
                remove(provider, 3)
            plant.run(full=True)
        assert "cus_3" in plant.names()

    def test_runs_that_ask_for_changes_delete_nothing(
        self, plant: Plant, provider: Provider
    ) -> None:
        remove(provider, 3)
        for _ in range(4):
            assert plant.run().counters.absent == 0
        assert "cus_3" in plant.names()

    def test_seen_by_a_run_that_asks_for_changes_it_is_alive(
        self, plant: Plant, provider: Provider
    ) -> None:
        remove(provider, 3)
        plant.run(full=True)
        provider.records.append(customer(3, updated_at="2026-03-01T12:00:00Z"))
        plant.run()
        remove(provider, 3)
        assert plant.run(full=True).counters.absent == 0
        assert plant.run(full=True).counters.absent == 1

    def test_news_from_elsewhere_speaks_for_itself(self, plant: Plant, provider: Provider) -> None:
        """Another stream brought the document after the first of the two enumerations."""
        remove(provider, 3)
        plant.run(full=True)
        head = next(
            stored
            for stored, _ in plant.store.reader.contents("default", "customer")
            if stored.source_id == "cus_3"
        )
        touched = plant.store.reader.history(head.document_id)[-1]
        assert touched.version == 1
        self.bring(plant, provider)
        assert plant.run(full=True).counters.absent == 0
        assert plant.run(full=True).counters.absent == 1

    def bring(self, plant: Plant, provider: Provider) -> None:
        listed = provider.records
        provider.records = [customer(3, display_name="Renamed", updated_at="2026-03-01T12:00:00Z")]
        other = acme()
        plant.install(other)
        plant.run()
        plant.install(sweeping())
        provider.records = listed

    def test_a_stream_without_a_filter_always_enumerates_everything(
        self, make_plant: MakePlant, provider: Provider
    ) -> None:
        plant = make_plant(sweeping(since=None))
        provider.records = [customer(n) for n in range(40)]
        plant.run()
        remove(provider, 3)
        plant.run()
        assert plant.run().counters.absent == 1

    def test_a_cursor_that_outlives_the_enumeration_proves_nothing(
        self, make_plant: MakePlant, provider: Provider
    ) -> None:
        pages = Cursor("next_cursor", param="cursor", keep=True)
        plant = make_plant(sweeping(since=None, pages=pages))
        provider.answers = [
            httpx2.Response(200, json={"data": data, "next_cursor": f"t{turn}", "has_more": False})
            for turn, data in enumerate([[customer(n) for n in range(40)], [], [], []])
        ]
        for _ in range(4):
            assert plant.run().counters.absent == 0
        assert not provider.answers

    def test_the_permission_to_delete_is_needed(
        self, make_plant: MakePlant, provider: Provider
    ) -> None:
        connector = sweeping()
        connector.permissions = Permissions(
            http=["https://api.acme.test/*"], documents={"customer": ["write"]}
        )
        plant = make_plant(connector)
        provider.records = [customer(n) for n in range(40)]
        plant.run()
        remove(provider, 3)
        plant.run(full=True)
        assert plant.run(full=True).reason == "permission_denied"
        assert "cus_3" in plant.names()


class TestBrake:
    def test_too_much_at_once_waits_for_a_person(self, plant: Plant, provider: Provider) -> None:
        """SA23: a full listing that is empty by mistake."""
        provider.records = []
        plant.run(full=True)
        report = plant.run(full=True)
        assert report.state is RunState.DONE
        assert report.counters.absent == 0
        assert len(plant.names()) == 40
        assert waiting(plant) == [(40, 40)]
        assert report.notes[-1].startswith("40 of 40 records are no longer listed")
        assert "penstock deletes confirm acme-main customers" in report.notes[-1]

    def test_it_waits_no_longer_when_they_are_back(self, plant: Plant, provider: Provider) -> None:
        everything, provider.records = provider.records, []
        plant.run(full=True)
        plant.run(full=True)
        provider.records = everything
        plant.run(full=True)
        assert waiting(plant) == []
        assert len(plant.names()) == 40

    def test_confirmed_they_are_deleted_without_a_request(
        self, plant: Plant, provider: Provider
    ) -> None:
        remove(provider, 0, 1, 2)
        plant.run(full=True)
        plant.run(full=True)
        assert waiting(plant) == [(3, 40)]
        provider.requests.clear()
        report = plant.run(confirmed=True)
        assert report.kind == "deletes"
        assert (report.counters.absent, report.counters.pages) == (3, 0)
        assert provider.requests == []
        assert waiting(plant) == []
        assert plant.names().keys() == names_of(provider)

    def test_what_came_back_before_the_word_was_given_stays(
        self, plant: Plant, provider: Provider
    ) -> None:
        remove(provider, 0, 1, 2)
        plant.run(full=True)
        plant.run(full=True)
        provider.records.append(customer(1, updated_at="2026-03-01T12:00:00Z"))
        plant.run()
        assert plant.run(confirmed=True).counters.absent == 2
        assert "cus_1" in plant.names()

    @pytest.mark.parametrize(
        ("gone", "members", "waits"),
        [(5, 100, False), (6, 100, True), (1, 20, False), (1, 19, True), (0, 0, False)],
    )
    def test_more_than_five_in_a_hundred(self, gone: int, members: int, waits: bool) -> None:
        assert is_too_much(Absence(gone, members)) is waits


class TestPartial:
    @pytest.mark.parametrize("page", [0, 1, 2, 3])
    def test_a_listing_that_is_cut_off_deletes_nothing(
        self, plant: Plant, provider: Provider, page: int
    ) -> None:
        """SA22: killed or refused in the middle, twice, and begun anew each time."""
        remove(provider, 3)
        for _ in range(2):
            provider.answers = [None] * page + [httpx2.Response(403)]
            report = plant.run(full=True)
            assert report.state is RunState.FAILED
            assert not provider.answers
        assert "cus_3" in plant.names()
        assert plant.run(full=True).counters.absent == 0
        assert plant.run(full=True).counters.absent == 1

    @pytest.mark.parametrize("page", [1, 2, 3])
    def test_resumed_run_with_delete_sweep(
        self, plant: Plant, provider: Provider, page: int
    ) -> None:
        """SA24: the sweep's token travels in the checkpoint; no live row is deleted.

        Refused in the middle of the first enumeration, killed in the middle of the second. Then so
        much goes that a person is asked.
        """
        remove(provider, 3)
        self.cut_and_go_on(plant, provider, page)
        assert len(plant.names()) == 40
        self.kill_and_go_on(plant, page)
        assert plant.names().keys() == names_of(provider)
        remove(provider, 10, 11, 12)
        self.kill_and_go_on(plant, page)
        self.kill_and_go_on(plant, page)
        assert len(plant.names()) == 39
        assert waiting(plant) == [(3, 39)]

    def test_control_a_sweep_without_its_token_deletes_live_records(
        self, plant: Plant, provider: Provider, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """SA24: must fail. If a resumed run began a sweep of its own, page one would be gone."""
        remove(provider, 3)
        resume, get = Pull.resume, SqlSweeps.get

        def forgetful(pull: Pull, start: Any) -> None:
            resume(pull, start)
            pull.enumeration = replace(pull.enumeration, began=pull.next_unit)

        def hasty(sweeps: SqlSweeps, *key: str) -> Sweep | None:
            sweep = get(sweeps, *key)
            return sweep and replace(sweep, before=sweep.began, before_at=sweep.began_at)

        monkeypatch.setattr(Pull, "resume", forgetful)
        monkeypatch.setattr(SqlSweeps, "get", hasty)
        monkeypatch.setattr("penstock.pipeline.sweep.PERCENT", 100)
        self.cut_and_go_on(plant, provider, 3)
        lost = names_of(provider) - plant.names().keys()
        assert len(lost) == 30, "the control stayed green"

    def kill_and_go_on(self, plant: Plant, page: int) -> None:
        killed = Crash(page, after=False, ending=Ending.DEAD)
        with crashing(plant, killed) as commits, pytest.raises(Killed):
            plant.run(full=True)
        assert commits.fired
        assert plant.run().state is RunState.DONE

    def cut_and_go_on(self, plant: Plant, provider: Provider, page: int) -> None:
        provider.answers = [None] * page + [httpx2.Response(403)]
        assert plant.run(full=True).state is RunState.FAILED
        assert not provider.answers
        assert plant.run().state is RunState.DONE

    def test_one_that_began_again_proves_nothing(
        self, make_plant: MakePlant, provider: Provider
    ) -> None:
        """SA13 and SA22: an expired cursor restarted it."""
        provider.limit = 10
        provider.records = [customer(n) for n in range(40)]
        plant = make_plant(sweeping(expired=(410,)))
        plant.run()
        remove(provider, 3)
        plant.run(full=True)
        provider.answers = [None, httpx2.Response(410)]
        assert plant.run(full=True).counters.absent == 0
        assert not provider.answers
        assert plant.run(full=True).counters.absent == 1

    @pytest.mark.parametrize("after", [1, 2, 3, 4])
    def test_a_crash_between_proof_and_deletes_is_made_good(
        self,
        plant: Plant,
        provider: Provider,
        monkeypatch: pytest.MonkeyPatch,
        after: int,
    ) -> None:
        monkeypatch.setattr("penstock.pipeline.sweep.AT_ONCE", 1)
        monkeypatch.setattr("penstock.pipeline.sweep.PERCENT", 50)
        remove(provider, 0, 1, 2)
        plant.run(full=True)
        commit = plant.store.documents.commit
        sweeps: list[Any] = []

        def dying(unit: Any) -> None:
            if unit.counters.absent:
                sweeps.append(unit)
                if len(sweeps) == after:
                    raise KeyboardInterrupt
            commit(unit)

        with monkeypatch.context() as patched:
            patched.setattr(plant.store.documents, "commit", dying)
            if after <= 3:
                with pytest.raises(KeyboardInterrupt):
                    plant.run(full=True)
            else:
                plant.run(full=True)
        assert plant.run().counters.absent == (4 - after if after <= 3 else 0)
        assert plant.names().keys() == names_of(provider)


class TestWhatCountsAsSeen:
    def listed(self, plant: Plant, provider: Provider, times: int = 3) -> None:
        for _ in range(times):
            assert plant.run(full=True).counters.absent == 0

    def test_a_record_that_is_rejected_is_there(self, plant: Plant, provider: Provider) -> None:
        provider.put(customer(3, display_name=5, updated_at="2026-03-01T12:00:00Z"))
        self.listed(plant, provider)
        assert "cus_3" in plant.names()

    def test_a_record_that_is_filtered_is_there(
        self, make_plant: MakePlant, provider: Provider
    ) -> None:
        def mapping(record: dict[str, Any]) -> Any:
            name = record["display_name"]
            return None if name == "Draft" else {"customer_id": record["id"], "name": name}

        for id_path in ("id", ("id", "kind"), lambda record: record["id"]):
            provider.limit = 10
            provider.records = [customer(n, kind="a") for n in range(5)]
            plant = make_plant(sweeping(mapping, id=id_path))
            plant.run(full=True)
            provider.put(customer(3, kind="a", display_name="Draft"))
            self.listed(plant, provider)
            assert len(plant.names()) == 5
            plant.store.connections.remove("default", "acme-main")

    def test_a_record_that_cannot_be_named_makes_the_proof_void(
        self, plant: Plant, provider: Provider
    ) -> None:
        remove(provider, 3)
        plant.run(full=True)
        provider.records.append(customer(99, id=None))
        self.listed(plant, provider)
        provider.records.pop()
        assert plant.run(full=True).counters.absent == 1

    def test_a_status_that_means_nothing_is_there_proves_nothing(
        self, make_plant: MakePlant, provider: Provider
    ) -> None:
        connector = sweeping()
        connector.judge = type(connector.judge)(statuses={404: "skip"})
        plant = make_plant(connector)
        provider.records = [customer(1)]
        plant.run()
        for _ in range(3):
            provider.answers = [httpx2.Response(404)]
            assert plant.run(full=True).counters.absent == 0
            assert not provider.answers
        assert waiting(plant) == []

    def test_other_documents_of_a_record_are_not_its_own(
        self, make_plant: MakePlant, provider: Provider
    ) -> None:
        def mapping(record: dict[str, Any]) -> Any:
            payload = {"customer_id": record["id"], "name": record["display_name"]}
            both = [Emit("customer", payload)]
            if record.get("parent"):
                parent = {"customer_id": record["parent"], "name": "Parent"}
                both.append(Emit("customer", parent, id=record["parent"]))
            return both

        provider.limit = 50
        provider.records = [customer(n) for n in range(40)] + [customer(99, parent="p")]
        plant = make_plant(sweeping(mapping))
        plant.run()
        remove(provider, 99)
        plant.run(full=True)
        assert plant.run(full=True).counters.absent == 1
        assert "p" in plant.names()

    def test_pages_read_by_another_process_are_seen(
        self, make_plant: MakePlant, provider: Provider, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        from tests.model_based.machine import _paged

        provider.limit = 10
        provider.records = [customer(n, kind="a") for n in range(40)]
        plant = make_plant(sweeping(id=("id", "kind")))
        plant.reads_beside = True
        with _paged(ahead=True):
            plant.run()
            provider.put(customer(5, kind="a", updated_at="2026-03-01T12:00:00Z"))
            self.listed(plant, provider)
            remove(provider, 3)
            plant.run(full=True)
            assert plant.run(full=True).counters.absent == 1


def test_rows_inserted_and_deleted_during_an_offset_scan_are_found_at_rest(
    make_plant: MakePlant, provider: Provider
) -> None:
    """SA14: a deleted row shifts others over the page border; the next full scan makes it good."""

    def numbered(request: httpx2.Request) -> httpx2.Response:
        page = int(request.url.params["page"])
        rows = provider.records[(page - 1) * 5 : page * 5]
        answer = httpx2.Response(200, json={"data": rows})
        if page == 2 and meanwhile:
            meanwhile.pop()()
        return answer

    provider.records = [customer(n) for n in range(40)]
    plant = make_plant(sweeping(since=None, pages=PageNumber(size_param="limit", size=5)))
    plant.provider = numbered
    meanwhile: list[Callable[[], None]] = [lambda: remove(provider, 0), lambda: None]
    plant.run()
    plant.run()
    assert meanwhile == []
    assert plant.run().counters.absent == 0
    assert names_of(provider) <= plant.names().keys()
    assert plant.run().counters.absent == 1
    assert plant.names().keys() == names_of(provider)
