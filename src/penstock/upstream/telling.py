"""Telling somebody over HTTP: one POST to an address that the operator has chosen.

No manifest has a say about it and no egress rule: the address is the operator's own, on this very
machine perhaps.
"""

from __future__ import annotations

import httpx2

from penstock.errors import UpstreamUnavailableError

TIMEOUT_S = 10.0


def post_json(url: str, body: bytes) -> None:
    """POST a JSON text; any 2xx is an answer. Raises UpstreamUnavailableError, in whose sentence
    the URL, which may hold a secret, is not."""
    headers = {"Content-Type": "application/json", "User-Agent": "penstock"}
    try:
        with httpx2.Client(timeout=TIMEOUT_S, trust_env=False) as client:
            answer = client.post(url, content=body, headers=headers)
    except (httpx2.HTTPError, httpx2.InvalidURL) as error:
        raise UpstreamUnavailableError(f"it did not answer ({type(error).__name__})") from None
    if not answer.is_success:
        raise UpstreamUnavailableError(f"it answered with status {answer.status_code}")
