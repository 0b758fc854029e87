"""What a connector may reach and write; everything else is refused."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from penstock.errors import ConnectorError

ACTIONS = ("write", "delete")


@dataclass(frozen=True, slots=True)
class Permissions:
    """http: URL patterns such as "https://api.acme.test/*"; documents: type to allowed actions.

    `*.` stands only as the first label of a host, with two fixed labels after it; a pattern
    without a port means any port. Raises ConnectorError for unknown actions.
    """

    http: Sequence[str] = ()
    documents: Mapping[str, Sequence[str]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for document, actions in self.documents.items():
            for action in actions:
                if action not in ACTIONS:
                    raise ConnectorError(
                        f"permissions: {action!r} on {document} must be one of {', '.join(ACTIONS)}"
                    )

    def allows(self, document: str, action: str) -> bool:
        return action in self.documents.get(document, ())
