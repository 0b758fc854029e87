"""Looking at documents and contracts."""

from __future__ import annotations

import pytest


def test_the_stored_documents_are_those_of_the_company(pulled, company):
    for document_type, expected in company.truth().expected.items():
        listing = pulled.json(f"documents list {document_type} --limit 1000")
        assert {item["source_id"] for item in listing["items"]} == set(expected.facts)
        for item in listing["items"]:
            facts = expected.facts[item["source_id"]]
            shown = {name: str(item["payload"].get(name)) for name in facts}
            assert shown == facts


def test_a_document_is_shown_by_its_id_or_the_providers(pulled):
    item = pulled.json("documents list invoice --limit 1")["items"][0]
    by_id = pulled.json(f"documents show {item['document_id']}")
    assert by_id == pulled.json(f"documents show {item['source_id']} --type invoice")
    assert by_id["payload"] == item["payload"]
    assert by_id["provenance"]["stream"] == "invoices"
    assert len(by_id["provenance"]["raw_sha256"]) == 64
    text = pulled(f"documents show {item['document_id']}").out
    assert item["idempotency_key"] in text
    assert '"total_amount"' in text


def test_a_history_shows_every_version(pulled):
    item = pulled.json("documents list invoice --limit 1")["items"][0]
    story = pulled.json(f"documents show {item['document_id']} --history")
    assert [version["version"] for version in story["history"]] == [1]
    assert "version 1" in pulled(f"documents show {item['document_id']} --history").out


def test_a_list_goes_on_where_it_ended(pulled):
    whole = pulled.json("documents list customer --limit 1000")["items"]
    first = pulled("documents list customer --limit 3")
    assert "--after" in first.err
    listing = pulled.json("documents list customer --limit 3")
    rest = pulled.json(f"documents list customer --limit 1000 --after {listing['after']}")
    assert listing["items"] + rest["items"] == whole
    assert rest["after"] is None


def test_an_empty_list_says_so(shell):
    listed = shell("documents list invoice")
    assert (listed.code, listed.out) == (0, "")
    assert "no documents of type invoice" in listed.err


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("documents list invoce", "invoice"),
        ("documents show nothing", "nothing"),
        ("documents list invoice --after nowhere", "nowhere"),
    ],
)
def test_what_is_not_there_is_a_usage_error(pulled, line, told):
    refused = pulled(line)
    assert refused.code == 2
    assert told in refused.err


def test_another_workspace_is_another_world(pulled):
    assert pulled.json("documents list customer --workspace other")["items"] == []
    assert pulled.json("connections --workspace other") == []


def test_contracts_are_listed_and_shown(shell):
    listed = shell.json("contracts list")
    assert {"invoice", "customer", "payment"} <= {entry["document_type"] for entry in listed}
    assert "invoice_id" in shell("contracts list").out
    assert "total_amount" in shell("contracts show invoice").out
    schema = shell.json("contracts show invoice --json-schema")
    assert "total_amount" in schema["properties"]
    assert shell("contracts show invoce").code == 2
    assert not shell.database.exists()
