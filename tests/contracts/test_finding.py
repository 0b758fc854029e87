"""Findings: order, quoting, pointers."""

from __future__ import annotations

from penstock.contracts.finding import Finding, quote, rejection


def test_errors_stand_by_stage_then_path_then_code():
    found = rejection(
        [
            Finding("totals_mismatch", "m", path=("a",)),
            Finding("invalid_format", "m", path=("rows", 10), stage=4),
            Finding("invalid_format", "m", path=("rows", 9), stage=4),
            Finding("invalid_format", "m", path=("rows",), stage=4),
            Finding("unknown_field", "m", path=("b",), stage=3),
            Finding("missing_field", "m", path=("b",), stage=3),
            Finding("unmapped_value", "m", path=("a",), warning=True),
        ]
    )
    assert [(e.code, e.path) for e in found.errors] == [
        ("missing_field", "/b"),
        ("unknown_field", "/b"),
        ("invalid_format", "/rows"),
        ("invalid_format", "/rows/9"),
        ("invalid_format", "/rows/10"),
        ("totals_mismatch", "/a"),
    ]


def test_names_sort_by_code_point():
    found = rejection(
        [Finding("c", "m", path=(name,)) for name in ("é", "a", "Z", "_", "😀", "\ufb33")]
    )
    assert [e.path[1:] for e in found.errors] == ["Z", "_", "a", "é", "\ufb33", "😀"]


def test_quotes_are_short_and_printable_as_utf_8():
    assert quote("x" * 64) == "x" * 64
    assert len(quote("x" * 65)) == 64
    quote("\ud800").encode()
    assert len(quote(10**100_000)) < 65
    assert quote(-5) == "-5"
