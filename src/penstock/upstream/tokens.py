"""JSON text taken apart without decoding it: slow, patient, for the pages that need a close look.

The text is judged elsewhere (wire); here only quotes and brackets are followed, without
recursion, so that no nesting is too deep and no escape too odd.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import accumulate

SPACE = b" \t\r\n"

# Possessive, and content with a missing end: else 60 MB of text take 7 GB of places to go back to,
# and one quotation mark too many makes every later one try its luck to the end.
_STRING = rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"?+'
_MARK = re.compile(_STRING + rb"|[\[\]{},]", re.DOTALL)
_STRINGS = re.compile(_STRING, re.DOTALL)
_MEMBER = re.compile(rb"(" + _STRING + rb")[ \t\r\n]*:[ \t\r\n]*", re.DOTALL)
_PAIRS = (b"[]", b"{}")
_NO_BRACKETS = bytes(set(range(256)) - set(b"[]{}"))


class TornError(ValueError):
    """The brackets or members of the text do not fit together."""


def parts(text: bytes) -> Iterator[bytes]:
    """What stands between the commas of an array or object, in order; nothing for an empty one.

    text: from the opening to the closing bracket. Raises TornError where these are no pair.
    """
    depth, start, commas = 0, 1, 0
    for mark in _MARK.finditer(text):
        sign = mark[0]
        if sign in (b"[", b"{"):
            depth += 1
        elif sign in (b"]", b"}"):
            depth -= 1
            if depth == 0:
                if mark.end() != len(text) or text[:1] + sign not in _PAIRS:
                    break
                last = text[start : mark.start()].strip(SPACE)
                if last or commas:
                    yield last
                return
        elif sign == b"," and depth == 1:
            yield text[start : mark.start()].strip(SPACE)
            start, commas = mark.end(), commas + 1
    raise TornError("a bracket is missing or too many")


def member(part: bytes) -> tuple[bytes, bytes]:
    """A part of an object as (name with its quotation marks, value). Raises TornError."""
    match = _MEMBER.match(part)
    if match is None:
        raise TornError("an object holds something that is no member")
    return match[1], part[match.end() :]


def depth(text: bytes) -> int:
    """How deep arrays and objects are nested; 0 for a plain value."""
    brackets = _STRINGS.sub(b"", text).translate(None, _NO_BRACKETS)
    return max(accumulate(1 if sign in b"[{" else -1 for sign in brackets), default=0)


def longest_string(text: bytes) -> int:
    """Bytes between the quotation marks of the longest string, as they are spelled."""
    return max((len(match[0]) - 2 for match in _STRINGS.finditer(text)), default=0)


def without_strings(text: bytes) -> bytes:
    """The text with every string, member names included, taken out."""
    return _STRINGS.sub(b"", text)
