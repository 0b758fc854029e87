"""Every document type is a view that any SQL client can read: real columns, every digit."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime
from decimal import Decimal
from uuid import UUID

import psycopg
import pytest
from psycopg.rows import dict_row

from penstock.app import App, upgrade_store
from penstock.app.wiring import keep_views, open_store
from penstock.config import Settings
from penstock.contracts.registry import contract, types
from penstock.errors import DatabaseError
from penstock.model.unit import DocumentState
from penstock.store import schema
from penstock.store.sqlite_build import driver
from penstock.testing.store_worker import NOW, Worker
from tests.contracts.examples import accepted, invoice
from tests.database import KEY, empty_schema, url_in

BIG = "999999999999999.99"
LINES = [
    {"amount": BIG, "quantity": "0.000000000001"},
    {"amount": "0.00", "description": "freight"},
]
RICH = invoice(
    total_amount=BIG,
    line_items=LINES,
    due_date="2026-04-01",
    issued_at="2026-03-02T11:00:00.25+01:00",
    prices_include_tax=True,
    billing_address={"city": "Köln \U0001f600 'x'"},
    fx={"from_currency": "EUR", "to_currency": "USD", "rate": "1.0812"},
    metadata={"class": "B"},
)


@pytest.fixture
def store(backend, tmp_path):
    with open_store(url_in(tmp_path)) as opened:
        keep_views(opened)
        yield opened


@pytest.fixture
def rows(backend, tmp_path, store):
    """What another program than penstock finds."""

    def of(sql: str):
        if backend == "sqlite":
            connection = driver.connect(tmp_path / "penstock.db")
            connection.row_factory = driver.Row
            return [dict(row) for row in connection.execute(sql).fetchall()]
        with psycopg.connect(url_in(tmp_path), row_factory=dict_row) as connection:
            return connection.execute(sql).fetchall()

    return of


def keep(store, payload=RICH, number="1", **changes):
    worker = Worker(store, stream=f"of {number}")
    content = accepted("invoice", payload).content
    version = worker.invoice(number)._replace(content=content, **changes)
    worker.commit(version)
    return version


def plain(value):
    return format(value, "f") if isinstance(value, Decimal) else value and str(value)


def test_values_are_typed_and_exact(backend, store, rows):
    made = keep(store)
    (row,) = rows("SELECT * FROM penstock_invoice")
    exact = backend == "postgresql"
    assert row["total_amount"] == (Decimal(BIG) if exact else BIG)
    assert str(row["document_id"]) == str(UUID(bytes=made.document_id))
    assert row["due_date"] == (date(2026, 4, 1) if exact else "2026-04-01")
    issued = datetime(2026, 3, 2, 10, 0, 0, 250_000, tzinfo=UTC)
    assert row["issued_at"] == (issued if exact else "2026-03-02T10:00:00.25Z")
    assert row["prices_include_tax"] == 1
    assert row["billing_address_city"] == "Köln \U0001f600 'x'"
    assert str(row["fx_rate"]) == "1.0812"
    metadata = row["metadata"]
    assert (metadata if exact else json.loads(metadata)) == {"class": "B"}
    assert (row["workspace"], row["connection"]) == ("default", "acme")
    assert (row["source_id"], row["state"], row["version"]) == ("1", "live", 1)
    recorded = datetime.fromtimestamp(NOW / 1e6, UTC)
    assert row["recorded_at"] == (recorded if exact else "2026-03-02T10:00:00Z")
    assert row["source_version"] == "7"


def test_what_is_left_out_means_the_contract_s_default(store, rows):
    keep(store)
    keep(store, invoice(), "2")
    found = rows(
        "SELECT tax_rounding, fx_rate_origin, memo FROM penstock_invoice ORDER BY source_id"
    )
    assert [tuple(row.values()) for row in found] == [
        ("unknown", "document", None),
        ("unknown", None, None),
    ]


def test_lines_are_rows(store, rows):
    keep(store)
    found = rows(
        'SELECT source_id, "position", line_number, amount, quantity, description '
        "FROM penstock_invoice_line_items ORDER BY 1, 2"
    )
    assert [tuple(map(plain, row.values())) for row in found] == [
        ("1", "1", "1", BIG, "0.000000000001", None),
        ("1", "2", "2", "0.00", None, "freight"),
    ]


def test_only_current_versions_show_and_graves_do_not(store, rows):
    keep(store)
    worker = Worker(store, stream="later")
    content = accepted("invoice", RICH | {"memo": "second"}).content
    worker.commit(worker.next_version("1", content)._replace(state=DocumentState.DELETED))
    worker.commit(worker.grave("g"))
    found = rows("SELECT version, state, memo FROM penstock_invoice")
    assert [tuple(row.values()) for row in found] == [(2, "deleted", "second")]


@pytest.mark.parametrize("name", types())
def test_every_type_is_a_view_with_all_its_columns(name, store, rows):
    for view in contract(name).views():
        assert rows(f"SELECT * FROM {view.name}") == []
        wanted = ", ".join(f'"{column.name}"' for column in view.columns)
        assert rows(f"SELECT {wanted} FROM {view.name}") == []


def test_a_migration_finds_no_view_in_its_way(backend, tmp_path, store, rows, monkeypatch):
    dropped: list[str] = []

    def migrate(connection):
        names = schema.inspect(connection).get_view_names()
        dropped.extend(name for name in names if name.startswith("penstock_"))

    monkeypatch.setattr(schema, "WANTED", "9999")
    monkeypatch.setattr(schema, "REVISIONS", (*schema.REVISIONS, "9999"))
    monkeypatch.setattr(schema.SchemaState, "current", property(lambda _: False))
    monkeypatch.setattr(schema, "_migrate", migrate)
    schema.upgrade(url_in(tmp_path))
    assert dropped == []
    assert len(keep_views(store)) > len(types()), "whoever opens it next makes them again"


def test_a_view_that_others_build_upon_is_not_torn_down(caplog):
    """And penstock works on with it; `db upgrade` says what to do."""
    with empty_schema() as url, open_store(url) as store:
        keep_views(store)
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute("CREATE VIEW mine AS SELECT total_amount FROM penstock_invoice")
        with pytest.raises(DatabaseError, match=r"drop those, run `penstock db upgrade`"):
            store.views.keep([])
        assert keep_views(store) == []
        with psycopg.connect(url) as connection:
            connection.execute("UPDATE views SET mark = 'old' WHERE name = 'penstock_invoice'")
        with App.open(Settings(database=url, master_key=KEY)) as app:
            assert app.read.documents("invoice").items == ()
        assert "views.outdated" in caplog.text
        with pytest.raises(DatabaseError, match=r"drop those, run `penstock db upgrade`"):
            upgrade_store(url)
