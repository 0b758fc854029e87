"""Taking secrets out of whatever is shown, logged or kept, in every spelling they come in."""

from __future__ import annotations

import base64
import html
import json
from collections import deque
from collections.abc import Iterable, Iterator
from threading import Lock
from typing import NamedTuple, TypeVar
from urllib.parse import quote, quote_plus

Mark = TypeVar("Mark", str, bytes)

HIDDEN = "***"

HIDDEN_FROM_CHARACTERS = 4
"""Shorter values stand in ordinary words and numbers; hiding them would only garble these."""

TELLING_FROM_CHARACTERS = 16
"""In a provider's data a shorter secret, a user name perhaps, may well be a value like any other;
there only longer ones are hidden."""

_CODED_FROM_CHARACTERS = 8


PASSING_SECRETS = 8
"""So many tokens, which come and go, are remembered; older ones have long expired."""


class Redactor:
    """Knows secrets and takes them out of texts. Shows none itself; safe for several threads."""

    def __init__(self, *secrets: str, passing: int = PASSING_SECRETS) -> None:
        """passing: how many of those that are hidden later are remembered."""
        self._secrets = secrets
        self._passing: deque[str] = deque(maxlen=passing)
        self._others: deque[Redactor] = deque(maxlen=passing)

        self._learning = Lock()
        self._learnt: _Marks | None = None

    def hide(self, *secrets: str) -> None:
        """Take these out, too, from now on."""
        with self._learning:
            new = [secret for secret in dict.fromkeys(secrets) if secret not in self._passing]
            if new:
                self._passing.extend(new)
                self._learnt = None

    def include(self, other: Redactor) -> None:
        """Take out of texts what the other one knows, and comes to know."""
        self._others.append(other)

    def __call__(self, text: str) -> str:
        """The text without any of the secrets."""
        for mark in self._marks().text:
            text = text.replace(mark, HIDDEN)
        for other in tuple(self._others):
            text = other(text)
        return text

    def data(self, content: bytes) -> bytes:
        """What a provider sent, or what was made of it, without the telling ones of the secrets."""
        for mark in self._marks().data:
            content = content.replace(mark, HIDDEN.encode())
        return content

    def __repr__(self) -> str:
        return f"Redactor({HIDDEN})"

    def _marks(self) -> _Marks:
        with self._learning:
            if self._learnt is None:
                self._learnt = _Marks.of({*self._secrets, *self._passing})
            return self._learnt


class _Marks(NamedTuple):
    """What is searched for, in texts and in data."""

    text: tuple[str, ...]
    data: tuple[bytes, ...]

    @classmethod
    def of(cls, secrets: Iterable[str]) -> _Marks:
        hidden = [secret for secret in secrets if len(secret) >= HIDDEN_FROM_CHARACTERS]
        telling = [secret for secret in hidden if len(secret) >= TELLING_FROM_CHARACTERS]
        return cls(
            _longest_first(mark for secret in hidden for mark in spellings(secret)),
            _longest_first(
                mark.encode(errors="surrogatepass")
                for secret in telling
                for mark in spellings(secret)
            ),
        )


def spellings(secret: str) -> Iterator[str]:
    """A secret as it stands, in URLs, in JSON, in markup, and inside base64 (as Basic sends it)."""
    yield secret
    lone = "surrogatepass"
    for escaped in (
        quote(secret, safe="", errors=lone),
        quote(secret, errors=lone),
        quote_plus(secret, errors=lone),
    ):
        yield escaped
        yield _lower_escapes(escaped)
    for written in (json.dumps(secret), json.dumps(secret, ensure_ascii=False)):
        yield written[1:-1]
        yield written[1:-1].replace("/", "\\/")
    yield html.escape(secret)
    yield from _in_base64(secret.encode(errors="surrogatepass"))


def _in_base64(secret: bytes) -> Iterator[str]:
    """The characters that stand for the secret alone, wherever in a coded text it begins."""
    for before in range(3):
        bits = 8 * (before + len(secret))
        whole = slice(-(-8 * before // 6), bits // 6)
        for encode in (base64.b64encode, base64.urlsafe_b64encode):
            coded = encode(bytes(before) + secret + b"\0\0").decode()[whole]
            if len(coded) >= _CODED_FROM_CHARACTERS:
                yield coded


def _lower_escapes(escaped: str) -> str:
    """%2F and %2f are one."""
    first, *rest = escaped.split("%")
    return "".join([first, *("%" + part[:2].lower() + part[2:] for part in rest)])


def _longest_first(marks: Iterable[Mark]) -> tuple[Mark, ...]:
    """So that no secret leaves a part of another behind."""
    return tuple(sorted(set(marks), key=len, reverse=True))


NOTHING_HIDDEN = Redactor()
