"""How a page's fields differ from everything before: said once, and not for chance."""

from __future__ import annotations

import random
from decimal import Decimal
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock.model import shape as shapes
from penstock.model.drift import Drift, DriftKind
from penstock.model.shape import Shape
from penstock.pipeline.drift import NUMBERS, WINDOW, compare, shows
from penstock.pipeline.look import fields_of

LEARNING, LATER = 1, 2


def invoice(number: int, **changes: Any) -> dict[str, Any]:
    """An invoice as the provider of these tests delivers it."""
    record = {
        "id": f"in_{number:04}",
        "state": "open" if number % 3 else "paid",
        "net": number,
        "email": "ann@acme.test",
        "customer": {"id": f"cus_{number:04}", "vat": None},
        "lines": [{"text": f"line {number:04}"}],
    }
    return record | changes


def without(number: int, *names: str) -> dict[str, Any]:
    return {name: value for name, value in invoice(number).items() if name not in names}


def learnt(*pages: list[Any]) -> Shape:
    """The shape after a first enumeration of these pages."""
    shape = Shape()
    for page in pages:
        compared = compare(shape, fields_of(page), LEARNING)
        assert compared.drifts == []
        shape = compared.shape
    return msgspec.structs.replace(shape, learnt_in=LEARNING)


def after(shape: Shape, *pages: list[Any]) -> tuple[Shape, list[Drift]]:
    """The shape and all drift after these later pages."""
    drifts: list[Drift] = []
    for page in pages:
        compared = compare(shape, fields_of(page), LATER)
        shape = compared.shape
        drifts += compared.drifts
        assert compared.grown or not compared.drifts
    return shape, drifts


def told(shape: Shape, *pages: list[Any]) -> list[tuple[DriftKind, str, str]]:
    """(kind, path, detail) of all drift; that of a single page is not told again."""
    shape, drifts = after(shape, *pages)
    assert len(pages) > 1 or after(shape, *pages)[1] == []
    return [(drift.kind, drift.path, drift.detail) for drift in drifts]


INVOICES = [invoice(n) for n in range(20)]
KNOWN = learnt(INVOICES)


def test_equal_records_are_no_drift() -> None:
    assert told(KNOWN, INVOICES, INVOICES[:1], INVOICES) == []
    assert not compare(KNOWN, fields_of(INVOICES), LATER).grown


def test_what_the_first_enumeration_shows_is_learnt() -> None:
    shape = learnt(
        INVOICES, [invoice(1, note="late")], [without(2, "email")], [invoice(3, net="x")]
    )
    assert {"note", "customer.vat"} <= shape.fields.keys()
    assert (shape.fields["email"].seen, shape.fields["email"].present) == (23, 22)
    assert (shape.fields["note"].seen, shape.fields["note"].present) == (23, 1)


def test_the_run_that_learns_is_told_nothing_to_its_end() -> None:
    compared = compare(KNOWN, fields_of([invoice(1, note="new")]), LEARNING)
    assert compared.drifts == []
    assert "note" in compared.shape.fields


# ── what is new ──


def test_a_new_field_is_told_with_its_type_and_share() -> None:
    """DS1"""
    page = [invoice(1, note="x"), invoice(2)]
    _, (drift,) = after(KNOWN, page)
    assert drift == (
        DriftKind.NEW_FIELD, "note", "", "note is new (text): 1 of 2 records have it"
    )  # fmt: skip
    assert told(KNOWN, page) == [("new_field", "note", "")]


def test_of_a_new_object_only_the_outermost_field_is_told() -> None:
    assert told(KNOWN, [invoice(1, address={"street": {"name": "x"}})]) == [
        ("new_field", "address", "")
    ]
    assert told(KNOWN, [invoice(1, notes=[{"text": "x"}])]) == [("new_field", "notes", "")]


def test_a_new_field_inside_an_object_or_an_item_is_told_where_it_is() -> None:
    page = [
        invoice(1, customer={"id": "1", "vat": None, "name": "x"}, lines=[{"text": "", "n": 1}])
    ]
    assert told(KNOWN, page) == [("new_field", "customer.name", ""), ("new_field", "lines[].n", "")]


def test_what_was_always_null_or_empty_may_be_filled() -> None:
    shape = learnt([invoice(n, address=None, tags=[]) for n in range(20)])
    assert told(shape, [invoice(1, address={"city": "Kiel"}, tags=["new"])]) == []


@pytest.mark.parametrize(
    ("name", "value", "kind"),
    [
        ("net", "125.00", "text"),
        ("state", 3, "number"),
        ("customer", [{"id": "1"}], "list"),
        ("customer", "cus_1", "text"),
        ("lines", {"text": "x"}, "object"),
        ("email", True, "boolean"),
    ],
)
def test_another_type_is_told(name: str, value: Any, kind: str) -> None:
    """DS3"""
    assert ("type_change", name, kind) in told(KNOWN, [invoice(1, **{name: value})])


def test_records_of_another_kind_are_told() -> None:
    compared = compare(KNOWN, fields_of([["in_1", "open"]]), LATER)
    assert compared.drifts[0].message == "the record was always object, now list too"


def test_null_is_no_type() -> None:
    assert told(KNOWN, [invoice(1, net=None, customer=None)]) == []


def test_a_new_value_of_an_enumeration_is_told() -> None:
    """DS1"""
    _, (drift,) = after(KNOWN, [invoice(1, state="void"), invoice(2)])
    assert drift.message == "state has a new value 'void'; known are open, paid"
    assert told(KNOWN, [invoice(1, state="void"), invoice(2, state="gone")]) == [
        ("new_value", "state", "gone"),
        ("new_value", "state", "void"),
    ]


def test_values_seen_too_seldom_are_no_enumeration_yet() -> None:
    few = learnt([invoice(n) for n in range(9)])
    assert told(few, [invoice(1, state="void")]) == []
    names = learnt([invoice(n, email=f"name {chr(97 + n)}") for n in range(20)])
    assert told(names, [invoice(1, email="another")]) == []


def test_an_enumeration_that_grows_too_much_was_none() -> None:
    page = [invoice(n, state=f"state {chr(97 + n)}") for n in range(shapes.VALUES)]
    shape, drifts = after(KNOWN, page)
    assert drifts == []
    assert shape.fields["state"].values is None


def test_more_digits_after_the_point_are_told() -> None:
    shape = learnt([invoice(n, net=Decimal("1.25")) for n in range(NUMBERS)])
    assert told(shape, [invoice(1, net=Decimal("0.3333"))]) == [("precision", "net", "4")]
    few = learnt([invoice(n, net=Decimal("1.25")) for n in range(NUMBERS - 1)])
    assert told(few, [invoice(1, net=Decimal("0.3333"))]) == []


# ── what is missing ──


def test_a_field_that_vanished_is_told_with_what_lies_in_it() -> None:
    """DS2"""
    page = [without(n, "customer") for n in range(3)]
    shape, (drift,) = after(KNOWN, page)
    assert drift.message == "customer is gone: 20 of 20 records had it, none of the last 3"
    assert not {path for path in shape.fields if path.startswith("customer")}
    assert told(KNOWN, page) == [("vanished", "customer", "")]


def test_records_without_a_field_add_up_over_pages() -> None:
    pages = [[without(n, "email")] for n in range(3)]
    assert told(KNOWN, *pages[:2]) == []
    assert told(KNOWN, *pages) == [("vanished", "email", "")]


def test_a_field_that_comes_back_is_new() -> None:
    gone = [without(n, "email") for n in range(5)]
    assert told(KNOWN, gone, INVOICES) == [
        ("vanished", "email", ""),
        ("new_field", "email", ""),
    ]


def test_a_jump_in_nulls_is_told() -> None:
    page = [invoice(n, email=None) for n in range(4)]
    _, (drift,) = after(KNOWN, page)
    assert drift.message == "email is null or absent in 4 of 4 records, before in 0 of 20"
    assert told(KNOWN, page) == [("nulls", "email", "")]


def test_nulls_and_absences_count_together_in_a_jump() -> None:
    page = [
        invoice(1, email=None),
        invoice(2, email=None),
        without(3, "email"),
        without(4, "email"),
    ]
    assert told(KNOWN, page) == [("nulls", "email", "")]


def test_a_share_of_nulls_that_grows_a_little_is_no_jump() -> None:
    shape = learnt(INVOICES * 100)
    page = [invoice(n, email=None if n < 9 else "ann@acme.test") for n in range(100)]
    assert told(shape, page) == []
    assert told(
        shape, [invoice(n, email=None if n < 11 else "ann@acme.test") for n in range(100)]
    ) == [("nulls", "email", "")]


def test_members_of_an_object_that_is_absent_are_not_missed() -> None:
    shape = learnt([invoice(n, customer=None if n % 2 else {"id": "1"}) for n in range(100)])
    assert told(shape, [invoice(n, customer=None) for n in range(1, 9)]) == []


def test_chance_is_no_drift() -> None:
    """Fields of any share, seen in any order: over 200 streams nothing is told."""
    chance = random.Random(7)

    def record(n: int) -> dict[str, Any]:
        shares = {f"field {part}": part / 20 for part in range(1, 20)}
        return {"id": f"in_{n:05}"} | {
            name: None if chance.random() < 0.3 else n
            for name, share in shares.items()
            if chance.random() < share
        }

    for _ in range(200):
        shape = learnt([record(n) for n in range(200)])
        pages = [[record(n) for n in range(chance.choice((1, 5, 60)))] for _ in range(8)]
        assert after(shape, *pages)[1] == []


def test_recent_records_join_the_history() -> None:
    shape, _ = after(KNOWN, *([INVOICES] * (WINDOW // 20)))
    assert shape.recent == {}
    assert shape.fields["email"].seen == 20 + WINDOW
    assert shape.fields["state"].values == {"open": 13 * 6, "paid": 7 * 6}


# ── bounds ──


def test_fields_beyond_the_last_one_are_not_watched() -> None:
    wide = {f"field {n}": n for n in range(shapes.FIELDS - 10)}
    late = [{f"late {m}": 1 for m in range(n)} for n in range(20)]
    known = learnt([wide])
    assert not known.crowded
    shape, drifts = after(known, *([wide | late[n]] for n in range(20)))
    assert len(shape.fields) == shapes.FIELDS
    assert shape.crowded
    assert len(drifts) == 9
    assert after(shape, [{"never seen": 1}])[1] == []


def test_a_page_that_was_cut_short_tells_of_nothing_missing() -> None:
    few = learnt([{"id": n, "late": n} for n in range(20)])
    wide = {f"field {n}": n for n in range(shapes.FIELDS)}
    _, drifts = after(few, [wide] * 10)
    assert {drift.kind for drift in drifts} == {DriftKind.NEW_FIELD}


def test_an_object_that_turns_out_to_be_a_map_is_one_field() -> None:
    pages = [
        [invoice(n, meta={f"key {n}": {"on": n}}) for n in range(s, s + 8)] for s in range(0, 64, 8)
    ]
    shape = learnt(*pages)
    assert [path for path in shape.fields if path.startswith("meta")] == [
        "meta", "meta.*", "meta.*.on"
    ]  # fmt: skip
    assert shape.fields["meta.*"].absent == 0
    assert told(shape, [invoice(n, meta={f"other {n}": {"on": n}}) for n in range(40)]) == []
    assert told(shape, [invoice(1, meta={"key": "text"})]) == [("type_change", "meta.*", "text")]
    assert told(shape, [invoice(n, meta={}) for n in range(50)]) == []


def test_names_known_one_by_one_are_folded_when_a_page_shows_a_map() -> None:
    shape = learnt([invoice(n, meta={"a": 1, "b": {"c": 1}}) for n in range(20)])
    page = [invoice(n, meta={f"key {n}": 1, f"more {n}": 2}) for n in range(32)]
    shape, drifts = after(shape, page, page)
    assert drifts == []
    assert {path for path in shape.fields if path.startswith("meta")} == {
        "meta", "meta.*", "meta.*.c"
    }  # fmt: skip


# ── the first record that shows it ──


@pytest.mark.parametrize(
    ("drift", "record"),
    [
        (Drift(DriftKind.NEW_FIELD, "note", "", ""), invoice(1, note=None)),
        (Drift(DriftKind.NEW_FIELD, "lines[].n", "", ""), invoice(1, lines=[{"n": 1}])),
        (Drift(DriftKind.VANISHED, "email", "", ""), without(1, "email")),
        (Drift(DriftKind.NULLS, "email", "", ""), invoice(1, email=None)),
        (Drift(DriftKind.NULLS, "lines[].text", "", ""), invoice(1, lines=[{}])),
        (Drift(DriftKind.TYPE_CHANGE, "net", "text", ""), invoice(1, net="x")),
        (Drift(DriftKind.NEW_VALUE, "state", "void", ""), invoice(1, state="void")),
        (Drift(DriftKind.PRECISION, "net", "2", ""), invoice(1, net=Decimal("0.25"))),
    ],
    ids=lambda value: value.kind.value if isinstance(value, Drift) else "",
)
def test_a_record_shows_a_drift_or_does_not(drift: Drift, record: Any) -> None:
    assert shows(drift, fields_of([record]))
    assert not shows(drift, fields_of([invoice(1)]))


# ── for any records ──

VALUE = st.recursive(
    st.none() | st.booleans() | st.integers() | st.sampled_from(["a", "b", "c", "2026-01-01"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["x", "y", "a.b", "*", "[]", ""]), inner, max_size=3)
    ),
    max_leaves=8,
)
RECORDS = st.lists(
    st.dictionaries(st.sampled_from("abcd"), VALUE, max_size=4), min_size=1, max_size=6
)


@given(RECORDS, st.lists(RECORDS, max_size=6))
def test_any_records_make_a_shape_that_can_be_kept_and_tell_each_thing_once(
    first: list[Any], pages: list[list[Any]]
) -> None:
    shape = learnt(first)
    for page in pages:
        compared = compare(shape, fields_of(page), LATER)
        shape = Shape.from_bytes(compared.shape.as_bytes())
        assert shape == compared.shape
        new = [(d.kind, d.path, d.detail) for d in compared.drifts]
        assert len(new) == len(set(new))
        again = compare(shape, fields_of(page), LATER).drifts
        assert {d.kind for d in again} <= {DriftKind.VANISHED, DriftKind.NULLS}
        for path, field in shape.fields.items():
            assert 0 <= field.nulls <= field.present <= field.seen, path
