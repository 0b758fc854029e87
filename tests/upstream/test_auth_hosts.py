"""Credentials go to the origin of base_url and to the declared hosts, nowhere else."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from penstock.upstream.auth import ApiKey, Bearer, Credentials, InTurn, TokenRequest
from penstock.upstream.client import Client
from penstock.upstream.guard import Egress, Pattern
from penstock.upstream.request import Request

from .clock import FakeClock
from .provider import Provider, page, redirect

OURS = Credentials({"api_key": "s3cret/+key"})
SCHEMES = InTurn((Bearer(), ApiKey(query="key"), ApiKey(json="key")))


@contextmanager
def two(ours, theirs, *hosts: str) -> Iterator[tuple[Provider, Provider, Client]]:
    """Our provider, another host that is permitted as well, and a client of ours."""
    with Provider(ours) as own, Provider(theirs) as other:
        trusted = tuple(Pattern.parse(host.format(other=other.url)) for host in hosts)
        client = Client(
            own.url,
            egress=Egress.of([own.url + "/*", other.url + "/*"], allow_loopback=True),
            clock=FakeClock(),
            auth=SCHEMES,
            credentials=OURS,
            auth_hosts=trusted,
        )
        with client:
            yield own, other, client


def is_signed(provider: Provider) -> bool:
    (received,) = provider.received
    signed = [
        "s3cret" in received.headers.get("authorization", ""),
        "s3cret" in received.target,
        b"s3cret" in received.body,
    ]
    assert len(set(signed)) == 1, "signed in part"
    return signed[0]


def test_the_own_origin_gets_them():
    with two([page({})], []) as (own, _, client):
        client.send(Request("POST", "/x", json={"a": 1}))
    assert is_signed(own)


def test_another_permitted_host_does_not():
    """A link in a page, a download on somebody's file host: asked for, but without a key."""
    with two([], [page({})]) as (_, other, client):
        client.send(Request("POST", other.url + "/x", json={"a": 1}))
    assert not is_signed(other)


def test_a_declared_host_does():
    with two([], [page({})], "{other}/files/*") as (_, other, client):
        client.send(Request("POST", other.url + "/files/x", json={"a": 1}))
    assert is_signed(other)


def test_a_declared_path_is_no_other_path():
    with two([], [page({})], "{other}/files/*") as (_, other, client):
        client.send(Request("POST", other.url + "/elsewhere", json={"a": 1}))
    assert not is_signed(other)


@pytest.mark.parametrize("status", [307, 308])
def test_a_redirect_takes_none_of_them_along(status):
    """SE6: header, query and body alike."""
    with Provider([page({})]) as other, Provider([redirect(status, other.url + "/x")]) as own:
        egress = Egress.of([own.url + "/*", other.url + "/*"], allow_loopback=True)
        client = Client(own.url, egress=egress, clock=FakeClock(), auth=SCHEMES, credentials=OURS)
        with client:
            client.send(Request("POST", "/x", json={"a": 1}))
    assert is_signed(own)
    assert not is_signed(other)


def test_a_redirect_of_a_token_endpoint_is_not_followed():
    """SE6: the form holds the client's secret and a refresh token."""
    with Provider([]) as other, Provider([redirect(307, other.url + "/token")]) as own:
        egress = Egress.of([own.url + "/*", other.url + "/*"], allow_loopback=True)
        with Client(own.url, egress=egress, clock=FakeClock()) as client:
            asked = TokenRequest(own.url + "/token", (("refresh_token", "s3cret"),))
            assert client.ask_for_tokens(asked).status == 307
    assert own.received[0].body == b"refresh_token=s3cret"
    assert other.received == []
