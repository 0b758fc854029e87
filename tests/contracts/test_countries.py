"""A provider's country is a code or it is none."""

from __future__ import annotations

import pytest

from penstock import countries


@pytest.mark.parametrize("text", ["NZ", "nz", " Nz\n"])
def test_a_code_in_whatever_case_is_that_code(text: str) -> None:
    assert countries.code(text) == "NZ"


@pytest.mark.parametrize("text", ["New Zealand", "NZL", "554", "XX", "UK", "N Z", "", "  ", None])
def test_what_is_no_code_is_none(text: str | None) -> None:
    assert countries.code(text) is None
