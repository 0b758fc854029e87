"""A canary secret goes through all a connection does, and is found at the provider alone.

The provider is unkind: it echoes credentials in bodies and refuses. The author is careless: the
mapping raises with all it knows.
"""

from __future__ import annotations

import contextlib
import io
import json
import logging
import sqlite3
import traceback
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import zstandard

from penstock.app import App
from penstock.cli.main import execute
from penstock.config import Settings
from penstock.errors import PenstockError
from tests.connectors.serving import Asked, served

CANARY = "canary/secret+7f3a"
SPELLINGS = (CANARY, "canary%2Fsecret%2B7f3a", "Y2FuYXJ5L3NlY3JldCs3ZjNh")

CONNECTOR = """
from penstock import Account, ApiKey, Bearer, Connector, Permissions, Stream, sync

acme = Connector(
    key="acme", name="Acme", provider="acme", version="0.1.0",
    base_url="{settings.base_url}",
    settings={"type": "object", "required": ["base_url", "api_key"], "properties": {
        "base_url": {"type": "string"}, "api_key": {"type": "string", "x-secret": True}}},
    auth=[Bearer(secret="api_key"), ApiKey(secret="api_key", query="key")],
    permissions=Permissions(http=["http://127.0.0.1/*"], documents={"customer": ["write"]}),
    streams=[Stream("customers", mode="poll"), Stream("echoes", mode="poll")],
)


@acme.discover
def account(request):
    return Account(id="acct_1", name=request.http.get("/me").json()["name"])


@acme.collection("customers", path="/customers", records="data", id="id", document="customer")
def customer(record, context):
    if record["id"] == "bad":
        raise ValueError(f"cannot map {record} with {context}")
    return {"customer_id": record["id"], "name": record["name"]}


@acme.sync("echoes")
def echoes(request):
    answer = request.http.get("/echo")
    request.log(f"{request} {answer} {answer.request} {answer.url}")
    raise KeyError(f"{request} {answer} {answer.url}")
"""

GOOD = {"id": "cus_1", "name": "Customer 1"}
BAD = {"id": "bad", "name": "Customer 2"}


@dataclass
class Provider:
    """Answers with what it is told to; remembers what it was asked."""

    asked: list[Asked] = field(default_factory=list)
    status: int = 200

    def __call__(self, asked: Asked) -> tuple[int, bytes]:
        self.asked.append(asked)
        if asked.path == "/me":
            return 200, b'{"name": "Acme"}'
        if self.status == 200:
            return 200, json.dumps({"data": [GOOD, BAD]}).encode()
        echo = {"error": f"bad key {CANARY}", "query": dict(asked.query), "was": asked.headers}
        return self.status, json.dumps(echo).encode()


@pytest.fixture
def provider() -> Provider:
    return Provider()


@pytest.fixture
def target(tmp_path: Path) -> str:
    file = tmp_path / "acme.py"
    file.write_text(CONNECTOR)
    return str(file)


@pytest.fixture
def app(tmp_path: Path) -> Iterator[App]:
    with App.open(Settings(database=f"sqlite:///{tmp_path}/penstock.db")) as opened:
        yield opened


def hits(text: str) -> list[str]:
    return [spelling for spelling in SPELLINGS if spelling in text]


def stored(folder: Path) -> str:
    """Every byte of the database and the files beside it, compressed pages unpacked."""
    files = [file for file in folder.iterdir() if file.is_file()]
    assert any(file.name == "penstock.db-wal" for file in files)
    content = [file.read_bytes() for file in files]
    with contextlib.closing(sqlite3.connect(folder / "penstock.db")) as database:
        content += [
            zstandard.ZstdDecompressor().decompress(body)
            for (body,) in database.execute("SELECT body FROM pages")
        ]
        tables = database.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall()
        for (table,) in tables:
            rows = database.execute(f"SELECT * FROM {table}").fetchall()
            content += [
                cell if isinstance(cell, bytes) else str(cell).encode()
                for row in rows
                for cell in row
            ]
    return "\n".join(part.decode("latin-1") for part in content)


def arrived(provider: Provider) -> bool:
    """The control: the provider did get the secret, in the header and in the query."""
    last = provider.asked[-1]
    return last.headers["authorization"] == f"Bearer {CANARY}" and last.query["key"] == CANARY


def connect(app: App, target: str, url: str) -> None:
    app.connect(target, "acme-main", {"base_url": url}, {"api_key": CANARY})


def shown(app: App, reports: Any) -> str:
    """All that the programs above can show of a connection and its runs."""
    workspace = "default"
    return "\n".join(
        [
            *(json.dumps(report.as_json()) for report in reports),
            *(repr(report) for report in reports),
            *(repr(run) for run in app.store.runs.list(workspace)),
            *(repr(letter) for letter in app.store.letters.list(workspace, state=None)),
            *(repr(connection) for connection in app.store.connections.list(workspace)),
        ]
    )


def logged(caplog: pytest.LogCaptureFixture) -> str:
    """The lines, and everything that rides on the records."""
    return caplog.text + "".join(repr(vars(record)) for record in caplog.records)


@pytest.mark.parametrize(
    ("stream", "status", "reason"),
    [
        ("customers", 200, None),
        ("echoes", 200, "route_failed"),
        ("customers", 401, "upstream_error"),
        ("echoes", 401, "upstream_error"),
        ("customers", 418, "upstream_error"),
    ],
)
def test_a_run_shows_its_secret_to_the_provider_alone(
    app: App,
    target: str,
    provider: Provider,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
    stream: str,
    status: int,
    reason: str | None,
) -> None:
    caplog.set_level(logging.DEBUG)
    with served(provider) as url:
        connect(app, target, url)
        provider.status = status
        (report,) = app.run("acme-main", [stream])
    assert report.reason == reason
    assert arrived(provider)
    assert hits(shown(app, [report])) == []
    assert hits(stored(tmp_path)) == []
    assert hits(logged(caplog)) == []
    assert hits("".join(capfd.readouterr())) == []


def test_a_careless_mapping_leaves_a_letter_without_the_secret(
    app: App, target: str, provider: Provider, tmp_path: Path
) -> None:
    with served(provider) as url:
        connect(app, target, url)
        (report,) = app.run("acme-main", ["customers"])
    assert (report.counters.created, report.counters.mapping_errors) == (1, 1)
    (letter,) = app.store.letters.list("default")
    assert "Context(" in letter.message
    assert hits(repr(letter)) == []
    assert hits(stored(tmp_path)) == []


def test_a_refused_connect_keeps_nothing_and_shows_nothing(
    app: App,
    target: str,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.DEBUG)
    asked: list[Asked] = []

    def refuse(request: Asked) -> tuple[int, bytes]:
        asked.append(request)
        return 401, f"no such key: {request.query['key']} {request.headers}".encode()

    with served(refuse) as url, pytest.raises(PenstockError) as caught:
        connect(app, target, url)
    assert asked[0].query["key"] == CANARY
    told = "".join(traceback.format_exception(caught.value)) + repr(vars(caught.value))
    assert "***" in told
    assert hits(told) == []
    assert hits(stored(tmp_path)) == []
    assert hits(logged(caplog)) == []


def test_a_provider_that_is_gone(
    app: App,
    target: str,
    provider: Provider,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Refused connections: the retries log, and the error tells the address."""
    caplog.set_level(logging.DEBUG)
    monkeypatch.setattr(type(app.clock), "sleep", lambda self, seconds: None)
    with served(provider) as url:
        connect(app, target, url)
        assert arrived(provider)
    (report,) = app.run("acme-main", ["customers"])
    assert report.reason == "upstream_unavailable"
    assert "127.0.0.1" in (report.message or "")
    assert "upstream.retried" in caplog.text
    assert hits(shown(app, [report])) == []
    assert hits(logged(caplog)) == []


LINES = [
    ["run", "acme-main"],
    ["connections"],
    ["connections", "test", "acme-main"],
    ["connections", "set", "acme-main", "--set", "page_size=5"],
    ["streams"],
    ["runs"],
    ["dead-letters", "list"],
    ["dead-letters", "replay"],
    ["documents", "list", "customer"],
    ["doctor"],
]


def test_no_command_shows_a_secret(
    target: str,
    provider: Provider,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("PENSTOCK_DEBUG", "1")
    monkeypatch.setenv("ACME_KEY", CANARY)
    shell = shell_on(tmp_path / "penstock.db")
    with served(provider) as url:
        said = shell("connect", target, "--name", "acme-main", "--set", f"base_url={url}",
                     "--secret", "api_key=env:ACME_KEY")  # fmt: skip
        for line in LINES:
            said += shell(*line) + shell(*line, "--json")
        provider.status = 401
        said += shell("run", "acme-main", "--json")
        assert arrived(provider)
    assert "acme-main" in said
    assert "was answered with 401" in said
    assert hits(said) == []


def shell_on(database: Path) -> Callable[..., str]:
    """Runs commands in this process; what they print, on both ways out."""

    def run(*words: str) -> str:
        printed = io.StringIO()
        with contextlib.redirect_stdout(printed), contextlib.redirect_stderr(printed):
            execute(["--database", f"sqlite:///{database}", *words])
        assert "error: unexpected" not in printed.getvalue()
        assert "No such command" not in printed.getvalue()
        return printed.getvalue()

    return run


def test_without_redaction_the_canary_would_be_found(
    app: App,
    target: str,
    provider: Provider,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The control of the search itself: it sees what it is there to see."""
    monkeypatch.setattr("penstock.vault.redaction.Redactor.__call__", lambda self, text: text)
    with served(provider) as url:
        connect(app, target, url)
        provider.status = 401
        (report,) = app.run("acme-main", ["customers"])
    assert hits(shown(app, [report])) != []
