"""From a provider record to submissions, by the author's mapping."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from penstock.model.rejection import Rejection
from penstock.pipeline.mapping import RecordNamer, gone, submissions
from penstock.sdk.collection import RecordMapping
from penstock.sdk.context import Context
from penstock.sdk.declared import Place
from penstock.sdk.emit import Emit, Gone
from penstock.sdk.submission import Submission

CONTEXT = Context(
    account=None, facts={}, settings={"region": "eu"}, received_at=datetime(2026, 3, 2, tzinfo=UTC)
)


def mapped(function: Any, record: Any, *, id_path: Any = "id", with_context: bool = False) -> Any:
    mapping = RecordMapping("invoices", "invoice", id_path, function, with_context, Place("f", 1))
    return submissions(mapping, RecordNamer("acme", id_path), record, CONTEXT, None)


def keys(made: list[Submission]) -> list[object]:
    return [submission.key for submission in made]


def test_a_payload_gets_the_key_of_its_record() -> None:
    (submission,) = mapped(lambda r: {"total": r["sum"]}, {"id": "in_1", "sum": "5.00"})
    assert submission == Submission("invoice", {"total": "5.00"}, "acme:invoice:in_1")


def test_a_whole_number_is_an_id() -> None:
    """DS14: the same one as its digits, so that a provider may change its mind; case counts."""
    assert keys(mapped(dict, {"id": 17})) == keys(mapped(dict, {"id": "17"})) == ["acme:invoice:17"]
    assert keys(mapped(dict, {"id": "a"})) != keys(mapped(dict, {"id": "A"}))


@pytest.mark.parametrize("value", [None, True, 1.5, [], ""])
def test_what_is_no_id_is_left_for_the_key_check(value: object) -> None:
    assert keys(mapped(dict, {"id": value})) == [value]


def test_a_missing_id_is_no_id() -> None:
    assert keys(mapped(dict, {"number": "7"})) == [None]


def test_ids_of_several_parts_never_meet() -> None:
    parts = ("ledger", "number")
    first = mapped(dict, {"ledger": "a:b", "number": "c"}, id_path=parts)
    second = mapped(dict, {"ledger": "a", "number": "b:c"}, id_path=parts)
    assert keys(first) == ["acme:invoice:a%3Ab:c"]
    assert keys(second) == ["acme:invoice:a:b%3Ac"]


def test_an_id_may_be_computed() -> None:
    made = mapped(dict, {"n": 7, "year": 2026}, id_path=lambda r: f"{r['year']}-{r['n']}")
    assert keys(made) == ["acme:invoice:2026-7"]


def test_none_filters() -> None:
    assert mapped(lambda _: None, {"id": "in_1"}) == []


def test_gone_is_a_tombstone() -> None:
    (submission,) = mapped(lambda _: Gone(), {"id": "in_1"})
    assert submission.is_gone
    assert submission.key == "acme:invoice:in_1"


def test_one_record_becomes_several_documents() -> None:
    made = mapped(
        lambda r: [Emit("invoice", {"a": 1}), Emit("payment", {"b": 2}, id=f"{r['id']}-p")],
        {"id": "in_1"},
    )
    assert keys(made) == ["acme:invoice:in_1", "acme:payment:in_1-p"]
    assert [s.document_type for s in made] == ["invoice", "payment"]


def test_the_context_comes_second() -> None:
    (submission,) = mapped(
        lambda _, context: {"region": context.settings["region"]}, {"id": "x"}, with_context=True
    )
    assert submission.payload == {"region": "eu"}


def test_what_the_mapping_raises_is_a_value_with_the_authors_line() -> None:
    def broken(record: dict[str, Any]) -> dict[str, Any]:
        return {"name": record["display_name"]}

    refused = mapped(broken, {"id": "in_1"})
    assert isinstance(refused, Rejection)
    assert refused.reason == "mapping_error"
    assert refused.retryable
    first, *frames = refused.message.splitlines()
    assert first == "the mapping raised KeyError: 'display_name'"
    assert any("test_mapping.py" in line and "broken" in line for line in frames)
    assert not any("penstock/pipeline" in line for line in frames)


def test_a_list_holds_emits_only() -> None:
    refused = mapped(lambda _: [{"a": 1}], {"id": "in_1"})
    assert isinstance(refused, Rejection)
    assert "list of Emit" in refused.message


def test_one_emit_needs_no_list() -> None:
    assert keys(mapped(lambda _: Emit("payment", {"a": 1}), {"id": "in_1"})) == [
        "acme:payment:in_1"
    ]


def test_a_part_that_is_missing_leaves_no_id() -> None:
    assert keys(mapped(dict, {"ledger": "a"}, id_path=("ledger", "number"))) == [None]


def test_the_tombstone_of_a_record_whose_id_cannot_be_computed() -> None:
    def name(record: dict[str, Any]) -> str:
        return str(record["year"])

    mapping = RecordMapping("invoices", "invoice", name, dict, False, Place("f", 1))
    refused = gone(mapping, RecordNamer("acme", name), {"n": 7}, None)
    assert isinstance(refused, Rejection)
    assert refused.reason == "mapping_error"
