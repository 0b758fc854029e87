"""The company's truth against a recount of our own over the HTTP API."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest

from penstock.simulator import Company, serve

from .reader import DOCUMENTS, Reader, accepted, recount


@pytest.mark.parametrize("seed", [1, 2])
def test_the_truth_is_what_a_full_run_finds_before_and_after_every_tick(seed: int):
    company = Company(seed=seed, records=2000, faulty=0.02)
    with serve(company) as served:
        reader = Reader(served.url, served.token)
        for _ in range(3):
            for collection, document in DOCUMENTS.items():
                found = recount(document, reader.walk(collection, limit=500))
                expected = company.truth().expected[document]
                assert found.fetched == expected.fetched
                assert found.filtered == expected.filtered
                assert found.dead_letters == Counter(expected.dead_letters)
                assert found.facts == expected.facts
            company.tick()


def test_versions_are_the_contents_that_differed_from_the_one_before():
    company = Company(seed=4, records=600, faulty=0.03)
    stored: dict[tuple[str, str], list[Any]] = {}
    with serve(company) as served:
        reader = Reader(served.url, served.token)
        for _ in range(6):
            for collection, document in DOCUMENTS.items():
                for key, content in accepted(document, reader.walk(collection)).items():
                    history = stored.setdefault((document, key), [])
                    if not history or history[-1] != content:
                        history.append(content)
            company.tick()
    company_then = Company(seed=4, records=600, faulty=0.03)
    for _ in range(5):
        company_then.tick()
    truth = company_then.truth()
    assert sum(map(len, stored.values())) == truth.versions
    assert len(stored) == truth.documents < truth.versions
    for document, expected in truth.expected.items():
        histories = [h for (name, _), h in stored.items() if name == document]
        assert sum(map(len, histories)) == expected.versions


def test_an_incremental_reader_ends_where_a_full_one_does():
    company = Company(seed=6, records=600)
    seen: dict[tuple[str, str], Any] = {}
    watermarks: dict[str, Any] = {}
    boundary_changes = 0
    with serve(company) as served:
        reader = Reader(served.url, served.token)
        for _ in range(5):
            for collection, document in DOCUMENTS.items():
                since = {}
                if watermark := watermarks.get(collection):
                    since = {"updated_since": watermark}
                records = reader.walk(collection, limit=100, **since)
                if since:
                    assert all(record["updated_at"] >= watermark for record in records)
                for record in records:
                    key = (document, record["id"])
                    at_the_boundary = record["updated_at"] == watermark
                    boundary_changes += bool(at_the_boundary and seen.get(key) != record)
                    seen[key] = record
                watermarks[collection] = max(record["updated_at"] for record in records)
            everything = {
                (document, record["id"]): record
                for collection, document in DOCUMENTS.items()
                for record in reader.walk(collection, limit=1000)
            }
            assert seen == everything
            company.tick()
    assert boundary_changes > 0, "a reader that asks with > instead of >= must lose records here"
