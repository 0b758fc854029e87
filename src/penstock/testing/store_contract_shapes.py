"""The store contract: shapes of records and their drift."""

from __future__ import annotations

from dataclasses import replace

from penstock.errors import LeaseLostError
from penstock.model.drift import Drift, DriftKind, Observed, Witnessed
from penstock.model.standing import Condition, Standing
from penstock.store.rows import StoredDrift
from penstock.testing.store_case import StoreCase, refusal
from penstock.testing.store_worker import EVERY_BYTE, NOW, Worker, connection, page


def drift(path: str = "vat", kind: DriftKind = DriftKind.NEW_FIELD, detail: str = "") -> Witnessed:
    return Witnessed(Drift(kind, path, detail, f"{path} is new"), "acme:invoice:1", 4)


class ShapesContract(StoreCase):
    """Units write shapes and drifts; people look at them and accept them."""

    def _observe(
        self, worker: Worker, *drifts: Witnessed, shape: bytes = b"shape", accepted: bool = False
    ) -> None:
        observed = Observed(worker.stream, shape, drifts, accepted=accepted)
        worker.commit(unit=replace(worker.unit(), observed=(observed,), pages=(page(),)))

    def _drifts(
        self, stream: str | None = None, *, accepted: bool | None = False
    ) -> list[StoredDrift]:
        return self.store.shapes.drifts("default", stream=stream, accepted=accepted)

    def test_a_stream_without_a_shape_has_none(self) -> None:
        assert self.store.shapes.get("default", "acme", "invoices") is None
        assert self._drifts() == []
        assert self.store.shapes.counts("default") == {}

    def test_the_last_shape_stands(self) -> None:
        worker, other = Worker(self.store), Worker(self.store, stream="customers")
        for shape in (b"first", EVERY_BYTE):
            self._observe(worker, shape=shape)
        self._observe(other, shape=b"other")
        assert self.store.shapes.get("default", "acme", "invoices") == EVERY_BYTE
        assert self.store.shapes.get("default", "acme", "customers") == b"other"

    def test_a_drift_is_written_with_its_page_and_record(self) -> None:
        worker = Worker(self.store)
        self._observe(worker, drift())
        (found,) = self._drifts()
        assert found == StoredDrift(
            drift_no=found.drift_no,
            workspace="default",
            connection="acme",
            stream="invoices",
            kind="new_field",
            path="vat",
            detail="",
            message="vat is new",
            idempotency_key="acme:invoice:1",
            run_no=worker.run_no,
            page_no=found.page_no,
            page_index=4,
            first_seen_at=NOW,
            accepted_at=None,
        )
        assert found.page_no is not None
        assert self.store.reader.page(found.page_no) is not None

    def test_without_a_page_there_is_no_place_in_it(self) -> None:
        worker = Worker(self.store)
        observed = Observed("invoices", b"shape", (drift(),))
        worker.commit(unit=replace(worker.unit(), observed=(observed,)))
        (found,) = self._drifts()
        assert (found.page_no, found.page_index) == (None, None)

    def test_a_shape_alone_keeps_no_page(self) -> None:
        self._observe(Worker(self.store))
        assert self.store.reader.page(1) is None

    def test_what_waits_is_written_once(self) -> None:
        worker = Worker(self.store)
        for _ in range(3):
            self._observe(worker, drift(), drift("vat", DriftKind.NEW_VALUE, "DE"))
            self._observe(worker, drift("vat", DriftKind.NEW_VALUE, "FR"))
        assert [(d.kind, d.detail) for d in self._drifts()] == [
            ("new_field", ""),
            ("new_value", "DE"),
            ("new_value", "FR"),
        ]
        assert self.store.shapes.counts("default") == {"new_field": 1, "new_value": 2}

    def test_what_was_accepted_may_come_again(self) -> None:
        worker = Worker(self.store)
        self._observe(worker, drift())
        assert self.store.shapes.accept("default", "acme", now=NOW + 5) == 1
        self._observe(worker, drift())
        accepted, waiting = self._drifts(accepted=None)
        assert (accepted.accepted_at, waiting.accepted_at) == (NOW + 5, None)
        assert self._drifts(accepted=True) == [accepted]
        assert self._drifts() == [waiting]

    def test_what_is_allowed_is_accepted_from_the_start(self) -> None:
        self._observe(Worker(self.store), drift(), drift("iban"), accepted=True)
        assert self._drifts() == []
        assert [d.accepted_at for d in self._drifts(accepted=None)] == [NOW, NOW]

    def test_drift_of_another_worker_is_not_written(self) -> None:
        zombie = Worker(self.store)
        self.store.streams.release(zombie.lease)
        Worker(self.store)
        refusal(LeaseLostError, lambda: self._observe(zombie, drift()))
        assert self._drifts() == []
        assert self.store.shapes.get("default", "acme", "invoices") is None

    def test_drifts_are_listed_in_order_and_by_home(self) -> None:
        for name, stream in (("b", "x"), ("a", "y"), ("a", "x")):
            self._observe(Worker(self.store, connection=name, stream=stream), drift(stream + name))
        first, second, third = self._drifts()
        assert [first.path, second.path, third.path] == ["xb", "ya", "xa"]
        listed = self.store.shapes.drifts
        assert listed("default", connection="a") == [second, third]
        assert listed("default", connection="a", stream="x") == [third]
        assert listed("default", after=first.drift_no, limit=1) == [second]
        assert listed("other") == []
        assert self.store.shapes.counts("default", connection="a") == {"new_field": 2}

    def test_drift_is_accepted_by_connection_by_stream_or_one_by_one(self) -> None:
        accept = self.store.shapes.accept
        for stream in ("x", "y", "z"):
            self._observe(Worker(self.store, stream=stream), drift("one"), drift("two"))
        one = self._drifts("x")[0].drift_no
        assert accept("default", "acme", "y", drift_no=one, now=NOW) == 0
        assert accept("default", "acme", drift_no=one, now=NOW) == 1
        assert accept("default", "acme", drift_no=one, now=NOW) == 0
        assert accept("default", "acme", "y", now=NOW) == 2
        assert accept("default", "other", now=NOW) == accept("other", "acme", now=NOW) == 0
        assert [d.stream for d in self._drifts()] == ["x", "z", "z"]
        assert accept("default", "acme", now=NOW) == 3

    def test_a_stream_goes_on_when_nothing_waits_any_more(self) -> None:
        paused = Standing(Condition.PAUSED_BY_DRIFT, "look")
        for stream in ("x", "y"):
            self._observe(Worker(self.store, stream=stream), drift("one"), drift("two"))
            self.store.streams.set_standing("default", "acme", stream, paused, now=NOW)
        failed = Standing(Condition.FAILED, "else")
        self.store.streams.set_standing("default", "acme", "z", failed, now=NOW)
        one, two, *_ = self._drifts()
        self.store.shapes.accept("default", "acme", drift_no=one.drift_no, now=NOW + 1)
        assert self._states() == ["paused_by_drift", "paused_by_drift", "failed"]
        self.store.shapes.accept("default", "acme", drift_no=two.drift_no, now=NOW + 2)
        assert self._states() == ["ok", "paused_by_drift", "failed"]
        first = self.store.streams.get("default", "acme", "x")
        assert first is not None
        assert (first.reason, first.since) == (None, NOW + 2)

    def test_with_a_connection_go_its_shapes(self) -> None:
        self.store.connections.save(connection(), {}, now=NOW)
        other = Worker(self.store, connection="other")
        for worker in (Worker(self.store), other):
            self._observe(worker, drift())
        self.store.connections.remove("default", "acme")
        assert self.store.shapes.get("default", "acme", "invoices") is None
        assert self.store.shapes.get("default", "other", "invoices") == b"shape"
        assert [d.connection for d in self._drifts(accepted=None)] == ["other"]

    def _states(self) -> list[str]:
        return [state.state for state in self.store.streams.list("default")]
