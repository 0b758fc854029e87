"""Moving a database from the command line."""

from __future__ import annotations

from tests.database import empty_schema


def test_a_copy_says_what_moved_and_where_the_key_has_to_go(pulled, monkeypatch, tmp_path):
    with empty_schema() as target:
        made = pulled(f"copy sqlite:///{pulled.database} {target}")
        assert made.code == 0
        assert "documents" in made.out
        assert "PENSTOCK_MASTER_KEY_FILE" in made.err
        monkeypatch.setenv("PENSTOCK_MASTER_KEY_FILE", str(tmp_path / "penstock.key"))
        (tested,) = pulled.json(f"connections test sim --database {target}")
        assert tested["name"]
        again = pulled(f"copy sqlite:///{pulled.database} {target}")
        assert again.code == 2
        assert "not empty" in again.err


def test_only_the_named_workspace_moves(pulled):
    refused = pulled(f"copy sqlite:///{pulled.database} postgresql://nowhere/x --workspace none")
    assert refused.code == 2
    assert "no workspace 'none'" in refused.err
