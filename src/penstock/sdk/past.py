"""The past of a stream: whether a backfill can ask for a slice of it, and by which keys."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from penstock.errors import ConnectorError, UsageError
from penstock.sdk.collection import Endpoint
from penstock.sdk.connector import Connector
from penstock.upstream import template


@dataclass(frozen=True, slots=True)
class Past:
    """What reads it. keys: those that a backfill's partitions may have, None where a route reads
    it and knows them itself. needed: those that they must have."""

    keys: frozenset[str] | None = None
    needed: frozenset[str] = frozenset()

    @classmethod
    def of(cls, connector: Connector, stream: str) -> Past | None:
        """The past of a declared stream; None where nothing can read a slice of it."""
        if stream in connector.backfill_routes:
            return cls()
        mapping = connector.mappings.get(stream)
        endpoint = mapping.endpoint if mapping is not None else None
        if endpoint is None or endpoint.since is None or not endpoint.since.slices:
            return None
        parts = [endpoint.path, endpoint.params, endpoint.headers, endpoint.json]
        return cls(_names(parts), _names(endpoint.path))

    def check(self, stream: str, keys: Iterable[str]) -> None:
        """Raises UsageError where partitions have a key too many, or lack one."""
        keys = set(keys)
        if self.keys is not None and (unknown := sorted(keys - self.keys)):
            known = ", ".join(sorted(self.keys)) or "none"
            raise UsageError(
                f"--partition {unknown[0]}: nothing in the collection of {stream} depends on it; "
                f"keys that do ({{partition.…}} in its declaration): {known}"
            )
        if missing := sorted(self.needed - keys):
            raise UsageError(
                f"the path of {stream} has a place for it: give --partition {missing[0]}=…"
            )


def past_of(connector: Connector, stream: str) -> Past:
    """The past of a stream. Raises UnknownStreamError, and UsageError where none can be read."""
    declared = connector.stream(stream)
    found = Past.of(connector, stream) if declared.mode != "webhook" else None
    if found is None:
        able = [s.key for s in connector.streams.values() if Past.of(connector, s.key) is not None]
        raise UsageError(
            f"stream {stream} of {connector.key} cannot be asked for a slice of its past: it needs "
            f'a route, @{connector.key}.backfill("{stream}"), or a collection with '
            f"Since(param=…, until=…); streams that can: {', '.join(able) or 'none'}"
        )
    return found


def path_keys(endpoint: Endpoint) -> frozenset[str]:
    """Partition keys that stand in the path, where nothing can be left out."""
    return _names(endpoint.path)


def _names(parts: object) -> frozenset[str]:
    """Partition keys in a declaration; of one that is no template, `penstock check` tells."""
    try:
        names = template.names(parts)
    except ConnectorError:
        return frozenset()
    return frozenset(name for scope, name in names if scope == "partition")
