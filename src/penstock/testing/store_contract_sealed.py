"""The store contract, fourth part: sealed cells and the data keys."""

from __future__ import annotations

from dataclasses import replace

from penstock.model.sealed import SealedCell, WrappedKey
from penstock.testing.store_case import StoreCase, in_threads
from penstock.testing.store_worker import EVERY_BYTE, NOW, connection

KEY = WrappedKey("default", 1, EVERY_BYTE, NOW, None)


class SealedContract(StoreCase):
    """What rotation stands on."""

    # ── data keys ──

    def test_a_data_key_comes_back_as_it_went_in(self) -> None:
        assert self.store.sealed.data_keys() == []
        assert self.store.sealed.add(KEY)
        assert self.open_again().sealed.data_keys("default") == [KEY]

    def test_the_newest_data_key_of_a_workspace_comes_first(self) -> None:
        keys = [replace(KEY, generation=n) for n in (2, 10, 9)]
        other = replace(KEY, workspace="other")
        for key in (*keys, other):
            assert self.store.sealed.add(key)
        assert [key.generation for key in self.store.sealed.data_keys("default")] == [10, 9, 2]
        assert self.store.sealed.data_keys("other") == [other]
        assert len(self.store.sealed.data_keys()) == 4
        assert self.store.sealed.data_keys("nobody") == []

    def test_of_two_that_make_a_generation_one_does(self) -> None:
        made: list[bool] = []
        stores = [self.store, self.open_again()]
        mine = [replace(KEY, wrapped=bytes([n])) for n in range(2)]
        in_threads(
            *(
                lambda store=store, key=key: made.append(store.sealed.add(key))
                for store, key in zip(stores, mine, strict=True)
            )
        )
        assert sorted(made) == [False, True]
        (kept,) = self.store.sealed.data_keys("default")
        assert kept in mine

    def test_a_data_key_is_wrapped_anew_once(self) -> None:
        self.store.sealed.add(KEY)
        assert self.store.sealed.rewrap(KEY, b"new")
        assert not self.store.sealed.rewrap(KEY, b"too late")
        assert self.store.sealed.data_keys("default") == [replace(KEY, wrapped=b"new")]

    def test_a_finished_key_keeps_the_one_before_it(self) -> None:
        keys = [replace(KEY, generation=n) for n in (1, 2, 3)]
        other = replace(KEY, workspace="other")
        for key in (*keys, other):
            self.store.sealed.add(key)
        self.store.sealed.finish(keys[2], now=NOW + 1)
        kept = self.store.sealed.data_keys("default")
        assert kept == [replace(keys[2], finished_at=NOW + 1), keys[1]]
        self.store.sealed.finish(keys[2], now=NOW + 2)
        assert self.store.sealed.data_keys("default") == kept
        assert self.store.sealed.data_keys("other") == [other]

    def test_the_last_secret_of_a_workspace_takes_the_keys_along(self) -> None:
        for workspace in ("default", "other"):
            self.store.sealed.add(replace(KEY, workspace=workspace))
        self._secrets("a", key=b"1")
        self._secrets("b", key=b"2")
        self.store.connections.remove("default", "a")
        assert len(self.store.sealed.data_keys("default")) == 1
        self.store.connections.remove("default", "b")
        assert self.store.sealed.data_keys("default") == []
        assert len(self.store.sealed.data_keys("other")) == 1

    # ── cells ──

    def test_a_secret_is_a_cell(self) -> None:
        self._secrets("acme", api_key=EVERY_BYTE)
        (cell,) = self.store.sealed.cells()
        assert cell == SealedCell("secrets.sealed", "default", "acme", "api_key", EVERY_BYTE)
        assert self.store.sealed.cells("default") == [cell]
        assert self.store.sealed.cells("other") == []

    def test_a_cell_is_sealed_anew_where_nobody_else_wrote_it(self) -> None:
        self._secrets("acme", api_key=b"old", token=b"kept")
        self._secrets("other", api_key=b"theirs")
        (cell,) = (c for c in self.store.sealed.cells() if c.sealed == b"old")
        assert self.store.sealed.reseal(cell, b"new")
        assert not self.store.sealed.reseal(cell, b"too late")
        assert self.store.connections.sealed("default", "acme") == {
            "api_key": b"new",
            "token": b"kept",
        }
        assert self.store.connections.sealed("default", "other") == {"api_key": b"theirs"}

    def _secrets(self, name: str, **secrets: bytes) -> None:
        self.store.connections.save(replace(connection(), name=name), secrets, now=NOW)
