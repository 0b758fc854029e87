"""Stage 2 for payloads that come as Python values: one object, not too deep, not too large.

Only payloads that are refused anyway, or that may be large, take this walk: a clean payload of
usual size cannot break these rules, because every place in it is read by a field's own reader.
"""

from __future__ import annotations

from typing import Any

import msgspec

from penstock.contracts.finding import Finding, quote
from penstock.contracts.kind import NEVER
from penstock.contracts.open_map import DEPTH

PAYLOAD_BYTES = 2_097_152
MALFORMED_DEPTH = 64
_ENCODER = msgspec.json.Encoder(decimal_format="number", enc_hook=lambda _value: None)


def stage_two(payload: Any) -> Finding | None:
    """The first stage 2 finding. A cyclic payload is one that never ends to get deeper."""
    least_bytes = 0
    pending: list[tuple[Any, int]] = [(payload, 1)]
    while pending:
        value, depth = pending.pop()
        least_bytes += len(value) if isinstance(value, str) else 1
        if least_bytes > PAYLOAD_BYTES:
            return too_large()
        if not isinstance(value, (dict, list)):
            continue
        if depth > MALFORMED_DEPTH:
            message = f"the payload is nested deeper than {MALFORMED_DEPTH} levels"
            return Finding("malformed_payload", message, stage=2)
        if isinstance(value, dict):
            for name in value:
                if not isinstance(name, str):
                    message = f"member names must be text, not {quote(name)}"
                    return Finding("malformed_payload", message, stage=2)
                least_bytes += len(name)
            pending.extend((item, depth + 1) for item in value.values())
        else:
            pending.extend((item, depth + 1) for item in value)
    return too_large() if is_too_large(payload) else None


def is_too_large(payload: Any) -> bool:
    """Whether an acyclic payload is over the limit as compact JSON."""
    try:
        return len(_ENCODER.encode(payload)) > PAYLOAD_BYTES
    except (ValueError, TypeError):
        return False  # surrogates and the like: refused for what they are


def too_large() -> Finding:
    message = f"the payload is over {PAYLOAD_BYTES} bytes as JSON"
    return Finding("payload_too_large", message, stage=2)


def deep_findings(payload: Any) -> list[Finding]:
    """What is wrong in places that no reader went to: too deep, NUL, lone surrogates."""
    findings: list[Finding] = []
    pending: list[tuple[Any, tuple[Any, ...]]] = [(payload, ())]
    while pending:
        value, path = pending.pop()
        if isinstance(value, str):
            if NEVER.search(value):
                message = "the text holds NUL or a lone surrogate"
                findings.append(Finding("invalid_text", message, "I-F9", path, stage=4))
        elif isinstance(value, (dict, list)):
            if len(path) >= DEPTH:
                message = f"the payload is nested deeper than {DEPTH} levels"
                findings.append(Finding("limit_exceeded", message, "I-F8", path, stage=3))
                continue
            items = value.items() if isinstance(value, dict) else enumerate(value)
            pending.extend((item, (*path, step)) for step, item in items)
    return findings
