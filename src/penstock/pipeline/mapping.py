"""From a provider record to submissions, by the author's mapping; what it raises is a value."""

from __future__ import annotations

import traceback
from collections.abc import Sequence
from typing import Any

from penstock.model.rejection import Rejection, rejected
from penstock.sdk.collection import IdPath, RecordMapping
from penstock.sdk.context import Context
from penstock.sdk.emit import Emit, Gone
from penstock.sdk.submission import Submission
from penstock.upstream.fields import MISSING, Path

NOW_GONE = Gone()
FRAMES = 3
TEXT = 200


class RecordNamer:
    """Reads a record's own id and makes idempotency keys: {provider}:{document}:{id}, for good."""

    def __init__(self, provider: str, id_path: IdPath) -> None:
        self.provider = provider
        self.id_path = id_path

        self._paths = [Path.parse(p) for p in _paths(id_path)]

    @property
    def single_path(self) -> str | None:
        """The path of the id where it is one field, so that it can be read without the rest."""
        return self.id_path if isinstance(self.id_path, str) else None

    def record_id(self, record: Any) -> object:
        """Text, or what stands in its place (None, a list, …) for the key check to refuse.

        Raises what the author's callable raises.
        """
        if callable(self.id_path):
            return as_id(self.id_path(record))
        parts = [as_id(path.get(record)) for path in self._paths]
        if len(parts) == 1:
            return parts[0]
        if all(isinstance(part, str) and part for part in parts):
            return ":".join(_escaped(str(part)) for part in parts)
        return None

    def key(self, document: str, record_id: object) -> object:
        """The idempotency key, or the unusable id itself."""
        if isinstance(record_id, str) and record_id.strip():
            return f"{self.provider}:{document}:{record_id}"
        return record_id


def as_id(value: object) -> object:
    """Whole numbers become text; anything else stays for the key check to judge."""
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    return None if value is MISSING else value


def submissions(
    mapping: RecordMapping,
    namer: RecordNamer,
    record: Any,
    context: Context,
    as_of: int | None,
    *,
    key: str | None = None,
) -> list[Submission] | Rejection:
    """What one record becomes: none (filtered), one or several; or mapping_error.

    key: the record's idempotency key, where it is known already.
    """
    try:
        made = _call(mapping, record, context)
        if key is not None and type(made) is dict:
            return [Submission(mapping.document, made, key, None, None, as_of)]
        record_id = namer.record_id(record)
    except Exception as error:
        return mapping_error(error)
    if made is None:
        return []
    if isinstance(made, Emit):
        made = [made]
    if not isinstance(made, list | tuple):
        named = namer.key(mapping.document, record_id)
        return [Submission(mapping.document, made, named, None, None, as_of)]
    return _emitted(made, mapping, namer, record_id, as_of)


def gone(
    mapping: RecordMapping,
    namer: RecordNamer,
    record: Any,
    as_of: int | None,
    ended: Gone = NOW_GONE,
) -> list[Submission] | Rejection:
    """The tombstone of a record of which perhaps only the id is known."""
    try:
        key = namer.key(mapping.document, namer.record_id(record))
    except Exception as error:
        return mapping_error(error)
    return [Submission(mapping.document, ended, key, None, None, as_of)]


def completion_error(error: Exception) -> Rejection:
    """The same for what was to complete a listed record."""
    told = mapping_error(error).message.replace("the mapping raised", "its completion raised", 1)
    return rejected("mapping_error", told)


def mapping_error(error: Exception) -> Rejection:
    """The rejection for an exception of author code, with the author's last lines."""
    frames = traceback.extract_tb(error.__traceback__)
    own = [f for f in frames if "/penstock/pipeline/" not in f.filename.replace("\\", "/")]
    lines = [
        f"  {frame.filename.rpartition('/')[2]}:{frame.lineno} in {frame.name}: {frame.line}"
        for frame in own[-FRAMES:]
    ]
    told = f"{type(error).__name__}: {str(error)[:TEXT]}".rstrip(": ")
    return rejected("mapping_error", "\n".join([f"the mapping raised {told}", *lines]))


def _call(mapping: RecordMapping, record: Any, context: Context) -> Any:
    if mapping.takes_context:
        return mapping.function(record, context)
    return mapping.function(record)


def _emitted(
    made: Sequence[Any],
    mapping: RecordMapping,
    namer: RecordNamer,
    record_id: object,
    as_of: int | None,
) -> list[Submission] | Rejection:
    found: list[Submission] = []
    for emit in made:
        if not isinstance(emit, Emit):
            return rejected(
                "mapping_error",
                f"the mapping of {mapping.stream} returned a list with a {type(emit).__name__}; "
                "several documents are a list of Emit(document, payload, id)",
            )
        key = namer.key(emit.document, record_id if emit.id is None else as_id(emit.id))
        found.append(Submission(emit.document, emit.payload, key, None, None, as_of))
    return found


def _paths(id_path: IdPath) -> tuple[str, ...]:
    if isinstance(id_path, str):
        return (id_path,)
    return id_path if isinstance(id_path, tuple) else ()


def _escaped(part: str) -> str:
    """So that ("a:b", "c") and ("a", "b:c") stay two names."""
    return part.replace("%", "%25").replace(":", "%3A")
