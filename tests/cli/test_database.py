"""The database's schema and health from the command line."""

from __future__ import annotations

import sqlite3


def test_a_new_database_is_made_by_upgrade_and_found_current(shell):
    assert shell("db check").code == 2
    made = shell.json("db upgrade")
    assert made["current"] is True
    assert shell.json("db check") == made
    assert "current" in shell("db check").err
    assert shell("db upgrade").code == 0


def test_a_database_of_somebody_else_is_refused_and_left_alone(shell):
    with sqlite3.connect(shell.database) as theirs:
        theirs.execute("CREATE TABLE precious (id INTEGER)")
    theirs.close()
    before = shell.database.read_bytes()
    for line in ("db check", "runs"):
        refused = shell(line)
        assert refused.code == 2
        assert "precious" in refused.err
    assert shell.database.read_bytes() == before


def test_an_unfit_schema_is_found_and_nothing_works_on_it(shell):
    shell("db upgrade")
    with sqlite3.connect(shell.database) as file:
        file.execute("UPDATE alembic_version SET version_num = '9999'")
    file.close()
    checked = shell("db check")
    assert checked.code == 1
    assert "9999" in checked.err
    assert shell.json("db check")["current"] is False
    for line in ("runs", "db upgrade"):
        refused = shell(line)
        assert refused.code == 2
        assert "upgrade penstock" in refused.err


def test_the_doctor_tells_what_there_is_and_what_wants_attention(pulled, company):
    looked = pulled("doctor --json")
    assert looked.code == 0
    health = looked.json
    assert health["store"]["schema_current"] is True
    assert health["connections"] == 1
    for document_type, expected in company.truth().expected.items():
        assert health["documents"][document_type]["documents"] == expected.documents
    assert any("dead letters" in finding for finding in health["findings"])
    told = pulled("doctor")
    assert "attention: " in told.err
    assert "sqlite" in told.out


def test_the_doctor_of_an_empty_house_is_content(shell):
    looked = shell("doctor")
    assert looked.code == 0
    assert "all is well" in looked.err


def test_the_doctor_tells_of_pending_migrations(shell):
    shell("db upgrade")
    with sqlite3.connect(shell.database) as file:
        file.execute("UPDATE alembic_version SET version_num = '0001'")
    file.close()
    looked = shell("doctor")
    assert looked.code == 1
    assert "penstock db upgrade" in looked.err
    assert shell.json("doctor")["pending_migrations"][0] == "0002"


def test_another_kind_of_database_is_a_usage_error(shell):
    assert shell("runs --database oracle://nowhere").code == 2
