"""The laws that counts obey."""

from __future__ import annotations

from dataclasses import replace

from penstock.model.outcome import Counters

PAGE = Counters(
    pages=1,
    fetched=10,
    extra_emits=2,
    filtered=1,
    mapping_errors=1,
    submitted=10,
    created=4,
    updated=2,
    unchanged=1,
    stale=1,
    rejected=2,
)


def test_both_laws() -> None:
    assert PAGE.balanced
    assert not replace(PAGE, created=5).balanced
    assert not replace(PAGE, fetched=11).balanced
    assert not replace(PAGE, filtered=0).balanced


def test_what_was_not_fetched_needs_only_the_first_law() -> None:
    assert Counters(submitted=3, created=3).balanced
    assert not Counters(submitted=3, created=2).balanced


def test_counts_add_up() -> None:
    assert (PAGE + PAGE).fetched == 20
    assert (PAGE + PAGE).balanced
    assert sum([PAGE, PAGE], Counters()) == PAGE + PAGE


def test_set_aside_are_the_dead_letters() -> None:
    assert PAGE.set_aside == 3
