"""Placeholders in a declaration: `{settings.x}`, `{account.x}`, `{facts.x}`, `{parent.x}`, and
`{partition.x}`, which has a value only in a backfill that was given one.

Only this shape counts; other braces (a GraphQL query in a JSON body) are left alone, except in a
path or URL, where they would be a slip. A member whose value is absent or null is left out; where
nothing can be left out, in a path or a URL, absence is an error.

>>> path("/customers/{parent.id}/notes", {"parent": {"id": "a/b"}})
'/customers/a%2Fb/notes'
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Any
from urllib.parse import quote

from penstock.errors import ConnectorError, MendError, SettingsError
from penstock.upstream.fields import MISSING, Missing, Path
from penstock.upstream.request import Pair

SCOPES = frozenset({"settings", "account", "facts", "parent", "partition"})

Values = Mapping[str, Mapping[str, Any]]
"""Scope to its values, for instance {"settings": {"base_url": "https://api.acme.test"}}."""

_PLACE = re.compile(r"\{([A-Za-z_]\w*)\.([A-Za-z_][\w.-]*)\}")
_PLAIN = re.compile(r"[A-Za-z0-9._~-]*")


def names(template: Any) -> frozenset[tuple[str, str]]:
    """The (scope, name) pairs used anywhere in a declaration, for checks before any request.

    template: text, or dicts, lists and tuples of it to any depth. Raises ConnectorError for an
    unknown scope.
    """
    found = {(match[1], match[2]) for text in _texts(template) for match in _PLACE.finditer(text)}
    for scope, name in sorted(found):
        if scope not in SCOPES:
            raise ConnectorError(
                f"{{{scope}.{name}}}: there is no {scope!r} to take values from; "
                f"known: {', '.join(sorted(SCOPES))}"
            )
    return frozenset(found)


def path(template: str, values: Values) -> str:
    """The path with its values percent-escaped, slashes included.

    Raises SettingsError or ConnectorError where a value is absent, or would climb ("..").
    """

    def segment(match: re.Match[str]) -> str:
        text = _required(match, values, template)
        if text in ("", ".", ".."):
            raise _error(match, f"{match[0]} in {template!r} is {text!r}, which is no path segment")
        return quote(text, safe="")

    return _PLACE.sub(segment, _without_slips(template))


def url(template: str, values: Values) -> str:
    """A base URL, OAuth URL or permission pattern with its values as they stand.

    A value at the very beginning may be a whole URL. Further in it may hold only letters, digits,
    and `.`, `_`, `~`, `-`, so that no value moves the host. Raises SettingsError or ConnectorError.
    """

    def piece(match: re.Match[str]) -> str:
        text = _required(match, values, template)
        if match.start() and not _PLAIN.fullmatch(text):
            raise _error(
                match, f"{match[0]} in {template!r} may not hold such characters as its value"
            )
        return text.rstrip("/") if match.end() < len(template) else text

    return _PLACE.sub(piece, _without_slips(template))


def pairs(template: Iterable[Pair], values: Values) -> tuple[Pair, ...]:
    """Parameters or header fields; those with an absent value are left out."""
    filled = ((name, text(value, values)) for name, value in template)
    return tuple((name, value) for name, value in filled if value is not MISSING)


def text(template: str, values: Values) -> str | Missing:
    """One parameter or header value, MISSING where a value of it is absent."""
    found = [_look_up(match, values) for match in _PLACE.finditer(template)]
    if any(value is MISSING for value in found):
        return MISSING
    return _PLACE.sub(lambda match: _as_text(match, values), template)


def deep(template: Any, values: Values) -> Any:
    """A JSON value filled to any depth; a text that is one placeholder becomes its value as it is.

    Members and entries with an absent value are left out; MISSING for an absent whole.
    """
    match template:
        case str():
            if whole := _PLACE.fullmatch(template):
                return _look_up(whole, values)
            return text(template, values)
        case dict():
            filled = {name: deep(value, values) for name, value in template.items()}
            return {name: value for name, value in filled.items() if value is not MISSING}
        case list() | tuple():
            return [v for v in (deep(value, values) for value in template) if v is not MISSING]
        case _:
            return template


def _texts(template: Any) -> Iterable[str]:
    match template:
        case str():
            yield template
        case dict():
            yield from _texts(list(template.values()))
        case list() | tuple():
            for value in template:
                yield from _texts(value)


def _without_slips(template: str) -> str:
    names(template)
    if slip := re.search(r"[{}]", _PLACE.sub("", template)):
        raise ConnectorError(f"{template!r} holds a {slip[0]!r} that is part of no placeholder")
    return template


def _look_up(match: re.Match[str], values: Values) -> Any:
    found = Path.parse(match[2]).get(dict(values.get(match[1], {})))
    return MISSING if found is None else found


def _required(match: re.Match[str], values: Values, template: str) -> str:
    if _look_up(match, values) is MISSING:
        raise _error(match, f"{match[0]} in {template!r} has no value")
    return _as_text(match, values)


def _as_text(match: re.Match[str], values: Values) -> str:
    value = _look_up(match, values)
    match value:
        case bool():
            return "true" if value else "false"
        case str() | int():
            return str(value)
        case Decimal():
            return format(value, "f")
        case _:
            raise _error(
                match, f"{match[0]} is a {type(value).__name__} and does not fit into text"
            )


def _error(match: re.Match[str], message: str) -> MendError:
    return SettingsError(message) if match[1] == "settings" else ConnectorError(message)
