"""Where a database may lie, and who may open it."""

from pathlib import Path

import pytest

from penstock.errors import DatabaseError, StoreUnavailableError, UsageError
from penstock.store import sqlite_file
from penstock.store.sqlite_file import DatabaseFile, locate, network_filesystem

MOUNTS = """\
/dev/vda1 / ext4 rw,relatime 0 0
proc /proc proc rw 0 0
short line
server:/export /srv nfs4 rw 0 0
tmpfs /srv/scratch tmpfs rw 0 0
//nas/books /srv/my\\040books cifs rw 0 0
"""


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("/var/lib/penstock.db", None),
        ("/srv/penstock.db", "nfs4"),
        ("/srv/scratch/penstock.db", None),
        ("/srv/my books/penstock.db", "cifs"),
        ("/srvother/penstock.db", None),
    ],
)
def test_the_innermost_mount_decides(path, kind):
    assert network_filesystem(Path(path), MOUNTS) == kind


def test_a_network_file_system_is_refused(monkeypatch, tmp_path):
    monkeypatch.setattr(sqlite_file, "network_filesystem", lambda _path, _mounts: "nfs4")
    with pytest.raises(DatabaseError, match=r"network file system \(nfs4\)"):
        DatabaseFile(f"sqlite:///{tmp_path}/a.db", create=True, alone=False)


def test_urls_name_files():
    assert locate("sqlite:////var/a.db") == Path("/var/a.db")
    assert locate("sqlite:///books.db") == Path.cwd() / "books.db"
    assert locate("sqlite://") is locate("sqlite:///:memory:") is None


@pytest.mark.parametrize(
    "url", ["postgresql://host/db", "books.db", "sqlite://books.db", "sqlite:///a.db?mode=ro", ""]
)
def test_other_urls_are_refused_with_the_right_form(url):
    with pytest.raises(UsageError, match="sqlite:///"):
        locate(url)


def test_a_missing_folder_is_named(tmp_path):
    with pytest.raises(DatabaseError, match="nowhere does not exist"):
        DatabaseFile(f"sqlite:///{tmp_path}/nowhere/a.db", create=True, alone=False)


def test_many_share_a_file_and_one_keeps_it_alone(tmp_path):
    url = f"sqlite:///{tmp_path}/a.db"
    with (
        DatabaseFile(url, create=True, alone=False),
        DatabaseFile(url, create=True, alone=False),
        pytest.raises(StoreUnavailableError, match="is open in another process"),
    ):
        DatabaseFile(url, create=True, alone=True)
    with (
        DatabaseFile(url, create=True, alone=True),
        pytest.raises(StoreUnavailableError, match="WAL-reset race"),
    ):
        DatabaseFile(url, create=True, alone=False)


def test_a_folder_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / "a.db-lock").mkdir()
    with pytest.raises(StoreUnavailableError, match=r"cannot write .*a\.db-lock"):
        DatabaseFile(f"sqlite:///{tmp_path}/a.db", create=True, alone=False)


def test_size_counts_the_log(tmp_path):
    with DatabaseFile(f"sqlite:///{tmp_path}/a.db", create=True, alone=False) as file:
        assert file.size_bytes() == 0
        (tmp_path / "a.db").write_bytes(b"12345")
        (tmp_path / "a.db-wal").write_bytes(b"123")
        assert file.size_bytes() == 8
