"""The connector: what a declaration accepts, and what it refuses at once."""

from __future__ import annotations

from typing import Any

import pytest

from penstock.errors import ConnectorError, UnknownStreamError
from penstock.sdk.connector import Connector
from penstock.sdk.permissions import Permissions
from penstock.sdk.stream import Stream


def connector(**changes: Any) -> Connector:
    given = {"key": "acme", "name": "Acme", "provider": "acme", "version": "1.2.3"}
    return Connector(**given | changes)


@pytest.mark.parametrize("key", ["", "Acme", "9lives", "a b", "a" * 64])
def test_keys_are_lower_case_names(key: str) -> None:
    with pytest.raises(ConnectorError, match="connector key"):
        connector(key=key)


@pytest.mark.parametrize("version", ["1", "1.2", "v1.2.3", ""])
def test_versions_have_three_numbers(version: str) -> None:
    with pytest.raises(ConnectorError, match="must look like"):
        connector(version=version)


def test_a_stream_is_declared_once() -> None:
    with pytest.raises(ConnectorError, match="customers is declared twice") as caught:
        connector(streams=[Stream("customers", "poll"), Stream("customers", "webhook")])
    assert caught.value.file == __file__
    assert caught.value.line


def test_stream_keys_and_modes() -> None:
    with pytest.raises(ConnectorError, match="lower snake case"):
        Stream("Bank-Transactions", "poll")
    with pytest.raises(ConnectorError, match="must be one of poll, backfill, webhook"):
        Stream("invoices", "stream")  # type: ignore[arg-type]


def test_a_policy_for_drift_is_a_known_one() -> None:
    assert Stream("invoices", "poll").drift == "warn"
    with pytest.raises(ConnectorError, match="drift 'stop' must be one of allow, warn, pause"):
        Stream("invoices", "poll", drift="stop")  # type: ignore[arg-type]


def test_an_unknown_stream_names_the_known_ones() -> None:
    with pytest.raises(UnknownStreamError, match="it has: customers"):
        connector(streams=[Stream("customers", "poll")]).stream("invoices")


def test_one_mapping_one_route_and_one_discovery() -> None:
    acme = connector(streams=[Stream("customers", "poll")])
    acme.mapping("customers", id="id", document="customer")(lambda record: record)
    acme.sync("customers")(lambda request: None)
    acme.discover(lambda request: None)
    with pytest.raises(ConnectorError, match="has a mapping already"):
        acme.mapping("customers", id="id", document="customer")(lambda record: record)
    with pytest.raises(ConnectorError, match="has a sync route already"):
        acme.sync("customers")(lambda request: None)
    with pytest.raises(ConnectorError, match="has a discovery already"):
        acme.discover(lambda request: None)


def test_a_mapping_takes_a_record_and_perhaps_a_context() -> None:
    acme = connector(streams=[Stream(s, "poll") for s in ("a", "b", "c")])
    acme.mapping("a", id="id", document="customer")(lambda record: record)
    acme.mapping("b", id="id", document="customer")(lambda record, context: record)
    assert not acme.mappings["a"].takes_context
    assert acme.mappings["b"].takes_context
    with pytest.raises(ConnectorError, match="must take"):
        acme.mapping("c", id="id", document="customer")(lambda record, context, more: record)


def test_permissions_know_two_actions() -> None:
    allowed = Permissions(documents={"invoice": ["write"]})
    assert allowed.allows("invoice", "write")
    assert not allowed.allows("invoice", "delete")
    assert not allowed.allows("payment", "write")
    with pytest.raises(ConnectorError, match="'read' on invoice"):
        Permissions(documents={"invoice": ["read"]})


def test_secret_names_come_from_the_schema() -> None:
    schema = {"properties": {"url": {"type": "string"}, "key": {"x-secret": True}}}
    assert connector(settings=schema).secret_names == ("key",)
