"""What is noticed of a page's records, and how much of a big page is looked at."""

from __future__ import annotations

import json
from typing import Any

import pytest

from penstock.model import shape
from penstock.model.shape import Field
from penstock.pipeline import look as looking
from penstock.pipeline.look import ITEMS, ODD_ONES, RECORDS, Look, Sample, fields_of
from penstock.upstream import wire


def decoded(*texts: str) -> list[Any]:
    return wire.decode_records([text.encode() for text in texts])


def look_at(*records: Any, at_once: int = 32) -> Look:
    """A look given the records as reading gives them."""
    raws = [json.dumps(record).encode() for record in records]
    look = Look()
    for start in range(0, len(raws), at_once):
        some = raws[start : start + at_once]
        look.add(some, wire.decode_records(some))
    return look


def test_every_path_has_its_field() -> None:
    fields = fields_of(
        decoded(
            '{"id": "a", "customer": {"name": "Ann"}, "lines": [{"n": 1}, {"n": 2}], "tags": []}',
            '{"id": "b", "customer": null, "lines": [{"n": 3}], "note": true}',
        )
    )
    assert {path: (f.seen, f.present, f.nulls) for path, f in fields.items()} == {
        "": (2, 2, 0),
        "id": (2, 2, 0),
        "customer": (2, 2, 1),
        "customer.name": (1, 1, 0),
        "lines": (2, 2, 0),
        "lines[]": (3, 3, 0),
        "lines[].n": (3, 3, 0),
        "tags": (2, 1, 0),
        "note": (2, 1, 0),
    }
    types = {path: set(field.types) for path, field in fields.items()}
    assert types[""] == types["lines[]"] == types["customer"] == {"object"}
    assert (types["lines"], types["note"], types["id"]) == ({"list"}, {"boolean"}, {"text"})


def test_absent_null_and_empty_are_three_things() -> None:
    """DS2"""
    fields = fields_of(decoded('{"a": null, "b": "", "o": {}}', '{"c": 1, "b": "x", "o": {}}'))
    assert (fields["a"].absent, fields["a"].nulls, fields["a"].empty) == (1, 1, 2)
    assert (fields["b"].empty, fields["b"].values) == (0, {"": 1, "x": 1})


def test_a_field_of_several_types_has_them_all() -> None:
    fields = fields_of(decoded('{"a": 1}', '{"a": "1"}', '{"a": {"b": 1}}', '{"a": [1]}'))
    assert fields["a"].types == {"number", "text", "object", "list"}
    assert fields["a.b"] == Field(1, 1, 0, 0, frozenset({"number"}), {}, 1, 0)


def test_precision_is_that_of_the_longest_number() -> None:
    fields = fields_of(decoded('{"a": 1234567890.5}', '{"a": -0.0125}', '{"a": 7}'))
    assert (fields["a"].whole, fields["a"].scale) == (10, 4)
    huge = fields_of(decoded('{"a": 1e30}', '{"a": 0.00}'))["a"]
    assert (huge.whole, huge.scale) == (31, 2)


def test_few_different_words_are_values_and_many_texts_are_none() -> None:
    states = [
        json.dumps({"state": "open" if n % 3 else "paid", "id": f"in_{n:04}"}) for n in range(30)
    ]
    fields = fields_of(decoded(*states))
    assert fields["state"].values == {"open": 20, "paid": 10}
    assert fields["id"].values is None
    words = [json.dumps({"w": f"word {chr(97 + n)}"}) for n in range(shape.VALUES + 1)]
    assert fields_of(decoded(*words))["w"].values is None
    assert fields_of(decoded(*words[:-1]))["w"].values is not None


def test_records_that_are_lists_have_items() -> None:
    fields = fields_of(decoded('["a", 1]', '["b", 2]'))
    assert fields["[]"].types == {"text", "number"}


def test_nothing_comes_of_nothing_and_of_what_cannot_be_read() -> None:
    assert Look().fields() == {}
    look = Look()
    raws = [b'{"a": 1, "a": 2}', b'{"a": 1}']
    look.add(raws, wire.decode_records(raws))
    assert look.fields()[""].seen == 1


def test_what_a_mapping_does_to_its_record_is_not_what_the_provider_sent() -> None:
    raws = [b'{"id": 1, "name": "Ann"}']
    records = wire.decode_records(raws)
    look = Look()
    look.add(raws, records)
    records[0].pop("name")
    assert set(look.fields()) == {"", "id", "name"}


def test_what_another_process_saw_is_taken_as_it_is() -> None:
    seen = look_at({"id": 1}).fields()
    look = Look()
    look.take(seen)
    assert look.fields() == seen


# ── bounds ──


@pytest.mark.parametrize("number", [1, RECORDS - 1, RECORDS])
def test_all_records_of_a_small_page_are_looked_at(number: int) -> None:
    assert look_at(*({"id": n} for n in range(number))).fields()["id"].seen == number


@pytest.mark.parametrize("number", [RECORDS + 1, 50, 64, 100, 1_000, 4_099])
@pytest.mark.parametrize("at_once", [1, 32, 5_000])
def test_of_a_big_page_as_many_are_looked_at(number: int, at_once: int) -> None:
    fields = look_at(*({"id": n} for n in range(number)), at_once=at_once).fields()
    assert fields["id"].seen - RECORDS in (0, 1)  # the first one may come on top


def test_records_that_take_turns_in_kind_are_all_seen() -> None:
    for turns in (2, 4, 8):
        records = [{"kind": f"kind {chr(97 + n % turns)}"} for n in range(1_024)]
        values = look_at(*records).fields()["kind"].values
        assert values is not None
        assert len(values) == turns


def test_every_record_is_as_likely_to_be_chosen() -> None:
    """Over many pages, each tenth of a page gives its tenth of the sample."""
    tenths = [0] * 10
    for number in range(200, 1_200):
        sample = Sample()
        raws = [b"%d of %d" % (10 * n // number, number) for n in range(number)]
        for start in range(0, number, 32):
            sample.add(raws[start : start + 32])
        for tenth in sample.chosen:
            tenths[int(tenth[:1])] += 1
    assert sum(tenths) == 1_000 * RECORDS
    assert max(tenths) < 1.25 * min(tenths), tenths


def test_new_members_are_noticed_in_every_record() -> None:
    records: list[dict[str, Any]] = [{"id": n} for n in range(1_000)]
    records[777]["vat"] = "DE1"
    records[778]["vat"] = "DE2"
    fields = look_at(*records).fields()
    assert fields["vat"].present == 1
    early = [{"id": n, "vat": "DE"} if n == 5 else {"id": n} for n in range(1_000)]
    assert look_at(*early).fields()["vat"].present == 1


def test_records_with_names_of_their_own_are_noticed_up_to_a_bound() -> None:
    records = [{"id": n} for n in range(100)] + [{f"field {n}": n} for n in range(900)]
    fields = look_at(*records).fields()
    assert fields[""].seen <= RECORDS + ODD_ONES


def test_of_a_list_the_first_items_are_looked_at() -> None:
    fields = look_at({"lines": list(range(1_000))}).fields()
    assert fields["lines[]"].seen == ITEMS


def test_lists_in_lists_do_not_multiply() -> None:
    inner: Any = 1
    for _ in range(4):
        inner = [inner] * 10
    fields = look_at(*({"a": inner} for _ in range(3))).fields()
    assert fields["a[][][][]"].seen == looking.COLUMN


def test_what_lies_too_deep_is_only_an_object() -> None:
    record: Any = {}
    for _ in range(shape.DEPTH + 5):
        record = {"a": record}
    fields = look_at(record).fields()
    assert max(fields, key=len) == ".".join("a" * shape.DEPTH)
    assert fields[".".join("a" * shape.DEPTH)].types == {"object"}


def test_there_are_no_more_fields_than_are_watched() -> None:
    wide = {f"field {n}": {"inner": n} for n in range(shape.FIELDS)}
    fields = look_at(wide, wide).fields()
    assert len(fields) == shape.FIELDS
    assert fields["field 0.inner"].seen == 2


def test_an_object_with_ever_new_names_is_a_map() -> None:
    records = [{"meta": {f"key {n}": n, "x": {"y": n}}} for n in range(RECORDS)]
    assert "meta.*" not in look_at(*records[: shape.MEMBERS - 1]).fields()
    fields = look_at(
        *({"meta": {f"k{n}a": 1, f"k{n}b": {"y": n}}} for n in range(RECORDS))
    ).fields()
    assert set(fields) == {"", "meta", "meta.*", "meta.*.y"}
    assert fields["meta.*"].types == {"number", "object"}


def test_a_wide_record_is_no_map() -> None:
    wide = {f"field {n}": n for n in range(4 * shape.MEMBERS)}
    assert len(look_at(*[{"inner": wide} | wide] * 3).fields()) == 2 * len(wide) + 2


def test_records_themselves_are_never_a_map() -> None:
    records = [{f"a{n}": 1, f"b{n}": 2} for n in range(RECORDS)]
    assert len(look_at(*records).fields()) == 2 * RECORDS + 1


def test_one_huge_object_is_a_map() -> None:
    fields = look_at({"by_id": {f"id {n}": n for n in range(shape.FIELDS + 1)}}).fields()
    assert fields["by_id.*"].seen == ITEMS
