"""How documents differ: paths, counts, examples."""

from __future__ import annotations

from penstock.pipeline.difference import (
    EXAMPLES,
    MOST_FIELDS,
    OTHERS,
    Change,
    Difference,
    FieldChange,
    changes,
    note,
)


def test_fields_are_told_by_their_paths() -> None:
    before = {"name": "Ann", "tags": {"a/b": "1"}, "paid": True, "kept": "x"}
    after = {"name": "Bob", "tags": {"a/b": "2"}, "memo": "new", "kept": "x"}
    assert list(changes(before, after)) == [
        Change("/name", "Ann", "Bob"),
        Change("/tags/a~1b", "1", "2"),
        Change("/paid", True, None),
        Change("/memo", None, "new"),
    ]


def test_items_of_a_list_are_one_path() -> None:
    before = {"lines": [{"amount": "1.00"}, {"amount": "2.00"}]}
    after = {"lines": [{"amount": "1.50"}, {"amount": "2.50"}, {"amount": "3.00"}]}
    assert [change.path for change in changes(before, after)] == [
        "/lines/*/amount",
        "/lines/*/amount",
        "/lines/*",
    ]
    fields: dict[str, FieldChange] = {}
    note(
        fields,
        "in_1",
        b'{"lines":[{"amount":"1.00"},{"amount":"2.00"}]}',
        b'{"lines":[{"amount":"1.50"},{"amount":"2.50"}]}',
    )
    assert fields == {"/lines/*/amount": FieldChange(1, (("in_1", "1.00", "1.50"),))}  # type: ignore[arg-type]


def test_another_type_is_another_value() -> None:
    assert list(changes({"a": "1"}, {"a": 1})) == [Change("/a", "1", 1)]
    assert list(changes({"a": {"b": "1"}}, {"a": ["1"]})) == [Change("/a", {"b": "1"}, ["1"])]


def test_sums_count_documents_and_keep_the_first_examples() -> None:
    total = Difference()
    for number in range(5):
        fields: dict[str, FieldChange] = {}
        note(fields, f"cus_{number}", b'{"name":"a"}', b'{"name":"b"}')
        total += Difference(updated=1, fields=fields, untouched={"forgotten": 1}, messages=("x",))
    name = total.fields["/name"]
    assert (total.updated, name.documents, total.untouched) == (5, 5, {"forgotten": 5})
    assert [example.source_id for example in name.examples] == ["cus_0", "cus_1", "cus_2"]
    assert len(name.examples) == EXAMPLES
    assert total.messages == ("x",)


def test_ever_new_names_are_counted_together() -> None:
    total = Difference()
    for number in range(MOST_FIELDS + 10):
        fields: dict[str, FieldChange] = {}
        note(fields, "cus_1", b"{}", b'{"f%d":"1"}' % number)
        total += Difference(fields=fields)
    assert len(total.fields) == MOST_FIELDS + 1
    assert total.fields[OTHERS].documents == 10


def test_what_changes_most_documents_comes_first() -> None:
    fields = {"/b": FieldChange(1), "/a": FieldChange(1), "/c": FieldChange(9)}
    assert [path for path, _ in Difference(fields=fields).by_documents()] == ["/c", "/a", "/b"]


def test_only_what_changes_a_document_is_a_difference() -> None:
    assert Difference(unchanged=3, filtered=1, rejected=1).is_none
    assert not Difference(gone=1).is_none
    assert Difference(created=1, gone=1, unchanged=2, filtered=3, rejected=1).counters.balanced
