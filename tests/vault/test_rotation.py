"""New data keys and new master keys: nothing lost, the old one not needed afterwards."""

from __future__ import annotations

import contextlib
import sqlite3

import pytest

from penstock.errors import SecretError, UsageError
from penstock.vault.key_ring import KeyRing
from tests.vault.cellar import NEW, OLD, OTHER

PLACE = {"workspace": "default", "connection": "acme", "field": "api_key"}


def fill(cellar, vault=None) -> None:
    for number in range(3):
        cellar.put(vault or cellar.vault, f"acme{number}", api_key=f"key {number}", token="token")
    cellar.put(cellar.vault, "acme", "theirs", api_key="theirs")


def check(cellar, vault) -> None:
    for number in range(3):
        assert cellar.take(vault, f"acme{number}") == {"api_key": f"key {number}", "token": "token"}
    assert cellar.take(vault, "acme", "theirs") == {"api_key": "theirs"}


def keys_in_use(cellar, workspace: str = "default") -> set[str]:
    return {KeyRing.named(cell.sealed) for cell in cellar.store.sealed.cells(workspace)}


# ── data keys ──


def test_a_rotation_seals_everything_of_the_workspace_anew(cellar):
    fill(cellar)
    before, theirs = keys_in_use(cellar), keys_in_use(cellar, "theirs")
    rotated = cellar.vault.rotate_data_key("default")
    assert (rotated.resealed, rotated.resumed) == (6, False)
    assert keys_in_use(cellar) == {rotated.key}
    assert before.isdisjoint({rotated.key})
    assert keys_in_use(cellar, "theirs") == theirs
    check(cellar, cellar.open())


@pytest.mark.sqlite  # it looks into the file
def test_after_a_rotation_the_old_data_key_is_not_needed(cellar):
    fill(cellar)
    cellar.vault.rotate_data_key("default")
    with contextlib.closing(sqlite3.connect(cellar.folder / "penstock.db")) as database, database:
        gone = database.execute(
            "DELETE FROM data_keys WHERE workspace = 'default' AND generation = 1"
        )
    assert gone.rowcount == 1
    check(cellar, cellar.open())


def test_a_second_rotation_forgets_the_first_key(cellar):
    fill(cellar)
    for _ in range(3):
        cellar.vault.rotate_data_key("default")
    assert [key.generation for key in cellar.store.sealed.data_keys("default")] == [4, 3]
    check(cellar, cellar.open())


def test_a_vault_that_was_open_before_goes_on(cellar):
    """A worker that has read a ring opens what was sealed later, and seals with the newest key."""
    fill(cellar)
    worker = cellar.open()
    check(cellar, worker)
    rotated = cellar.vault.rotate_data_key("default")
    check(cellar, worker)
    cellar.put(worker, "acme0", api_key="changed")
    assert keys_in_use(cellar) == {rotated.key}


def test_what_was_sealed_at_the_very_moment_still_opens(cellar):
    """A worker sealed with the old key before the rotation, and saved after it."""
    fill(cellar)
    late = cellar.vault.seal("late", **{**PLACE, "connection": "acme0"})
    cellar.vault.rotate_data_key("default")
    cellar.write("secrets.sealed", late, "acme0", "api_key")
    assert cellar.take(cellar.open(), "acme0")["api_key"] == "late"
    assert cellar.vault.rotate_data_key("default").resealed == 6
    assert cellar.take(cellar.open(), "acme0")["api_key"] == "late"


def test_what_another_writes_during_the_rotation_is_kept(cellar, monkeypatch):
    """The row changes between reading and writing it: the newer secret stays."""
    fill(cellar)
    reseal, fired = cellar.store.sealed.reseal, []

    def overtaken(cell, sealed):
        if cell.connection == "acme1" and not fired:
            fired.append(cell)
            cellar.put(cellar.open(), "acme1", api_key="newer", token="newer")
        return reseal(cell, sealed)

    monkeypatch.setattr(cellar.store.sealed, "reseal", overtaken)
    cellar.vault.rotate_data_key("default")
    assert fired
    assert cellar.take(cellar.open(), "acme1") == {"api_key": "newer", "token": "newer"}


def test_secrets_of_before_there_were_data_keys_get_one(given_cellar):
    cellar = given_cellar
    fill(cellar, KeyRing.from_text(OLD))
    rotated = cellar.vault.rotate_data_key("default")
    assert rotated.resealed == 6
    assert keys_in_use(cellar) == {rotated.key}
    check(cellar, cellar.open(OLD))


def test_a_workspace_without_secrets_may_rotate(cellar):
    rotated = cellar.vault.rotate_data_key("default")
    assert (rotated.resealed, rotated.resumed) == (0, False)


def test_a_secret_that_does_not_open_stays_and_is_named(cellar):
    fill(cellar)
    sealed = cellar.store.connections.sealed("default", "acme0")["api_key"]
    broken = sealed[:-1] + bytes([sealed[-1] ^ 1])
    cellar.write("secrets.sealed", broken, "acme0", "api_key")
    with pytest.raises(SecretError, match=r"\(acme0 api_key\).* No key was given up"):
        cellar.vault.rotate_data_key("default")
    assert cellar.store.connections.sealed("default", "acme0")["api_key"] == broken
    assert cellar.take(cellar.open(), "acme1") == {"api_key": "key 1", "token": "token"}
    cellar.put(cellar.vault, "acme0", api_key="mended")
    assert cellar.vault.rotate_data_key("default").resumed
    assert cellar.take(cellar.open(), "acme0")["api_key"] == "mended"


# ── master keys ──


def test_a_new_master_key_in_the_file(cellar):
    fill(cellar)
    old = cellar.file.read_bytes()
    rotated = cellar.vault.rotate_master_key()
    assert (rotated.rewrapped, rotated.resealed, rotated.resumed) == (2, 0, False)
    assert cellar.file.read_bytes() != old
    assert KeyRing.from_text(cellar.file.read_text()).key_id == rotated.key
    assert len(cellar.said) == 1  # only when it was made
    check(cellar, cellar.open())
    cellar.file.write_bytes(old)
    with pytest.raises(SecretError, match=rotated.key):
        check(cellar, cellar.open())


def test_a_new_master_key_that_was_given(given_cellar):
    cellar = given_cellar
    fill(cellar)
    rotated = cellar.open(f"{NEW} {OLD}").rotate_master_key()
    assert rotated.key == KeyRing.from_text(NEW).key_id
    check(cellar, cellar.open(NEW))
    with pytest.raises(SecretError, match="was sealed with key"):
        check(cellar, cellar.open(OLD))
    assert cellar.open(f"{NEW} {OLD}").rotate_master_key().rewrapped == 0


def test_from_a_key_file_to_a_given_key(cellar):
    fill(cellar)
    given = f"{NEW} {cellar.file.read_text()}"
    cellar.open(given).rotate_master_key()
    cellar.file.unlink()
    check(cellar, cellar.open(NEW))


def test_one_given_key_says_how_to_give_another(given_cellar):
    fill(given_cellar)
    with pytest.raises(UsageError, match='PENSTOCK_MASTER_KEY="NEW OLD"'):
        given_cellar.vault.rotate_master_key()


def test_secrets_the_old_master_key_sealed_itself_do_not_need_it_either(given_cellar):
    cellar = given_cellar
    fill(cellar, KeyRing.from_text(OLD))
    rotated = cellar.open(f"{NEW} {OLD}").rotate_master_key()
    assert rotated.resealed == 6
    check(cellar, cellar.open(NEW))


def test_a_worker_survives_a_new_master_key_in_the_file(cellar):
    fill(cellar)
    worker = cellar.open()
    check(cellar, worker)
    cellar.vault.rotate_master_key()
    cellar.vault.rotate_data_key("default")
    check(cellar, worker)
    cellar.put(worker, "acme", "a third", api_key="made after it")
    assert cellar.take(cellar.open(), "acme", "a third") == {"api_key": "made after it"}


def test_a_data_key_made_while_the_master_key_changed_is_wrapped_with_the_new_one(
    cellar, monkeypatch
):
    """The maker read the old key; the rotation ended before it wrote."""
    fill(cellar)
    worker, add, fired = cellar.open(), cellar.store.sealed.add, []

    def late(key):
        fired.append(cellar.vault.rotate_master_key().key)
        return add(key)

    monkeypatch.setattr(cellar.store.sealed, "add", late)
    cellar.put(worker, "acme", "a third", api_key="secret")
    assert fired
    assert cellar.take(cellar.open(), "acme", "a third") == {"api_key": "secret"}
    (key,) = cellar.store.sealed.data_keys("a third")
    assert KeyRing.named(key.wrapped) == fired[0]


def test_a_third_key_is_not_mistaken_for_the_old_one(given_cellar):
    fill(given_cellar)
    with pytest.raises(SecretError, match="data key 1 of workspace default was sealed with key"):
        given_cellar.open(f"{NEW} {OTHER}").rotate_master_key()
    check(given_cellar, given_cellar.open(OLD))
