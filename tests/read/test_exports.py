"""Out again: what an export holds, in which order, and in which format."""

from __future__ import annotations

import csv
import io
import json
import sys
import tracemalloc
from decimal import Decimal

import pytest
from pyarrow import parquet

from penstock.errors import UnknownDocumentTypeError, UsageError
from penstock.model.unit import DocumentState
from penstock.read.csv_table import guarded
from penstock.read.exported import ExportedVersion
from penstock.read.exports import FORMATS, Export
from penstock.testing.store_case import placed
from tests.contracts.examples import accepted, invoice


@pytest.fixture
def written(read, store):
    """An export as its format writes it, once the feed holds so much; bytes and what was told."""

    def write(format_name="jsonl", *, at, document_type="customer", **asked):
        assert len(placed(store, at)) == at
        out = io.BytesIO()
        told = read.export(document_type, **asked).write(format_name, out)
        return out.getvalue(), told

    return write


def lines(data: bytes):
    return [json.loads(line) for line in data.splitlines()]


def table(data: bytes):
    return list(csv.DictReader(io.StringIO(data.decode(), newline="")))


def stored_invoice(**changes):
    """An invoice on its way out, without a store."""
    return ExportedVersion(
        seq=7,
        document_id="00000000-0000-0000-0000-000000000001",
        document_version_id="00000000-0000-0000-0000-000000000002",
        document_type="invoice",
        connection_id="acme",
        source_id="inv_1",
        idempotency_key="acme:invoice:inv_1",
        state="live",
        version=1,
        recorded_at="2026-03-02T10:00:00.5Z",
        payload=json.loads(accepted("invoice", invoice(**changes)).content),
    )


def put(format_name, *versions):
    out = io.BytesIO()
    Export("invoice", 0, iter(versions)).write(format_name, out)
    return out.getvalue()


def test_documents_come_in_the_order_in_which_they_were_recorded(written, keeper):
    keeper.customer("b", "Zoë GmbH", source_updated_at="2026-03-01T09:30:00Z")
    keeper.customer("a", "Ann")
    keeper.customer("b", "Zoë AG", balance="-12.50", currency="EUR")
    data, told = written(at=3)
    shown = lines(data)
    assert [(each["seq"], each["source_id"], each["version"]) for each in shown] == [
        (2, "a", 1),
        (3, "b", 2),
    ]
    assert shown[1]["payload"] == {
        "customer_id": "b",
        "name": "Zoë AG",
        "balance": "-12.50",
        "currency": "EUR",
    }
    assert shown[1]["connection_id"] == "acme"
    assert shown[1]["recorded_at"] == "2026-03-02T10:00:00.5Z"
    assert (told.versions, told.seq) == (2, 3)


def test_the_next_export_goes_on_where_this_one_ended(written, keeper):
    keeper.customer("a", "Ann")
    keeper.customer("b", "Ben")
    _, told = written(at=2)
    assert written(at=2, after=told.seq) == (b"", told.__class__(0, 2))
    keeper.customer("b", "Ben", state=DocumentState.DELETED)
    keeper.customer("c", "Cid")
    data, told = written(at=4, after=told.seq)
    assert [(each["source_id"], each["state"]) for each in lines(data)] == [
        ("b", "deleted"),
        ("c", "live"),
    ]
    assert told.seq == 4


def test_what_has_ended_is_told_of_only_where_it_is_asked_for(written, keeper):
    keeper.customer("a", "Ann")
    keeper.customer("a", "Ann", state=DocumentState.DELETED)
    assert written(at=2)[0] == b""
    states = [(each["version"], each["state"]) for each in lines(written(at=2, after=0)[0])]
    assert states == [(2, "deleted")]
    every = lines(written(at=2, all_versions=True)[0])
    assert [(each["version"], each["state"]) for each in every] == [(1, "live"), (2, "deleted")]


def test_a_connection_and_a_type_are_chosen(written, keeper, read):
    keeper.customer("a", "Ann")
    assert written(at=1, connection="other")[0] == b""
    assert written(at=1, document_type="invoice")[0] == b""
    with pytest.raises(UnknownDocumentTypeError, match="did you mean invoice"):
        read.export("invoic")


def test_a_place_that_the_feed_has_not_reached_is_refused(written, keeper, read):
    keeper.customer("a", "Ann")
    written(at=1)
    with pytest.raises(UsageError, match="2 is no place in this database, whose feed ends at 1"):
        read.export("customer", after=2)
    with pytest.raises(UsageError, match="'xml' is no format; there are: jsonl, csv, parquet"):
        read.export("customer").write("xml", io.BytesIO())


class TestCsv:
    def test_a_row_has_typed_columns_and_lists_as_json(self):
        (row,) = table(put("csv", stored_invoice(billing_address={"city": "Köln"}, memo="a,\n b")))
        assert row["document_id"] == "00000000-0000-0000-0000-000000000001"
        assert (row["seq"], row["connection"], row["state"]) == ("7", "acme", "live")
        assert (row["total_amount"], row["billing_address_city"]) == ("120.00", "Köln")
        assert row["memo"] == "a,\n b"
        assert json.loads(row["line_items"]) == [{"amount": "100.00"}, {"amount": "20.00"}]
        assert row["tax_rounding"] == "unknown", "what is left out has the contract's default"
        assert row["fx_rate_origin"] == "", "but there is no fx"

    def test_no_document_is_a_heading(self):
        heading = put("csv").decode()
        assert heading.startswith("seq,document_id,connection,source_id,state,version,recorded_at,")
        assert heading.count("\n") == 1

    @pytest.mark.parametrize("memo", ["=cmd|' /C calc'!A0", "+1", "-1", "@SUM(A1)", "\t=1"])
    def test_no_text_is_a_formula(self, memo):
        """SE1"""
        (row,) = table(put("csv", stored_invoice(memo=memo)))
        assert row["memo"] == "'" + memo

    def test_a_negative_amount_is_no_formula(self):
        (row,) = table(put("csv", stored_invoice(reported_amount_due="-12.00")))
        assert row["reported_amount_due"] == "-12.00"

    @pytest.mark.parametrize("text", ["=1", "'=1", "''-", "'", "'x", "x", "", None])
    def test_every_text_comes_back(self, text):
        cell = guarded(text)
        is_marked = cell is not None and cell.lstrip("'")[:1] in ("=", "-")
        assert (cell[1:] if is_marked else cell) == text


class TestParquet:
    def test_decimals_dates_and_instants_are_what_they_are(self):
        made = stored_invoice(
            due_date="2026-04-01",
            issued_at="2026-03-02T11:00:00.25+01:00",
            total_amount="999999999999999.99",
            line_items=[{"amount": "999999999999999.99", "quantity": "0.000000000001"}],
            prices_include_tax=True,
        )
        found = parquet.read_table(io.BytesIO(put("parquet", made)))
        kinds = {field.name: str(field.type) for field in found.schema}
        assert kinds["total_amount"] == "decimal128(27, 12)"
        assert kinds["due_date"] == "date32[day]"
        assert kinds["issued_at"] == "timestamp[us, tz=UTC]"
        (row,) = found.to_pylist()
        assert row["total_amount"] == Decimal("999999999999999.99")
        assert row["due_date"].isoformat() == "2026-04-01"
        assert row["issued_at"].isoformat() == "2026-03-02T10:00:00.250000+00:00"
        assert json.loads(row["line_items"])[0]["quantity"] == "0.000000000001"
        assert (row["prices_include_tax"], row["memo"]) == (True, None)

    def test_no_document_is_a_table_without_rows(self):
        found = parquet.read_table(io.BytesIO(put("parquet")))
        assert (found.num_rows, "total_amount" in found.column_names) == (0, True)

    def test_without_its_library_it_says_what_to_install(self, monkeypatch):
        monkeypatch.setitem(sys.modules, "pyarrow", None)
        with pytest.raises(UsageError, match=r"pip install 'penstock\[parquet\]'"):
            put("parquet", stored_invoice())


def peak_bytes(format_name: str, number: int, **changes) -> int:
    one = stored_invoice(**changes)

    class Nowhere(io.BytesIO):
        def write(self, data):
            return len(bytes(data))

    tracemalloc.start()
    try:
        told = Export("invoice", 0, (one for _ in range(number))).write(format_name, Nowhere())
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
        assert told.versions == number


@pytest.mark.parametrize("format_name", ["jsonl", "csv"])
def test_memory_stays_flat(format_name):
    assert peak_bytes(format_name, 600, memo="x" * 4_000) < 600 * 4_000 / 4


@pytest.mark.torture
@pytest.mark.parametrize("format_name", list(FORMATS))
def test_twenty_thousand_documents_need_the_memory_of_a_few(format_name):
    assert peak_bytes(format_name, 20_000, memo="x" * 4_000) < 20_000 * 4_000 / 4
