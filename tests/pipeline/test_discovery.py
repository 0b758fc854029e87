"""Asking a connection whose account it opens."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import httpx2
import pytest

from penstock import Account, ingest
from penstock.errors import (
    ConnectorError,
    OutsideRouteError,
    PenstockError,
    RouteFailedError,
    SettingsError,
)
from penstock.pipeline.discovery import discover, the_one
from penstock.upstream.auth import Credentials
from penstock.upstream.client import Client
from penstock.upstream.guard import Egress
from tests.pipeline.plant import URL, Plant, Provider, empty

SECRET = "canary-of-a-connection"
ACME, BETA = Account("a", "Acme"), Account("b", "Beta")


@pytest.fixture
def asked(make_plant: Callable[..., Plant], provider: Provider) -> Callable[[Any], list[Account]]:
    """What a discovery function answers."""

    def ask(function: Any) -> list[Account]:
        connector = empty()
        if function is not None:
            connector.discover(function)
        plant = make_plant(connector)
        transport = httpx2.MockTransport(provider)
        client = Client(
            URL,
            egress=Egress.of([f"{URL}/*"]),
            clock=plant.clock,
            credentials=Credentials({"api_key": SECRET}),
            transport=transport,
        )
        return discover(plant.installation, client, plant.clock)

    return ask


def test_it_asks_the_provider(asked: Any, provider: Provider) -> None:
    provider.answers = [httpx2.Response(200, json={"id": "a", "company": "Acme"})]

    def account(request: Any) -> Account:
        request.log("asking")
        me = request.http.get("/me").json()
        return Account(me["id"], me["company"])

    assert asked(account) == [ACME]
    assert provider.requests[0].url.path == "/me"


@pytest.mark.parametrize("account", [
    Account("a", f"Acme {SECRET}"),
    Account("a", "Acme", facts={"tenant": 1, "debug": {"key": [SECRET]}}),
])  # fmt: skip
def test_a_secret_among_the_facts_is_refused_and_not_shown(asked: Any, account: Account) -> None:
    with pytest.raises(ConnectorError, match="leave it out") as refused:
        asked(lambda _request: account)
    assert SECRET not in str(refused.value)


def test_several_accounts_and_none(asked: Any) -> None:
    assert asked(lambda _: [ACME, BETA]) == [ACME, BETA]
    assert asked(None) == []
    with pytest.raises(SettingsError, match="open no account"):
        asked(lambda _: [])


def test_anything_else_is_the_connectors_fault(asked: Any) -> None:
    with pytest.raises(ConnectorError, match="returned dict"):
        asked(lambda _: {"id": "a"})
    with pytest.raises(RouteFailedError, match="the discovery raised ZeroDivisionError"):
        asked(lambda _: 1 / 0)


def test_nothing_is_ingested_by_a_discovery(asked: Any) -> None:
    def one(_: Any) -> Any:
        return ingest.canonical("customer", {}, stream="customers", idempotency_key="k")

    def many(_: Any) -> Any:
        return ingest.records("customers", [{}])

    for function in (one, many):
        with pytest.raises(OutsideRouteError, match="a discovery answers Account"):
            asked(function)


def test_what_the_requests_raise_passes(asked: Any, provider: Provider) -> None:
    provider.answers = [httpx2.Response(401, text="who are you?")]
    with pytest.raises(PenstockError, match="401"):
        asked(lambda request: request.http.get("/me"))


def test_a_connection_keeps_its_one_account() -> None:
    assert the_one([ACME], None) == ACME
    assert the_one([], ACME) == ACME
    assert the_one([], None) is None
    with pytest.raises(SettingsError, match="belongs to a"):
        the_one([BETA], ACME)
    with pytest.raises(SettingsError, match="open 2 accounts"):
        the_one([ACME, BETA], None)
