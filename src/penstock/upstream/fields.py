"""Dotted paths into decoded JSON, and what stands for "not there".

>>> Path.parse("QueryResponse.Invoice?").get({"QueryResponse": {}})
MISSING
>>> Path.parse("next.cursor").get({"next": {"cursor": None}}) is None
True
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from functools import lru_cache
from typing import Any, Final

from penstock.errors import ConnectorError


class Missing(Enum):
    """The type of MISSING, for annotations."""

    MISSING = "MISSING"

    def __repr__(self) -> str:
        return "MISSING"

    def __bool__(self) -> bool:
        return False


MISSING: Final = Missing.MISSING
"""No such member; a JSON null is None."""


@dataclass(frozen=True, slots=True)
class Path:
    """Member names from the outside in. No names: the value itself.

    optional: the last member may be absent when its parent is there (spelled with `?`).
    """

    names: tuple[str, ...]
    optional: bool = False

    @classmethod
    @lru_cache(maxsize=1024)
    def parse(cls, text: str) -> Path:
        """The path spelled "a.b" or "a.b?". Raises ConnectorError for an empty member name."""
        optional = text.endswith("?")
        body = text.removesuffix("?")
        if not body and not optional:
            return cls(())
        names = tuple(body.split("."))
        if not all(names) or any("?" in name for name in names):
            raise ConnectorError(
                f"{text!r} is no path: write member names with dots between them, "
                "and '?' only at the end"
            )
        return cls(names, optional)

    def get(self, value: Any) -> Any:
        """The value at the path, MISSING where a member is absent or its parent is no object.

        A member whose own name holds dots ("@odata.nextLink") is found too.
        """
        for place, name in enumerate(self.names):
            if type(value) is not dict:
                return MISSING
            if name not in value:
                return value.get(".".join(self.names[place:]), MISSING)
            value = value[name]
        return value

    def put(self, value: Any, member: Any) -> Any:
        """A copy of the object `value` with `member` at the path; objects on the way are made."""
        if not self.names:
            return member
        outer = value if type(value) is dict else {}
        name, rest = self.names[0], Path(self.names[1:])
        return {**outer, name: rest.put(outer.get(name), member)}

    def __str__(self) -> str:
        return ".".join(self.names) + ("?" if self.optional else "")
