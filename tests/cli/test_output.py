"""What is printed: tables that fit, JSON that is exact, text that cannot steer a terminal."""

from __future__ import annotations

import json
from decimal import Decimal

import pytest

from penstock.cli import output

ROWS = [
    (
        "3f1c9a7e-0000-4000-8000-000000000001",
        "invoices",
        12_345,
        "total_amount does not add up " * 5,
    ),
    ("3f1c9a7e-0000-4000-8000-000000000002", "customers", None, "name is required"),
]
COLUMNS = ("id", "stream", "attempts", "message")


def test_a_table_fits_the_terminal_and_keeps_ids_whole():
    lines = output.table_text(COLUMNS, ROWS, 80).splitlines()
    assert len(lines) == 3
    assert max(map(len, lines)) <= 80
    assert all(row[0] in line for row, line in zip(ROWS, lines[1:], strict=True))
    assert lines[1].endswith("…")


WIDE = ("stream", "kind", "fetched", "created", "updated", "unchanged", "stale", "last")
COUNTED = [("bank_transactions", "poll", 609, 12, 5, 592, 0, "all is well")]


@pytest.mark.parametrize(
    ("width", "shown"),
    [
        (90, "bank_transactions  poll      609       12        5        592      0  all is well"),
        (80, "bank_transactions poll     609      12       5       592 all is well"),
        (65, "bank_transactions poll     609      12       5       592 all is …"),
    ],
)
def test_a_narrow_terminal_loses_white_space_zeros_and_the_end_of_texts(width, shown):
    heading, row = output.table_text(WIDE, COUNTED, width).splitlines()
    assert row == shown
    assert max(len(heading), len(row)) <= width
    assert ("stale" in heading) is (width == 90)


def test_letters_of_double_width_count_twice():
    lines = output.table_text(("name", "n"), [("株式会社", 1), ("Acme", 20)], 80).splitlines()
    assert lines == ["name       n", "株式会社   1", "Acme      20"]
    assert output.table_text(("a", "name"), [("a", "株式会社" * 3)], 12).endswith("a 株式会社 …")


def test_without_a_terminal_nothing_is_cut():
    text = output.table_text(COLUMNS, ROWS, output.UNBOUNDED)
    assert ROWS[0][3].strip() in text
    assert all(line == line.rstrip() for line in text.splitlines())


def test_numbers_stand_right_with_their_thousands_marked():
    lines = output.table_text(("type", "documents"), [("a", 1_000_000), ("b", 7)], 80).splitlines()
    assert lines[1].endswith("1,000,000")
    assert lines[2].endswith("        7")


def test_nothing_is_a_dash_and_truth_a_word():
    assert [output.cell(value) for value in (None, "", True, False, 0, 1.26)] == [
        "–", "–", "yes", "no", "0", "1.3",
    ]  # fmt: skip


def test_a_record_cannot_steer_the_terminal():
    """DS10: nor can its id."""
    hostile = "\x1b]0;owned\x07\x1b[31mred\x9b2J\u202e"
    assert output.clean(hostile + "kept\nline").endswith("kept\nline")
    assert not set("\x1b\x07\x9b\u202e") & set(output.table_text(("a",), [(hostile,)], 80))


def test_square_brackets_are_text():
    assert "[red]x[/red]" in output.table_text(("a", "b"), [("[red]x[/red]", "[")], 80)


def test_an_empty_table_says_so_on_stderr_and_nothing_on_stdout(capsys):
    output.show_table(("a",), [], empty="no dead letters")
    assert capsys.readouterr() == ("", "no dead letters\n")


def test_json_keeps_every_digit():
    value = {"amount": Decimal("0.1234567890123456789"), "name": "Zoë", "none": None}
    text = output.json_text(value)
    assert "0.1234567890123456789" in text
    assert json.loads(text, parse_float=Decimal) == value
