"""What the response headers say about how fast one may ask. Pure."""

from __future__ import annotations

import re

from penstock.upstream.request import Response

WORDS = re.compile(
    r"rate-?limit|retry-after|quota|throttl|api-call-limit|limit-info|requests-?(left|remaining)|"
    r"(min|day|hour|second|concurrent|burst)-?limit|limit-?remaining"
)
POLICY = re.compile(r"(?:q=)?(\d+)\s*;(?:[^,]*;)?\s*w=(\d+)")


def limits(response: Response) -> dict[str, str]:
    """Header fields that speak of limits, as they came."""
    found = sorted((n, v) for n, v in response.headers.items() if WORDS.search(n.lower()))
    return {name: response.redact(value) for name, value in found}


def rate(found: dict[str, str]) -> str | None:
    """The `rate=` to declare, where a policy is told with its window (RateLimit-Policy)."""
    policy = found.get("ratelimit-policy", "") or found.get("ratelimit-limit", "")
    told = POLICY.search(policy)
    return f"Rate(requests={told[1]}, per={told[2]})" if told else None
