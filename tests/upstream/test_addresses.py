"""The table of addresses against its source, line by line, and at both ends of each network."""

from __future__ import annotations

from ipaddress import ip_address, ip_network

import pytest

from penstock.upstream.addresses import is_loopback, is_public, literal

CLOSED = [
    "0.0.0.0/8",
    "10.0.0.0/8",
    "100.64.0.0/10",
    "127.0.0.0/8",
    "169.254.0.0/16",
    "172.16.0.0/12",
    "192.0.0.0/24",
    "192.0.2.0/24",
    "192.31.196.0/24",
    "192.52.193.0/24",
    "192.88.99.0/24",
    "192.168.0.0/16",
    "192.175.48.0/24",
    "198.18.0.0/15",
    "198.51.100.0/24",
    "203.0.113.0/24",
    "224.0.0.0/4",
    "240.0.0.0/4",
    "168.63.129.16/32",
    "::/128",
    "::1/128",
    "::/96",
    "::ffff:0:0/96",
    "64:ff9b::/96",
    "64:ff9b:1::/48",
    "100::/64",
    "2001::/23",
    "2001:db8::/32",
    "2002::/16",
    "2620:4f:8000::/48",
    "3fff::/20",
    "4000::/3",
    "5f00::/16",
    "fc00::/7",
    "fe80::/10",
    "fec0::/10",
    "ff00::/8",
]


@pytest.mark.parametrize("network", CLOSED)
def test_closed_networks_are_closed_from_end_to_end(network):
    for address in (ip_network(network)[0], ip_network(network)[-1]):
        assert not is_public(address), address


@pytest.mark.parametrize(
    "address",
    [
        "1.0.0.0",
        "1.1.1.1",
        "8.8.8.8",
        "9.255.255.255",
        "11.0.0.0",
        "93.184.216.34",
        "100.63.255.255",
        "100.128.0.0",
        "126.255.255.255",
        "128.0.0.0",
        "168.63.129.15",
        "168.63.129.17",
        "169.253.255.255",
        "169.255.0.0",
        "172.15.255.255",
        "172.32.0.0",
        "191.255.255.255",
        "192.0.1.0",
        "192.167.255.255",
        "192.169.0.0",
        "198.17.255.255",
        "198.20.0.0",
        "223.255.255.255",
        "2000::1",
        "2001:200::1",
        "2001:4860:4860::8888",
        "2001:db7::1",
        "2001:db9::1",
        "2003::1",
        "2606:2800:220:1::1",
        "2620:4f:7fff::1",
        "2a00:1450:4001::1",
        "3ffe::1",
        "3fff:1000::1",
    ],
)
def test_their_neighbours_are_public(address):
    assert is_public(ip_address(address))


def test_where_python_says_yes_the_table_may_say_no():
    """Which of these Python calls global depends on its version."""
    for text in ("192.0.0.192", "224.0.0.1", "64:ff9b::7f00:1", "2002:7f00:1::", "3fff::1"):
        assert not is_public(ip_address(text))


def test_loopback_goes_by_what_is_written():
    for host in ("localhost", "api.localhost", "127.0.0.1", "127.8.9.10", "::1"):
        assert is_loopback(host), host
    for host in (
        "localhost.test",
        "::ffff:127.0.0.1",
        "0.0.0.0",
        "::",
        "2130706433",
        "notlocalhost",
    ):
        assert not is_loopback(host), host


def test_an_address_is_one_in_its_plain_form_alone():
    assert literal("10.0.0.1") == ip_address("10.0.0.1")
    for host in (
        "0x7f.1",
        "127.1",
        "2130706433",
        "0177.0.0.1",
        "fe80::1%eth0",
        "api.acme.test",
        "",
    ):
        assert literal(host) is None, host
