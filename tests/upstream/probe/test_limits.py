"""Header fields that speak of limits."""

from __future__ import annotations

import pytest

from penstock.upstream.probe.limits import limits, rate

from .test_sight import response


@pytest.mark.parametrize(
    "name",
    [
        "ratelimit",
        "ratelimit-policy",
        "x-ratelimit-reset",
        "x-rate-limit-remaining",
        "retry-after",
        "x-shopify-shop-api-call-limit",
        "sforce-limit-info",
        "x-daylimit-remaining",
        "x-minlimit-remaining",
        "x-quota-left",
    ],
)
def test_those_of_well_known_apis(name):
    found = limits(response({"data": []}, **{name.replace("-", "_"): "7", "etag": "x"}))
    assert found == {name: "7"}


@pytest.mark.parametrize(
    ("policy", "told"),
    [
        ('"burst";q=100;w=60', "Rate(requests=100, per=60)"),
        ("100;w=60", "Rate(requests=100, per=60)"),
        ("20;burst=5;w=1", "Rate(requests=20, per=1)"),
        ("100", None),
    ],
)
def test_a_policy_with_its_window_is_a_rate(policy, told):
    assert rate({"ratelimit-policy": policy}) == told


def test_nothing_told_is_no_rate():
    assert rate({}) is None
