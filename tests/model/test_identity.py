"""Who a document is."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock.model.identity import (
    as_text,
    document_id,
    document_namer,
    from_text,
    is_well_formed_id,
    letter_id,
    version_id,
)

PARTS = st.tuples(*[st.text(min_size=1, max_size=20, alphabet="abc:/|é")] * 4)


def test_an_id_never_changes() -> None:
    """A stored database depends on these very bytes."""
    identity = document_id("default", "acme-main", "invoice", "acme:invoice:inv_1001")
    assert as_text(identity) == "bdabbb7f-897c-e188-56ad-46485e5b10b5"


@given(a=PARTS, b=PARTS)
def test_other_parts_other_id(a: tuple[str, ...], b: tuple[str, ...]) -> None:
    assert (document_id(*a) == document_id(*b)) == (a == b)


def test_the_namer_names_alike() -> None:
    namer = document_namer("default", "acme-main", "invoice")
    assert namer("k") == document_id("default", "acme-main", "invoice", "k")


def test_versions_and_letters_have_names_of_their_own() -> None:
    identity = document_id("default", "acme-main", "invoice", "k")
    assert len({version_id(identity, n) for n in range(1, 100)}) == 99
    assert letter_id("w", "c", "s", identity) != letter_id("w", "c", "t", identity)


def test_text_and_back() -> None:
    identity = bytes(range(16))
    assert as_text(identity) == "00010203-0405-0607-0809-0a0b0c0d0e0f"
    assert from_text(as_text(identity)) == identity
    with pytest.raises(ValueError, match="badly formed"):
        from_text("nonsense")


@pytest.mark.parametrize("value", ["a", "x" * 255, "é", "a b", "\U0001f600", "zero\u200bwidth"])
def test_well_formed(value: str) -> None:
    assert is_well_formed_id(value)


@pytest.mark.parametrize(
    "value", ["", " a", "a ", "x" * 256, "a\nb", "a\0b", "\x7f", "a\ud800", None, 5, b"a"]
)
def test_malformed(value: object) -> None:
    assert not is_well_formed_id(value)
