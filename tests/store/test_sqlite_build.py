"""Which SQLite builds are sound."""

import sqlite3
import sys

import pytest

from penstock.store import sqlite_build, sqlite_engine
from penstock.store.sqlite_build import hazard

SOUND = [(3, 51, 3), (3, 52, 0), (3, 53, 4), (3, 50, 7), (3, 50, 9), (3, 44, 6), (3, 6, 23)]
AFFECTED = [(3, 7, 0), (3, 40, 1), (3, 44, 5), (3, 45, 0), (3, 50, 6), (3, 51, 0), (3, 51, 2)]


@pytest.mark.parametrize("version", SOUND)
def test_a_fixed_build_is_no_hazard(version):
    assert hazard(version) is None


@pytest.mark.parametrize("version", AFFECTED)
def test_a_build_with_the_race_says_which_and_what_to_do(version):
    sentence = hazard(version)
    assert ".".join(map(str, version)) in sentence
    assert "install pysqlite3" in sentence


def test_the_standard_library_is_the_second_choice(monkeypatch):
    monkeypatch.setitem(sys.modules, "pysqlite3", None)
    assert sqlite_build._choose() == ("sqlite3", sqlite3)


def test_a_build_without_returning_is_refused(monkeypatch, tmp_path):
    monkeypatch.setattr(sqlite_engine, "VERSION", (3, 34, 1))
    with pytest.raises(sqlite_engine.DatabaseError, match="too old"):
        sqlite_engine.open_engines(tmp_path / "store.db")


def test_binding_bytes_and_nothing_stays_exact():
    connection = sqlite_build.driver.connect(":memory:")
    row = (bytes(range(256)), None, b"", "text", 7)
    assert connection.execute("SELECT ?, ?, ?, ?, ?", row).fetchone() == row
    connection.close()
