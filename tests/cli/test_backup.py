"""A backup from the command line: a new file, and a word on what is not in it."""

from __future__ import annotations

import sqlite3

from tests.cli.conftest import Shell


def test_a_backup_is_a_database_that_every_command_works_on(pulled, tmp_path):
    made = pulled("backup kept.db")
    assert made.code == 0
    assert "penstock.key" in made.err
    assert "cp " in made.err
    before = pulled.json("documents list invoice --limit 1000")
    kept = Shell(tmp_path / "kept.db")
    assert kept.json("documents list invoice --limit 1000") == before
    assert kept("doctor").code == 0


def test_it_is_one_file_without_a_log_beside_it(pulled, tmp_path):
    told = pulled.json("backup kept.db")
    assert told["size_bytes"] == (tmp_path / "kept.db").stat().st_size
    assert [path.name for path in tmp_path.glob("kept*")] == ["kept.db"]
    with sqlite3.connect(tmp_path / "kept.db") as file:
        assert file.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    file.close()


def test_a_file_that_is_there_is_left_alone(pulled, tmp_path):
    (tmp_path / "kept.db").write_bytes(b"mine")
    refused = pulled("backup kept.db")
    assert refused.code == 2
    assert "is there already" in refused.err
    assert (tmp_path / "kept.db").read_bytes() == b"mine"
