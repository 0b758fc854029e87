"""What the composition root makes of settings and manifests: the way out of a connection."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from penstock.app import App
from penstock.config import Settings
from penstock.errors import (
    EgressDeniedError,
    PageRefusedError,
    UpstreamUnavailableError,
    UsageError,
)
from tests.database import url_in
from tests.upstream.clock import FakeClock
from tests.upstream.provider import Provider, answer, page

MANIFEST = """
from penstock import Account, Bearer, Connector, Limits, Permissions, Stream

acme = Connector(
    key="acme", name="Acme", provider="acme", version="0.1.0", base_url="{settings.base_url}",
    settings={"type": "object", "required": ["base_url", "api_key"], "properties": {
        "base_url": {"type": "string"}, "api_key": {"type": "string", "x-secret": True}}},
    auth=Bearer(), permissions=Permissions(http=["PATTERN"], documents={"customer": ["write"]}),
    limits=LIMITS, streams=[Stream("customers", mode="poll")])

@acme.discover
def account(request):
    return Account(request.http.get("/me").json()["id"], "Acme")

@acme.collection("customers", path="/customers", records="data", id="id", document="customer")
def customer(record):
    return {"customer_id": record["id"], "name": record["name"]}
"""

Open = Callable[..., App]


@pytest.fixture
def opened(backend: str, tmp_path: Path) -> Iterator[Open]:
    """An app with settings of one's own."""
    with ExitStack() as stack:
        key = b64encode(bytes(range(32))).decode()

        def make(**settings: str) -> App:
            database = url_in(tmp_path)
            given = Settings(database=database, master_key=key, **settings)
            return stack.enter_context(App.open(given, clock=FakeClock()))

        yield make


def connector(folder: Path, pattern: str, limits: str = "Limits()") -> str:
    path = folder / "acme.py"
    path.write_text(MANIFEST.replace("PATTERN", pattern).replace("LIMITS", limits))
    return str(path)


def connect(app: App, target: str, url: str, *, allow_loopback: bool = False) -> None:
    secrets = {"api_key": "s3cret"}
    app.connect(target, "acme-main", {"base_url": url}, secrets, allow_loopback=allow_loopback)


class TestLoopback:
    def test_is_refused_to_a_setting(self, opened: Open, tmp_path: Path) -> None:
        """SE5"""
        target = connector(tmp_path, "{settings.base_url}/*")
        with Provider([]) as canary:
            with pytest.raises(EgressDeniedError, match="--allow-loopback"):
                connect(opened(), target, canary.url)
            assert canary.connections == 0

    def test_may_be_allowed_to_one_connection(self, opened: Open, tmp_path: Path) -> None:
        target = connector(tmp_path, "{settings.base_url}/*")
        with Provider([page({"id": "a"})]) as provider:
            connect(opened(), target, provider.url, allow_loopback=True)
            assert len(provider.received) == 1

    def test_is_allowed_by_a_manifest_that_names_it(self, opened: Open, tmp_path: Path) -> None:
        app = opened()
        with Provider([page({"id": "a"}), page({"data": []})]) as provider:
            target = connector(tmp_path, "http://127.0.0.1/*")
            connect(app, target, provider.url)
            assert [report.state for report in app.run("acme-main")] == ["done"]
            assert len(provider.received) == 2
        warnings = [found.message for found in app.check(target) if found.severity == "warning"]
        assert "permission http://127.0.0.1/* lets connections reach this machine" in warnings


class TestPrivateNetworks:
    def test_are_named_when_one_is_needed(self, opened: Open, tmp_path: Path) -> None:
        target = connector(tmp_path, "https://10.1.2.3/*")
        with pytest.raises(EgressDeniedError, match="the setting private_networks"):
            connect(opened(), target, "https://10.1.2.3")

    def test_are_networks(self, opened: Open, tmp_path: Path) -> None:
        target = connector(tmp_path, "https://api.acme.test/*")
        with pytest.raises(UsageError, match=r"127\.0\.0\.0/8 is no part of a private network"):
            connect(opened(private_networks="127.0.0.0/8"), target, "https://api.acme.test")


class TestProxy:
    def test_of_the_settings_is_asked(self, opened: Open, tmp_path: Path) -> None:
        target = connector(tmp_path, "https://api.acme.test/*")
        with Provider([answer(403)] * 6) as proxy:
            app = opened(proxy=proxy.url)
            with pytest.raises(UpstreamUnavailableError, match=r"the proxy .* answered 403"):
                connect(app, target, "https://api.acme.test")
            assert {asked.target for asked in proxy.received} == {"api.acme.test:443"}
        assert proxy.url not in repr(app.settings)

    def test_is_not_in_the_way_of_this_machine(self, opened: Open, tmp_path: Path) -> None:
        target = connector(tmp_path, "http://127.0.0.1/*")
        with Provider([]) as proxy, Provider([page({"id": "a"})]) as provider:
            connect(opened(proxy=proxy.url), target, provider.url)
            assert (proxy.connections, len(provider.received)) == (0, 1)


class TestLimits:
    def test_of_a_connector_are_those_of_its_connections(
        self, opened: Open, tmp_path: Path
    ) -> None:
        large = answer(200, b" " * (64 * 1024 * 1024) + b'{"id": "a"}')
        app = opened()
        with Provider([large, large]) as provider:
            usual = connector(tmp_path, "http://127.0.0.1/*")
            with pytest.raises(PageRefusedError, match="passes 67108864 bytes"):
                connect(app, usual, provider.url)
            raised = connector(tmp_path, "http://127.0.0.1/*", "Limits(body_bytes=80_000_000)")
            connect(app, raised, provider.url)
            assert len(provider.received) == 2
