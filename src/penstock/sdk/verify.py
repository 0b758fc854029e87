"""`penstock check`: what is wrong with a connector, found without running it.

A rule is a function from a loaded connector to findings; `RULES` is the list of them. Each
finding names file and line, and says how to mend it.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any, Literal

from penstock.contracts import registry
from penstock.errors import ConnectorError, PenstockError
from penstock.model.schedule import Schedule
from penstock.sdk.connector import Connector
from penstock.sdk.declared import Place, of_function
from penstock.sdk.loader import ROUTE_FOLDERS, Loaded, load
from penstock.sdk.past import Past, path_keys
from penstock.sdk.stream import Stream
from penstock.upstream import template
from penstock.upstream.addresses import PRIVATE
from penstock.upstream.auth import ApiKey, Auth, Basic, Bearer
from penstock.upstream.counted import Offset
from penstock.upstream.guard import Egress, names_loopback
from penstock.upstream.hmac_signed import HmacSigned
from penstock.upstream.oauth import OAuth2


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
        if stream.mode == "backfill" and Past.of(connector, stream.key) is None:
            yield _at(
                stream.place,
                f"backfill stream {stream.key} has no backfill route",
                f'declare it: @{connector.key}.backfill("{stream.key}"), or a collection with '
                "Since(param=…, until=…)",
            )


def _slices(loaded: Loaded) -> Iterator[Finding]:
    """What only a backfill gives is not needed by a poll, and an upper bound has a lower one."""
    connector = loaded.connector
    for mapping in connector.mappings.values():
        endpoint, stream = mapping.endpoint, connector.streams.get(mapping.stream)
        if endpoint is None or stream is None:
            continue
        since = endpoint.since
        if since is not None and since.until is not None and not since.asks:
            yield _at(
                mapping.place,
                f"Since of {mapping.stream} has until={since.until!r} and sends no lower bound, so "
                "that it has no slice to ask for",
                "name where the lower bound is sent: param= or header=",
                "warning",
            )
        for key in sorted(path_keys(endpoint) if stream.mode == "poll" else ()):
            yield _at(
                mapping.place,
                f"{{partition.{key}}} stands in the path of {mapping.stream}, and only a backfill "
                "has partitions: its polls would fail",
                "put it into params=, where it is left out, or give the stream a backfill route",
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
        for name in sorted(_settings_of(scheme) - set(members)):
            yield _at(
                connector.place,
                f"auth uses {name!r}, which is not in the settings",
                f'add "{name}": {{"type": "string"}} to the properties',
            )


def _auth(loaded: Loaded) -> Iterator[Finding]:
    """Credentials have somewhere to go, and tokens somewhere to come from."""
    connector = loaded.connector
    if connector.auth and not connector.base_url and not connector.auth_hosts:
        yield _at(
            connector.place,
            "credentials go to base_url's origin, and there is no base_url",
            'add base_url="https://host", or auth_hosts=["https://host/*"]',
        )
    oauth = connector.oauth
    if oauth is None or "{" in oauth.token_url:
        return
    patterns = (*connector.permissions.http, *connector.auth_hosts)
    try:
        fixed = [pattern for pattern in patterns if "{" not in pattern]
        Egress.of(fixed, allow_loopback=True, networks=PRIVATE).check(oauth.token_url)
    except PenstockError as error:
        yield _at(connector.place, error.message, 'add the host to auth_hosts=["https://host/*"]')


def _templates(loaded: Loaded) -> Iterator[Finding]:
    connector = loaded.connector
    declared: list[tuple[Any, Place, bool]] = [
        (connector.base_url, connector.place, False),
        (list(connector.permissions.http), connector.place, False),
        (list(connector.auth_hosts), connector.place, False),
        (connector.oauth.templates if connector.oauth else (), connector.place, False),
    ]
    for mapping in connector.mappings.values():
        if endpoint := mapping.endpoint:
            parts = [endpoint.path, endpoint.params, endpoint.headers, endpoint.json]
            declared.append((parts, mapping.place, endpoint.parent is not None))
    members = connector.settings.get("properties", {})
    for parts, place, has_parent in declared:
        try:
            names = template.names(parts)
        except PenstockError as error:
            yield _at(place, error.message, "use settings, account, facts, parent or partition")
            continue
        for scope, name in sorted(names):
            if scope == "parent" and not has_parent:
                yield _at(
                    place,
                    f"{{parent.{name}}} stands in a declaration without a parent",
                    'add parent="…", the stream whose documents this is fetched below',
                )
            if scope == "partition" and place is connector.place:
                yield _at(
                    place,
                    f"{{partition.{name}}} stands where all streams look, and belongs to one",
                    "put it into the declaration of a collection",
                )
            if scope == "settings" and name not in members:
                yield _at(
                    place,
                    f"{{settings.{name}}} is not in the settings",
                    f'add "{name}" to the properties of settings={{…}}, or mend the name',
                )


def _parents(loaded: Loaded) -> Iterator[Finding]:
    """A parent is a stream whose documents exist, and the chain of parents has an end."""
    mappings = loaded.connector.mappings
    for mapping in mappings.values():
        endpoint = mapping.endpoint
        if endpoint is None or endpoint.parent is None:
            continue
        above = mappings.get(endpoint.parent)
        if above is None:
            yield _at(
                mapping.place,
                f"the parent {endpoint.parent!r} of {mapping.stream} is no stream with a mapping",
                f"name one of: {', '.join(sorted(mappings))}",
            )
        elif above.endpoint is not None and above.endpoint.parent == mapping.stream:
            yield _at(
                mapping.place,
                f"{mapping.stream} and {endpoint.parent} are each other's parents",
                "leave parent= out of the upper one",
            )


def _completions(loaded: Loaded) -> Iterator[Finding]:
    """What completes a record stands before the mapping of its stream."""
    connector = loaded.connector
    for stream, function in connector.completions.items():
        if stream not in connector.mappings:
            yield _at(
                of_function(function),
                f"the completion of {stream} has no mapping behind it",
                f'declare @{connector.key}.collection("{stream}", …) or .mapping("{stream}", …)',
            )


def _hosts(loaded: Loaded) -> Iterator[Finding]:
    """Permission patterns are well formed and cover the base URL."""
    connector = loaded.connector
    fixed = [p for p in connector.permissions.http if "{" not in p]
    for pattern in connector.permissions.http:
        if names_loopback(pattern):
            yield _at(
                connector.place,
                f"permission {pattern} lets connections reach this machine",
                "keep it for development and simulators only",
                "warning",
            )
    try:
        egress = Egress.of(fixed, allow_loopback=True, networks=PRIVATE)
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


def _offsets(loaded: Loaded) -> Iterator[Finding]:
    """Rows can be skipped where pages are cut by row number, until everything is read again."""
    connector = loaded.connector
    for mapping in connector.mappings.values():
        stream = connector.streams.get(mapping.stream)
        if mapping.endpoint is None or not isinstance(mapping.endpoint.pages, Offset):
            continue
        if stream is not None and stream.full is None:
            yield _at(
                mapping.place,
                f"stream {mapping.stream} pages by offset: rows can be skipped when others are "
                "deleted or re-sorted meanwhile; one page is read again where that shows",
                "ask in the order of something that never changes, such as the id, and read "
                'everything now and then: Stream(…, full="0 3 * * sun"); or use another pager '
                "where the API has one (`penstock probe` looks)",
                "warning",
            )


def _schedules(loaded: Loaded) -> Iterator[Finding]:
    for stream in loaded.connector.streams.values():
        yield from _cron(stream, "schedule", stream.schedule, "*/15 * * * *")
        yield from _cron(stream, "full", stream.full, "0 3 * * sun")
        if stream.mode == "webhook" and (stream.schedule or stream.full):
            message = f"webhook stream {stream.key} has a schedule"
            yield _at(stream.place, message, "schedule the polls that cover it instead")


def _cron(stream: Stream, name: str, schedule: str | None, example: str) -> Iterator[Finding]:
    if schedule is None:
        return
    try:
        Schedule.parse(schedule)
    except ValueError as error:
        yield _at(
            stream.place,
            f"{name} of {stream.key}: {error}",
            f'write five fields, for instance "{example}", and before them "CRON_TZ=Europe/Berlin "'
            " where they are not meant in UTC",
        )


def _watermarks(loaded: Loaded) -> Iterator[Finding]:
    """What a `Since` declares loses nothing."""
    for mapping in loaded.connector.mappings.values():
        since = mapping.endpoint.since if mapping.endpoint else None
        if since is None:
            continue
        if since.asks and since.settle <= timedelta(0):
            yield _at(
                mapping.place,
                f"Since of {mapping.stream} leaves the source no time to settle: a change that is "
                "committed late, with an earlier time, is never asked for",
                "leave settle= at its 60 seconds, or name how late changes show up at most",
                "warning",
            )
        if since.asks and not since.reads_what_it_writes:
            yield _at(
                mapping.place,
                f"Since format={since.format!r} of {mapping.stream} does not name a day in full, "
                "or not so that it can be read back",
                "a pattern needs year, month and day, such as '%Y-%m-%d %H:%M:%S'",
            )


def _proven_deletes(loaded: Loaded) -> Iterator[Finding]:
    """Absence proves a delete only where everything is enumerated, and a delete may be written."""
    connector = loaded.connector
    for mapping in connector.mappings.values():
        if mapping.endpoint is None or not mapping.endpoint.sweeps:
            continue
        yield from _not_permitted(connector, mapping.document, "delete", mapping.place)
        since, stream = mapping.endpoint.since, connector.streams.get(mapping.stream)
        if stream is not None and since is not None and since.asks and stream.full is None:
            yield _at(
                mapping.place,
                f'deletes="absent" of {mapping.stream} needs complete enumerations, and its runs '
                "ask for changes only",
                f'add full= to its Stream, for instance Stream("{stream.key}", …, '
                'full="0 3 * * sun")',
                "warning",
            )


RULES: tuple[Rule, ...] = (
    _poll_streams,
    _backfill_streams,
    _slices,
    _webhook_streams,
    _declared_streams,
    _route_files,
    _documents,
    _ingest_calls,
    _settings_schema,
    _templates,
    _parents,
    _completions,
    _hosts,
    _auth,
    _offsets,
    _schedules,
    _watermarks,
    _proven_deletes,
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
        case Basic(password=str(name)) | HmacSigned(secret=name):
            return (name,)
        case OAuth2():
            return tuple(sorted(scheme.secrets))
        case _:
            return ()


def _settings_of(scheme: Auth) -> frozenset[str]:
    """Names of settings that need not be secret."""
    match scheme:
        case OAuth2():
            return scheme.settings
        case HmacSigned():
            return scheme.settings - {scheme.secret}
        case _:
            return frozenset()


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
