"""The key file: made once, renewed in one step, refused where others may read it."""

from __future__ import annotations

import os
import subprocess
import sys
import threading

import pytest

from penstock.errors import SecretError
from penstock.vault.key_file import KeyFile
from penstock.vault.key_ring import KeyRing


@pytest.fixture
def path(tmp_path):
    return tmp_path / "penstock.key"


@pytest.fixture
def file(path):
    made = KeyFile(path)
    assert made.make()
    return made


def test_a_key_file_is_made_once(path):
    file = KeyFile(path)
    assert file.read() is None
    assert (file.make(), file.make()) == (True, False)
    assert path.stat().st_mode & 0o777 == 0o600
    assert list(path.parent.iterdir()) == [path]
    assert KeyRing.from_text(path.read_text()).key_id == file.read().key_id


def test_of_several_that_make_it_at_once_all_get_the_same(path):
    code = (
        "import sys; from pathlib import Path; from penstock.vault.key_file import KeyFile\n"
        "file = KeyFile(Path(sys.argv[1])); file.make(); print(file.read().key_id)"
    )
    command = [sys.executable, "-c", code, str(path)]
    both = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(3)]
    said = {process.communicate()[0] for process in both}
    assert [process.returncode for process in both] == [0, 0, 0]
    assert len(said) == 1
    assert len(said.pop().strip()) == 16
    assert list(path.parent.iterdir()) == [path]


def test_the_slower_one_takes_the_key_that_is_there(file, path, monkeypatch):
    before = path.read_bytes()
    monkeypatch.setattr(type(path), "exists", lambda self: False)  # as if looked at too early
    assert file.make() is False
    assert path.read_bytes() == before
    assert list(path.parent.iterdir()) == [path]


def test_a_key_file_open_to_others_is_refused(file, path):
    os.chmod(path, 0o640)
    with pytest.raises(SecretError, match="chmod 600"):
        file.read()


@pytest.mark.parametrize("content", [b"", b"\xff\xfe", b"not a key"])
def test_a_file_that_holds_no_key_is_refused_and_kept(path, content):
    path.write_bytes(content)
    path.chmod(0o600)
    with pytest.raises(SecretError):
        KeyFile(path).read()
    assert KeyFile(path).make() is False
    assert path.read_bytes() == content


def test_a_place_that_cannot_be_written_is_named(tmp_path):
    with pytest.raises(SecretError, match="cannot be made"):
        KeyFile(tmp_path / "nowhere" / "penstock.key").make()


# ── the next key ──


def test_a_renewed_key_takes_the_place_of_the_old_one(file, path):
    old = file.read()
    with file.renewed() as (ring, resumed):
        assert (resumed, len(ring)) == (False, 2)
        assert ring.key_id != old.key_id
        assert KeyFile(path).read().key_id == ring.key_id  # others seal with it already
    assert list(path.parent.iterdir()) == [path]
    assert path.stat().st_mode & 0o777 == 0o600
    assert (file.read().key_id, len(file.read())) == (ring.key_id, 1)


def test_a_renewal_that_failed_keeps_both_keys_and_the_next_one_goes_on(file, path):
    with pytest.raises(KeyboardInterrupt), file.renewed() as (first, _):
        raise KeyboardInterrupt
    assert (file.read().key_id, len(file.read())) == (first.key_id, 2)
    with file.renewed() as (again, resumed):
        assert (resumed, again.key_id) == (True, first.key_id)
    assert (file.read().key_id, len(file.read())) == (first.key_id, 1)


def test_two_renewals_wait_for_each_other(file, path):
    began, second = threading.Event(), []

    def renew():
        began.set()
        with KeyFile(path).renewed() as (ring, resumed):
            second.append((ring.key_id, resumed))

    thread = threading.Thread(target=renew)
    with file.renewed() as (ring, _):
        thread.start()
        assert began.wait(10)
        thread.join(0.05)
        assert second == []
    thread.join(10)
    assert second[0] == (file.read().key_id, False)
    assert second[0][0] != ring.key_id
