"""Secrets in a real database: data keys, lost and wrong master keys, swapped rows."""

from __future__ import annotations

import contextlib
import sqlite3
import threading

import pytest

from penstock.errors import SecretError
from penstock.vault.key_ring import KeyRing
from tests.vault.cellar import NEW, OLD, OTHER

PLACE = {"workspace": "default", "connection": "acme", "field": "api_key"}


def test_what_was_put_in_is_taken_out(cellar):
    cellar.put(cellar.vault, "acme", api_key="secret 1", token="secret 2")
    assert cellar.take(cellar.open(), "acme") == {"api_key": "secret 1", "token": "secret 2"}
    assert len(cellar.said) == 1
    assert "made a new master key" in cellar.said[0]


def test_the_master_key_seals_the_data_key_and_that_one_the_secret(given_cellar):
    cellar = given_cellar
    cellar.put(cellar.vault, "acme", api_key="secret")
    master = KeyRing.from_text(OLD)
    (key,) = cellar.store.sealed.data_keys()
    (cell,) = cellar.store.sealed.cells()
    assert master.is_newest(key.wrapped)
    assert not master.knows(cell.sealed)
    assert key.finished_at is not None


def test_each_workspace_has_a_data_key_of_its_own(given_cellar):
    cellar = given_cellar
    for workspace in ("ours", "theirs"):
        cellar.put(cellar.vault, "acme", workspace, api_key=workspace)
    assert [(key.workspace, key.generation) for key in cellar.store.sealed.data_keys()] == [
        ("ours", 1),
        ("theirs", 1),
    ]
    ids = {KeyRing.named(cell.sealed) for cell in cellar.store.sealed.cells()}
    assert len(ids) == 2
    assert cellar.take(cellar.open(OLD), "acme", "theirs") == {"api_key": "theirs"}


def test_secrets_sealed_by_the_master_key_itself_still_open(given_cellar):
    """As the first release wrote them, before there were data keys."""
    cellar = given_cellar
    cellar.put(KeyRing.from_text(OLD), "old", api_key="from before")
    assert cellar.take(cellar.vault, "old") == {"api_key": "from before"}
    cellar.put(cellar.vault, "new", api_key="from now")
    for vault in (cellar.vault, cellar.open(OLD)):
        assert cellar.take(vault, "old") == {"api_key": "from before"}
        assert cellar.take(vault, "new") == {"api_key": "from now"}


def test_threads_that_seal_first_make_one_key(cellar):
    sealed, errors = [], []

    def work():
        try:
            sealed.append(cellar.open().seal("secret", **PLACE))
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    assert len(cellar.store.sealed.data_keys()) == 1
    assert {cellar.vault.open(each, **PLACE) for each in sealed} == {"secret"}


# ── SE8: swapped, dumped, lost ──


def test_swapped_rows_do_not_open(cellar):
    """SE8: sealed bytes in another row are refused, and say nothing."""
    cellar.put(cellar.vault, "acme", api_key="secret 1", token="secret 2")
    cellar.put(cellar.vault, "other", api_key="secret 3")
    first, token = cellar.store.connections.sealed("default", "acme").values()
    (third,) = cellar.store.connections.sealed("default", "other").values()
    cellar.write("secrets.sealed", third, "acme", "api_key")
    cellar.write("secrets.sealed", first, "other", "api_key")
    for name in ("acme", "other"):
        with pytest.raises(SecretError, match="does not open") as refused:
            cellar.take(cellar.open(), name)
        assert "secret " not in str(refused.value)
    place = {**PLACE, "field": "token"}
    assert cellar.open().open(token, **place) == "secret 2"


def test_a_swapped_data_key_does_not_open(given_cellar):
    """SE8: nor does a data key in another workspace's row."""
    cellar = given_cellar
    for workspace in ("ours", "theirs"):
        cellar.put(cellar.vault, "acme", workspace, api_key=workspace)
    ours, theirs = cellar.store.sealed.data_keys()
    assert cellar.store.sealed.rewrap(theirs, ours.wrapped)
    with pytest.raises(SecretError, match="data key 1 of workspace theirs does not open"):
        cellar.take(cellar.open(OLD), "acme", "theirs")


@pytest.mark.sqlite  # it looks into the file
def test_a_dump_reads_like_noise(cellar):
    """SE8: whoever has the database alone has no secret and no key."""
    cellar.put(cellar.vault, "acme", api_key="a long and telling secret")
    with contextlib.closing(sqlite3.connect(cellar.folder / "penstock.db")) as database:
        dump = "\n".join(database.iterdump())
    assert 'INSERT INTO "secrets"' in dump
    key = cellar.file.read_text().strip()
    for telling in ("a long and telling secret", key, b"a long and telling secret".hex()):
        assert telling.lower() not in dump.lower()


@pytest.mark.parametrize("legacy", [False, True])
def test_a_wrong_master_key_opens_nothing_and_writes_nothing(given_cellar, legacy):
    """SE8: the refusal names both keys by id, and what is there stays as it is."""
    cellar = given_cellar
    cellar.put(KeyRing.from_text(OLD) if legacy else cellar.vault, "acme", api_key="secret")
    before = cellar.store.sealed.data_keys(), cellar.store.sealed.cells()
    wrong = cellar.open(OTHER)
    with pytest.raises(SecretError, match=KeyRing.from_text(OTHER).key_id) as refused:
        cellar.take(wrong, "acme")
    assert KeyRing.from_text(OLD).key_id in str(refused.value)
    for workspace in ("default", "another"):
        with pytest.raises(SecretError, match="give th"):
            wrong.seal("more", **{**PLACE, "workspace": workspace})
    for rotate in (lambda: wrong.rotate_data_key("default"), cellar.open(f"{NEW} {OTHER}")
                   .rotate_master_key):  # fmt: skip
        with pytest.raises(SecretError):
            rotate()
    assert (cellar.store.sealed.data_keys(), cellar.store.sealed.cells()) == before
    assert cellar.take(cellar.open(OLD), "acme") == {"api_key": "secret"}


@pytest.mark.parametrize("legacy", [False, True])
def test_a_lost_key_file_is_not_made_anew_over_what_is_sealed(cellar, legacy):
    """SE8: a new key would open nothing and hide that the old one must be found."""
    cellar.put(cellar.vault, "acme", api_key="secret")
    if legacy:
        cellar.put(KeyRing.from_text(cellar.file.read_text()), "acme", api_key="secret")
        cellar.store.sealed.finish(cellar.store.sealed.data_keys()[0], now=1)
    kept = cellar.file.read_bytes()
    cellar.file.unlink()
    vault = cellar.open()
    for attempt in (
        lambda: cellar.take(vault, "acme"),
        lambda: vault.seal("more", **PLACE),
        lambda: vault.seal("more", **{**PLACE, "workspace": "another"}),
        lambda: vault.rotate_data_key("default"),
        vault.rotate_master_key,
    ):
        with pytest.raises(SecretError, match="is missing: put it back"):
            attempt()
        assert not cellar.file.exists()
    cellar.file.write_bytes(kept)
    cellar.file.chmod(0o600)
    assert cellar.take(cellar.open(), "acme") == {"api_key": "secret"}


def test_after_a_lost_key_one_begins_anew_by_removing_the_connections(cellar):
    """SE8: what the refusal advises works."""
    cellar.put(cellar.vault, "acme", api_key="lost")
    cellar.file.unlink()
    vault = cellar.open()
    with pytest.raises(SecretError, match="connections remove"):
        vault.seal("more", **PLACE)
    cellar.store.connections.remove("default", "acme")
    cellar.put(vault, "acme", api_key="found again")
    assert cellar.take(cellar.open(), "acme") == {"api_key": "found again"}
