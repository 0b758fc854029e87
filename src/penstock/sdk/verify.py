"""`penstock check`: what is wrong with a connector, found without running it.

A rule is a function from a loaded connector to findings; `RULES` is the list of them. Each
finding names file and line, and says how to mend it.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlsplit

from penstock.contracts import registry
from penstock.errors import ConnectorError, PenstockError
from penstock.sdk.connector import Connector
from penstock.sdk.declared import Place, of_function
from penstock.sdk.loader import ROUTE_FOLDERS, Loaded, load
from penstock.upstream import template
from penstock.upstream.auth import ApiKey, Auth, Basic, Bearer
from penstock.upstream.guard import Egress

LOOPBACK_HOSTS = ("127.0.0.1", "localhost", "::1")


@dataclass(frozen=True, slots=True)
class Finding:
    """severity: an error keeps the connector from working, a warning does not."""

    file: str
    line: int
    message: str
    cure: str
    severity: Literal["error", "warning"] = "error"


Routes = Mapping[str, Callable[..., Any]]
Rule = Callable[[Loaded], Iterator[Finding]]


def check(target: str) -> list[Finding]:
    """All findings of a connector, in order of file and line."""
    try:
        loaded = load(target)
    except ConnectorError as error:
        cure = "mend this line, then check again; the other rules need a connector that imports"
        return [Finding(error.file or target, error.line or 1, error.message, cure)]
    findings = [finding for rule in RULES for finding in rule(loaded)]
    return sorted(findings, key=lambda f: (f.file, f.line, f.message))


def _poll_streams(loaded: Loaded) -> Iterator[Finding]:
    """A poll stream has one collection or one sync route."""
    connector = loaded.connector
    for stream in connector.streams.values():
        if stream.mode != "poll":
            continue
        mapping = connector.mappings.get(stream.key)
        collection = mapping is not None and mapping.endpoint is not None
        route = connector.sync_routes.get(stream.key)
        if not collection and route is None:
            yield _at(
                stream.place,
                f"poll stream {stream.key} has no collection and no sync route",
                f'declare one: @{connector.key}.collection("{stream.key}", …) or '
                f'@{connector.key}.sync("{stream.key}")',
            )
        if collection and route is not None:
            yield _at(
                of_function(route),
                f"poll stream {stream.key} has a collection and a sync route",
                "keep one; a route that fetches itself goes with .mapping(…) and ingest.records",
            )


def _backfill_streams(loaded: Loaded) -> Iterator[Finding]:
    connector = loaded.connector
    for stream in connector.streams.values():
        if stream.mode == "backfill" and stream.key not in connector.backfill_routes:
            yield _at(
                stream.place,
                f"backfill stream {stream.key} has no backfill route",
                f'declare it: @{connector.key}.backfill("{stream.key}")',
            )


def _webhook_streams(loaded: Loaded) -> Iterator[Finding]:
    connector = loaded.connector
    for stream in connector.streams.values():
        if stream.mode != "webhook":
            continue
        if stream.key not in connector.webhook_routes:
            yield _at(
                stream.place,
                f"webhook stream {stream.key} has no webhook route",
                f'declare it: @{connector.key}.webhook("{stream.key}")',
            )
        if not stream.covered_by:
            yield _at(
                stream.place,
                f"webhook stream {stream.key} is covered by no poll",
                "name the polls that find what a lost delivery brought: covered_by=(…,)",
                "warning",
            )
        for other in stream.covered_by:
            if other not in connector.streams or connector.streams[other].mode != "poll":
                yield _at(
                    stream.place,
                    f"covered_by of {stream.key} names {other!r}, which is no poll stream",
                    f"name poll streams: {_names(connector, 'poll')}",
                )


def _declared_streams(loaded: Loaded) -> Iterator[Finding]:
    """Routes and mappings serve declared streams of their mode."""
    connector = loaded.connector
    serving: list[tuple[str, Place, str, tuple[str, ...]]] = [
        (m.stream, m.place, "collection" if m.endpoint else "mapping", ("poll", "backfill"))
        for m in connector.mappings.values()
    ]
    tables: tuple[tuple[str, Routes, tuple[str, ...]], ...] = (
        ("sync route", connector.sync_routes, ("poll",)),
        ("backfill route", connector.backfill_routes, ("poll", "backfill")),
        ("webhook route", connector.webhook_routes, ("webhook",)),
    )
    for kind, routes, modes in tables:
        serving += [(key, of_function(f), kind, modes) for key, f in routes.items()]
    for key, place, kind, modes in serving:
        stream = connector.streams.get(key)
        if stream is None:
            yield _at(
                place,
                f"this {kind} serves stream {key!r}, which is not declared",
                f'add Stream("{key}", mode="{modes[0]}") to streams=[…], or mend the name; '
                f"declared: {', '.join(connector.streams) or 'none'}",
            )
        elif stream.mode not in modes and kind != "mapping":
            yield _at(
                place,
                f"this {kind} serves {key}, a {stream.mode} stream",
                f"a {kind} serves {' or '.join(modes)} streams",
            )


def _route_files(loaded: Loaded) -> Iterator[Finding]:
    """In a package, the file of a route bears its stream's name."""
    connector = loaded.connector
    tables = (connector.sync_routes, connector.backfill_routes, connector.webhook_routes)
    for folder, routes in zip(ROUTE_FOLDERS, tables, strict=True):
        for key, function in routes.items():
            place = of_function(function)
            file = Path(place.file)
            if file.parent.name == folder and file.stem != key:
                yield _at(
                    place,
                    f"file {folder}/{file.name} serves stream {key!r}",
                    f"rename the file to {folder}/{key}.py, or serve {file.stem!r}",
                )


def _documents(loaded: Loaded) -> Iterator[Finding]:
    """Document types exist and may be written."""
    connector = loaded.connector
    named = [(m.document, m.place) for m in connector.mappings.values()]
    named += [(d, connector.place) for d in connector.permissions.documents]
    for document, place in named:
        if fault := _unknown_type(document):
            yield _at(place, fault, "see `penstock contracts list`")
    for mapping in connector.mappings.values():
        if not _unknown_type(mapping.document):
            yield from _not_permitted(connector, mapping.document, "write", mapping.place)


def _ingest_calls(loaded: Loaded) -> Iterator[Finding]:
    """Literal streams and document types in ingest calls are declared and permitted."""
    connector = loaded.connector
    for file in loaded.files:
        for call in _calls(file):
            place = Place(str(file), call.line)
            if call.stream is not None and call.stream not in connector.streams:
                yield _at(
                    place,
                    f"ingest.{call.name} names stream {call.stream!r}, which is not declared",
                    f"declared streams: {', '.join(connector.streams) or 'none'}",
                )
            if call.document is None:
                continue
            if fault := _unknown_type(call.document):
                yield _at(place, fault, "see `penstock contracts list`")
            else:
                action = "delete" if call.name == "delete" else "write"
                yield from _not_permitted(connector, call.document, action, place)


def _settings_schema(loaded: Loaded) -> Iterator[Finding]:
    """The settings are a JSON Schema, and what auth and templates name is in them."""
    import jsonschema_rs

    connector = loaded.connector
    try:
        jsonschema_rs.validator_for(dict(connector.settings))
    except (jsonschema_rs.ValidationError, ValueError) as error:
        message = f"settings are no valid JSON Schema: {str(error).splitlines()[0]}"
        yield _at(connector.place, message, "mend the schema in settings={…}")
        return
    members = connector.settings.get("properties", {})
    for scheme in connector.auth:
        for name in _secrets_of(scheme):
            if name not in members:
                yield _at(
                    connector.place,
                    f"auth uses {name!r}, which is not in the settings",
                    f'add "{name}": {{"type": "string", "x-secret": True}} to the properties',
                )
            elif not members[name].get("x-secret"):
                yield _at(
                    connector.place,
                    f"auth uses {name!r}, which is not marked as a secret",
                    f'add "x-secret": True to "{name}", so that it is sealed and never shown',
                )


def _templates(loaded: Loaded) -> Iterator[Finding]:
    connector = loaded.connector
    declared: list[tuple[Any, Place]] = [
        (connector.base_url, connector.place),
        (list(connector.permissions.http), connector.place),
    ]
    for mapping in connector.mappings.values():
        if endpoint := mapping.endpoint:
            parts = [endpoint.path, endpoint.params, endpoint.headers, endpoint.json]
            declared.append((parts, mapping.place))
    members = connector.settings.get("properties", {})
    for parts, place in declared:
        try:
            names = template.names(parts)
        except PenstockError as error:
            yield _at(place, error.message, "use settings, account, facts or parent")
            continue
        for scope, name in sorted(names):
            if scope == "settings" and name not in members:
                yield _at(
                    place,
                    f"{{settings.{name}}} is not in the settings",
                    f'add "{name}" to the properties of settings={{…}}, or mend the name',
                )


def _hosts(loaded: Loaded) -> Iterator[Finding]:
    """Permission patterns are well formed and cover the base URL."""
    connector = loaded.connector
    fixed = [p for p in connector.permissions.http if "{" not in p]
    for pattern in connector.permissions.http:
        if urlsplit(pattern).hostname in LOOPBACK_HOSTS:
            yield _at(
                connector.place,
                f"permission {pattern} lets connections reach this machine",
                "keep it for development and simulators only",
                "warning",
            )
    try:
        egress = Egress.of(fixed, allow_loopback=True)
    except PenstockError as error:
        yield _at(connector.place, error.message, "mend the pattern in Permissions(http=[…])")
        return
    if not connector.permissions.http and connector.base_url:
        message = "the connector may reach no host at all"
        yield _at(connector.place, message, 'add Permissions(http=["https://host/*"])')
    elif connector.base_url and "{" not in connector.base_url:
        try:
            egress.check(connector.base_url.rstrip("/") + "/")
        except PenstockError as error:
            yield _at(connector.place, error.message, "add the host to Permissions(http=[…])")


def _schedules(loaded: Loaded) -> Iterator[Finding]:
    from datetime import UTC, datetime

    from cronsim import CronSim, CronSimError

    for stream in loaded.connector.streams.values():
        if stream.schedule is None:
            continue
        try:
            CronSim(stream.schedule, datetime(2026, 1, 1, tzinfo=UTC))
        except CronSimError as error:
            yield _at(
                stream.place,
                f"schedule {stream.schedule!r} of {stream.key} is no cron expression: {error}",
                'write five fields, for instance "*/15 * * * *"',
            )
        if stream.mode == "webhook":
            message = f"webhook stream {stream.key} has a schedule"
            yield _at(stream.place, message, "schedule the polls that cover it instead")


RULES: tuple[Rule, ...] = (
    _poll_streams,
    _backfill_streams,
    _webhook_streams,
    _declared_streams,
    _route_files,
    _documents,
    _ingest_calls,
    _settings_schema,
    _templates,
    _hosts,
    _schedules,
)


@dataclass(frozen=True, slots=True)
class _IngestCall:
    name: str
    line: int
    stream: str | None
    document: str | None


def _calls(file: Path) -> Iterator[_IngestCall]:
    """Every `ingest.x(…)` in a file, with the literals among its arguments."""
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Attribute):
            continue
        owner = node.func.value
        if isinstance(owner, ast.Name) and owner.id == "ingest":
            first = _literal(node.args[0]) if node.args else None
            named = {k.arg: _literal(k.value) for k in node.keywords if k.arg}
            takes_stream = node.func.attr in {"record", "records"}
            yield _IngestCall(
                name=node.func.attr,
                line=node.lineno,
                stream=named.get("stream", first if takes_stream else None),
                document=None if takes_stream else named.get("document_type", first),
            )


def _secrets_of(scheme: Auth) -> tuple[str, ...]:
    match scheme:
        case Bearer(secret=name) | ApiKey(secret=name):
            return (name,)
        case Basic(password=str(name)):
            return (name,)
        case _:
            return ()


def _literal(node: ast.expr) -> str | None:
    return node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else None


def _unknown_type(document: str) -> str | None:
    try:
        registry.contract(document)
    except PenstockError as error:
        return error.message
    return None


def _not_permitted(
    connector: Connector, document: str, action: str, place: Place
) -> Iterator[Finding]:
    if not connector.permissions.allows(document, action):
        yield _at(
            place,
            f"the permissions do not allow to {action} {document}",
            f'add "{document}": ["{action}"] to Permissions(documents={{…}})',
        )


def _names(connector: Connector, mode: str) -> str:
    return ", ".join(s.key for s in connector.streams.values() if s.mode == mode) or "there is none"


def _at(
    place: Place, message: str, cure: str, severity: Literal["error", "warning"] = "error"
) -> Finding:
    return Finding(place.file, place.line, message, cure, severity)
