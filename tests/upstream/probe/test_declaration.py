"""Found values as an author writes them: the text means the value it was made of."""

from __future__ import annotations

import pytest

import penstock
from penstock import Cursor, GraphQL, LinkHeader, NextUrl, Offset, PageNumber, Since, SinglePage
from penstock.upstream.probe.declaration import Collection, spelled

PARTS = {
    'Cursor("next", param="cursor")': Cursor("next", param="cursor"),
    'Cursor(header="X-Next", json="page.after", more="more")': Cursor(
        header="X-Next", json="page.after", more="more"
    ),
    'PageNumber(start=0, size_param="n", size=7)': PageNumber(start=0, size_param="n", size=7),
    "Offset()": Offset(),
    "LinkHeader()": LinkHeader(),
    'NextUrl("a \\"b\\"")': NextUrl('a "b"'),
    'GraphQL("data.x", variable="c")': GraphQL("data.x", variable="c"),
    "SinglePage()": SinglePage(),
    'Since(field="updated_at", format="unix")': Since(field="updated_at", format="unix"),
}


@pytest.mark.parametrize(("text", "part"), PARTS.items(), ids=PARTS)
def test_a_part_is_spelled_with_what_is_not_its_default(text, part):
    assert spelled(part) == text
    assert (
        eval(text, vars(penstock) | {name: getattr(penstock, name) for name in penstock.__all__})
        == part
    )


def test_a_collection_is_spelled_with_what_it_needs():
    plain = Collection("x", "/x", "customer", "id")
    assert plain.spelled() == (
        '@acme.collection(\n    "x",\n    path="/x",\n    id="id",\n    document="customer",\n)'
    )
    full = Collection(
        "x", "/x", "customer", ("a", "b"), records="data", method="POST", json={"q": [1, None]}
    ).spelled()
    assert 'method="POST"' in full
    assert 'json={"q": [1, None]}' in full
    assert 'id=("a", "b",)' in full
