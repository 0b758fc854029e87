"""No connection reaches an address that is not allowed: every disguise, at every entrance.

A canary stands at the end of every wire that leads to an address nobody may dial.
"""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from ipaddress import ip_address
from pathlib import Path

import pytest

from penstock.errors import (
    ConnectorError,
    EgressDeniedError,
    UpstreamUnavailableError,
    UsageError,
)
from penstock.sdk.request import Http
from penstock.upstream import guard, transport
from penstock.upstream.addresses import private_networks, resolve
from penstock.upstream.auth import Bearer, Credentials
from penstock.upstream.client import Client
from penstock.upstream.guard import Egress
from penstock.upstream.proxy import Proxy
from penstock.upstream.transport import Transport

from .certificates import self_signed, serving
from .clock import FakeClock
from .network import Names, Wires
from .provider import Provider, answer, page, raw, redirect, reset

NAME = "api.acme.test"
PUBLIC = "93.184.216.34"

DISGUISES = {
    # this machine, spelled as resolvers understand it
    "127.0.0.1": "127.0.0.1",
    "127.1": "127.0.0.1",
    "127.0.1": "127.0.0.1",
    "127.1.": "127.0.0.1",
    "127.0.0.1.": "127.0.0.1",
    "2130706433": "127.0.0.1",
    "017700000001": "127.0.0.1",
    "0177.0.0.1": "127.0.0.1",
    "0177.1": "127.0.0.1",
    "0x7f000001": "127.0.0.1",
    "0X7F000001": "127.0.0.1",
    "0x7f.1": "127.0.0.1",
    "0x7f.0.0.0x1": "127.0.0.1",
    "127.0.0.0x1": "127.0.0.1",
    "127.0x1": "127.0.0.1",
    "127.255.255.254": "127.255.255.254",
    "0": "0.0.0.0",
    "0x0": "0.0.0.0",
    "0.0.0.0": "0.0.0.0",
    "00.0.0.0": "0.0.0.0",
    "0.0.0.1": "0.0.0.1",
    "①②⑦.①": "127.0.0.1",
    "①②⑦.⓪.⓪.①": "127.0.0.1",
    "１２７.0.0.1": "127.0.0.1",
    "127。0。0。1": "127.0.0.1",
    "127．0．0．1": "127.0.0.1",
    "𝟏𝟐𝟕.0.0.1": "127.0.0.1",
    "%31%32%37.0.0.1": "127.0.0.1",
    "127.0.0.1%00.acme.test": "127.0.0.1",
    "localhost": "127.0.0.1",
    "LOCALHOST": "127.0.0.1",
    "localhost.": "127.0.0.1",
    "ⓛocalhost": "127.0.0.1",
    "ｌｏｃａｌｈｏｓｔ": "127.0.0.1",
    "anything.localhost": "127.0.0.1",
    "127.0.0.1.nip.example": "127.0.0.1",
    "[::1]": "::1",
    "[0:0:0:0:0:0:0:1]": "::1",
    "[::]": "::",
    "[::ffff:127.0.0.1]": "::ffff:127.0.0.1",
    "[::ffff:7f00:1]": "::ffff:7f00:1",
    "[::127.0.0.1]": "::127.0.0.1",
    "[64:ff9b::127.0.0.1]": "64:ff9b::7f00:1",
    "[64:ff9b:1::7f00:1]": "64:ff9b:1::7f00:1",
    "[2002:7f00:1::]": "2002:7f00:1::",
    "[2002:0a00:0001::1]": "2002:a00:1::1",
    "[2001:0:4136:e378:8000:63bf:3fff:fdd2]": "2001:0:4136:e378:8000:63bf:3fff:fdd2",
    # other people's networks behind ours
    "10.0.0.1": "10.0.0.1",
    "012.0.0.1": "10.0.0.1",
    "167772161": "10.0.0.1",
    "172.16.0.1": "172.16.0.1",
    "172.31.255.254": "172.31.255.254",
    "192.168.1.1": "192.168.1.1",
    "192.168.257": "192.168.1.1",
    "100.64.0.1": "100.64.0.1",
    "198.18.0.1": "198.18.0.1",
    "192.0.0.192": "192.0.0.192",
    "192.88.99.1": "192.88.99.1",
    "[fd00::1]": "fd00::1",
    "[fc00::1]": "fc00::1",
    "[fec0::1]": "fec0::1",
    "[fe80::1]": "fe80::1",
    "[fe80::1%25eth0]": "fe80::1",
    "[2606:4700::1111%25lo]": "::1",
    "[::ffff:10.0.0.1]": "::ffff:10.0.0.1",
    # the metadata services of clouds
    "169.254.169.254": "169.254.169.254",
    "169.254.43518": "169.254.169.254",
    "2852039166": "169.254.169.254",
    "0xa9fea9fe": "169.254.169.254",
    "0xa9.0xfe.0xa9.0xfe": "169.254.169.254",
    "[::ffff:169.254.169.254]": "::ffff:a9fe:a9fe",
    "[64:ff9b::a9fe:a9fe]": "64:ff9b::a9fe:a9fe",
    "[fd00:ec2::254]": "fd00:ec2::254",
    "168.63.129.16": "168.63.129.16",
    "100.100.100.200": "100.100.100.200",
    "metadata.internal": "169.254.169.254",
    # nobody in particular
    "224.0.0.1": "224.0.0.1",
    "255.255.255.255": "255.255.255.255",
    "240.0.0.1": "240.0.0.1",
    "[ff02::1]": "ff02::1",
    "[2001:db8::1]": "2001:db8::1",
    "[3fff::1]": "3fff::1",
    "[100::1]": "100::1",
    "192.0.2.1": "192.0.2.1",
    "203.0.113.7": "203.0.113.7",
    "198.51.100.7": "198.51.100.7",
}
"""How an address may be spelled in a URL, and the address that is meant."""

PLAIN_NAMES = {"127.0.0.1.nip.example", "metadata.internal"}
"""Those that look like any other name: only their address betrays them."""

every_disguise = pytest.mark.parametrize("spelled", DISGUISES)


@dataclass
class World:
    """One good provider behind a public address, and the canary behind every other one."""

    provider: Provider
    canary: Provider
    names: Names
    wires: Wires
    clock: FakeClock

    @contextmanager
    def client(self, egress: Egress, base_url: str = f"https://{NAME}") -> Iterator[Http]:
        way = Transport(self.clock, egress, resolver=self.names, network=self.wires)
        credentials = Credentials({"api_key": "s3cret-of-ours"})
        with Client(
            base_url,
            egress=egress,
            clock=self.clock,
            auth=Bearer(),
            credentials=credentials,
            transport=way,
        ) as one:
            yield Http(one)


@pytest.fixture(scope="module")
def certificate(tmp_path_factory) -> Path:
    return self_signed(tmp_path_factory.mktemp("tls"), NAME)


@pytest.fixture
def world(certificate, monkeypatch) -> Iterator[World]:
    import ssl

    trusting = ssl.create_default_context(cafile=certificate)
    monkeypatch.setattr(transport, "_certificates", lambda: trusting)
    with (
        Provider([], tls=serving(certificate)) as provider,
        Provider([answer(200, b"[]")] * 100, tls=serving(certificate)) as canary,
    ):
        names = Names({NAME: [[PUBLIC]]})
        yield World(provider, canary, names, Wires(canary, {PUBLIC: provider}), FakeClock())


def permitting(*hosts: str, egress: type[Egress] = Egress, **options) -> Egress:
    """A manifest that permits these hosts, as far as a pattern can name them."""
    patterns = []
    for host in hosts:
        for pattern in (f"https://{host}/*", f"https://{host}:8443/*"):
            try:
                guard.Pattern.parse(pattern)
            except ConnectorError:
                continue
            patterns.append(pattern)
    return egress.of(patterns, **options)


def test_there_are_enough_of_them():
    assert len(DISGUISES) >= 60
    assert len(set(DISGUISES.values())) >= 40


class TestDisguises:
    """SE5: the address is judged, whatever it looks like."""

    @every_disguise
    @pytest.mark.parametrize("port", ["", ":8443"])
    def test_as_a_setting(self, world, spelled, port):
        """SE5"""
        base_url = f"https://{spelled}{port}"
        with world.client(permitting(spelled), base_url) as c, pytest.raises(EgressDeniedError):
            c.get("/x")
        assert (world.canary.connections, world.wires.dialled) == (0, [])

    @every_disguise
    def test_as_a_redirect(self, world, spelled):
        """SE5, SE6: every hop is judged."""
        world.provider.script.append(
            redirect(302, f"https://{spelled}/x".encode().decode("latin-1"))
        )
        with world.client(permitting(NAME, spelled)) as c, pytest.raises(EgressDeniedError):
            c.get("/x")
        assert len(world.provider.received) == 1
        assert (world.canary.connections, world.wires.dialled) == (0, [PUBLIC])

    @every_disguise
    def test_as_an_answer_of_the_dns(self, world, spelled):
        """SE5"""
        world.names.answers[NAME] = [[DISGUISES[spelled]]]
        with (
            world.client(permitting(NAME)) as c,
            pytest.raises(EgressDeniedError, match=f"{NAME} leads to "),
        ):
            c.get("/x")
        assert world.names.asked == [NAME]
        assert (world.canary.connections, world.wires.dialled) == (0, [])

    def test_as_a_proxy_variable(self, world, monkeypatch):
        """SE5: the environment names no proxy."""
        for spelled in DISGUISES:
            for variable in ("HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"):
                monkeypatch.setenv(variable, f"http://{spelled}:3128")
            world.provider.script.append(page([]))
            with world.client(permitting(NAME)) as c:
                assert c.get("/x").json() == []
        assert world.canary.connections == 0
        assert world.wires.dialled == [PUBLIC] * len(DISGUISES)

    @every_disguise
    def test_even_where_loopback_is_allowed_a_name_does_not_lead_to_it(self, world, spelled):
        """--allow-loopback is for URLs that say so; a provider's name does not turn into one."""
        world.names.answers[NAME] = [[DISGUISES[spelled]]]
        egress = permitting(NAME, allow_loopback=True)
        with world.client(egress) as c, pytest.raises(EgressDeniedError):
            c.get("/x")
        assert world.canary.connections == 0


class JudgedByName(Egress):
    """The mistake: the host name has passed, so whatever is behind it may be dialled."""

    __slots__ = ()

    def choose(self, host, addresses):
        return list(addresses)


@pytest.mark.parametrize("meant", sorted(set(DISGUISES.values())))
def test_the_canary_sings_where_only_the_name_is_judged(world, meant):
    """The control of SE5: it has to fail, or the tests above see nothing."""
    world.names.answers[NAME] = [[meant]]
    with world.client(permitting(NAME, egress=JudgedByName)) as c:
        assert c.get("/x").json() == []
    assert "s3cret" in str(world.canary.received)
    assert world.wires.dialled == [str(ip_address(meant))]


class TestNames:
    def test_the_address_is_dialled_and_the_name_is_told(self, world):
        """SE6: Host field and TLS keep the name."""
        told: list[str | None] = []
        world.provider.tls.sni_callback = lambda _socket, name, _context: told.append(name)
        world.provider.script.append(page([1]))
        with world.client(permitting(NAME)) as c:
            assert c.get("/x").json() == [1]
        assert (world.wires.dialled, told) == ([PUBLIC], [NAME])
        assert world.provider.received[0].headers["host"] == NAME

    def test_that_change_their_mind_lead_nowhere_else(self, world):
        """SE6, SA28: rebinding. One answer is judged and dialled; the next one is judged again."""
        world.names.answers[NAME] = [[PUBLIC], ["127.0.0.1"]]
        world.provider.script += [page([1]), answer(200, b"[2]", connection="close")]
        with world.client(permitting(NAME)) as c:
            assert [c.get("/x").json(), c.get("/x").json()] == [[1], [2]]
            assert world.names.asked == [NAME]
            with pytest.raises(EgressDeniedError, match=r"leads to 127\.0\.0\.1"):
                c.get("/x")
        assert world.names.asked == [NAME, NAME]
        assert (world.wires.dialled, world.canary.connections) == ([PUBLIC], 0)

    def test_with_a_bad_address_among_good_ones_are_reached_by_a_good_one(self, world):
        """A network with DNS64 puts a made-up address beside each; only judged ones are dialled."""
        world.names.answers[NAME] = [["64:ff9b::5db8:d822", "10.0.0.1", PUBLIC]]
        world.provider.script.append(page([1]))
        with world.client(permitting(NAME)) as c:
            assert c.get("/x").json() == [1]
        assert world.wires.dialled == [PUBLIC]

    def test_with_several_addresses_are_tried_in_turn(self, world):
        world.names.answers[NAME] = [["2606:2800::1", PUBLIC]]
        world.wires.ends["2606:2800::1"] = None
        world.provider.script.append(page([1]))
        with world.client(permitting(NAME)) as c:
            assert c.get("/x").json() == [1]
        assert world.wires.dialled == ["2606:2800::1", PUBLIC]

    @pytest.mark.parametrize(
        "trouble",
        [
            socket.gaierror(socket.EAI_NONAME, "Name or service not known"),
            socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution"),
            TimeoutError("no answer"),
        ],
        ids=["unknown name", "server failure", "no answer"],
    )
    def test_that_cannot_be_resolved_are_asked_again(self, world, trouble):
        """SA28: no answer is kept, least of all a bad one."""
        world.names.answers[NAME] = [trouble, trouble, [PUBLIC]]
        world.provider.script.append(page([1]))
        with world.client(permitting(NAME)) as c:
            assert c.get("/x").json() == [1]
        assert len(world.names.asked) == 3
        assert len(world.clock.slept) == 2

    def test_that_nobody_knows_are_named(self, world):
        """SA28"""
        world.names.answers[NAME] = [socket.gaierror(socket.EAI_NONAME, "Name not known")]
        with (
            world.client(permitting(NAME)) as c,
            pytest.raises(UpstreamUnavailableError, match=f"{NAME}: Name not known"),
        ):
            c.get("/x")
        assert len(world.names.asked) == 6

    def test_without_addresses_lead_nowhere(self, world):
        world.names.answers[NAME] = [[]]
        with (
            world.client(permitting(NAME)) as c,
            pytest.raises(EgressDeniedError, match="leads to no address"),
        ):
            c.get("/x")

    def test_may_be_written_in_any_script(self, world):
        world.names.answers["xn--bcher-kva.acme.test"] = [["10.0.0.1"]]
        for spelled in ("bücher.acme.test", "BÜCHER.acme.test", "xn--bcher-kva.acme.test"):
            for permitted in ("bücher.acme.test", "xn--bcher-kva.acme.test", "*.acme.test"):
                egress = permitting(permitted)
                with (
                    world.client(egress, f"https://{spelled}") as c,
                    pytest.raises(EgressDeniedError, match=r"xn--bcher-kva.acme.test leads to 10"),
                ):
                    c.get("/x")
        assert set(world.names.asked) == {"xn--bcher-kva.acme.test"}


class TestTheSystemsResolver:
    def test_knows_this_machine(self):
        assert {str(address) for address in resolve("localhost", 10)} <= {"127.0.0.1", "::1"}

    def test_tells_what_it_does_not_know(self, monkeypatch):
        def unknown(*_, **__):
            raise socket.gaierror(socket.EAI_NONAME, "Name not known")

        monkeypatch.setattr(socket, "getaddrinfo", unknown)
        with pytest.raises(socket.gaierror, match="not known"):
            resolve(NAME, 10)

    def test_is_not_waited_for_longer_than_asked(self, monkeypatch):
        """SA28"""
        import threading

        over = threading.Event()
        monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: over.wait(10) and [])
        with pytest.raises(TimeoutError, match=NAME):
            resolve(NAME, 0.01)
        over.set()


class TestRedirects:
    @pytest.mark.parametrize(
        "location",
        [
            f"http://{NAME}/x",
            "file:///etc/passwd",
            "gopher://api.acme.test/",
            f"https://user:password@{NAME}/x",
            f"https://{NAME}@evil.test/x",
            f"https://{NAME}\\@evil.test/x",
            f"https://evil.test\\.{NAME}/x",
            "https://evil.test/x",
            f"https://{NAME}.evil.test/x",
            f"https://{NAME}%2eevil.test/x",
            f"https://{NAME}/a b",
            f"https://{NAME}:0/x",
            f"https://{NAME}:99999/x",
            f"https://{NAME}/%2e%2e/admin",
            "//evil.test/x",
        ],
    )
    def test_to_odd_places_are_refused(self, world, location):
        """SE6"""
        world.provider.script.append(redirect(302, location))
        with world.client(permitting(NAME)) as c, pytest.raises(EgressDeniedError):
            c.get("/x")
        assert len(world.provider.received) == 1
        assert world.canary.connections == 0

    def test_of_a_signed_post_take_nothing_secret_along(self, world, certificate):
        """SE6: what auth put into the body stays with the host it was meant for."""
        other = "other.acme.test"
        with Provider([page([])], tls=serving(self_signed(certificate.parent, other))) as second:
            world.names.answers[other] = [["93.184.216.35"]]
            world.wires.ends["93.184.216.35"] = second
            transport._certificates().load_verify_locations(certificate.parent / f"{other}1.pem")
            world.provider.script.append(redirect(307, f"https://{other}/x"))
            with world.client(permitting(NAME, other)) as c:
                c.post("/x", json={"q": 1}, safe=True)
        assert "s3cret" in str(world.provider.received[0])
        assert "s3cret" not in str(second.received[0])
        assert second.received[0].body == b'{"q":1}'


class TestPrivateNetworks:
    def test_are_opened_one_by_one(self, world):
        world.names.answers[NAME] = [["10.1.2.3"]]
        world.wires.ends["10.1.2.3"] = world.provider
        world.provider.script.append(page([1]))
        opened = permitting(NAME, networks=private_networks("10.1.0.0/16, fd00:1::/32"))
        with world.client(opened) as c:
            assert c.get("/x").json() == [1]
        world.names.answers[NAME] = [["10.2.0.1"]]
        with world.client(opened) as c, pytest.raises(EgressDeniedError, match="private_networks"):
            c.get("/x")
        assert world.canary.connections == 0

    @pytest.mark.parametrize("service", ["100.100.100.200", "fd00:ec2::254", "fd20:ce::254"])
    def test_do_not_open_the_metadata_services_in_them(self, world, service):
        world.names.answers[NAME] = [[service]]
        opened = permitting(NAME, networks=private_networks("100.64.0.0/10, fc00::/7"))
        with world.client(opened) as c, pytest.raises(EgressDeniedError):
            c.get("/x")
        assert world.canary.connections == 0

    def test_are_none_unless_told(self):
        assert private_networks("") == private_networks(" , ") == ()

    @pytest.mark.parametrize(
        "text",
        ["127.0.0.0/8", "169.254.0.0/16", "0.0.0.0/0", "10.0.0.0/7", "8.8.8.0/24", "::1/128", "x"],
    )
    def test_do_not_reach_further(self, text):
        with pytest.raises(UsageError, match="private_networks"):
            private_networks(text)


@pytest.fixture
def proxied(world) -> Iterator[tuple[Provider, Egress]]:
    """A proxy, without replies yet, and an egress that leads through it."""
    with Provider([]) as proxy:
        world.wires.ends["proxy.internal"] = proxy
        way = Proxy.parse("http://us%40r:s3cret@proxy.internal:3128")
        yield proxy, permitting(NAME, proxy=way)


class TestProxy:
    """A proxy that a person has configured; the environment's is no such thing."""

    def test_is_asked_for_a_tunnel_to_the_name(self, world, proxied):
        proxy, egress = proxied
        proxy.script.append(lambda connection: joined(connection, world.provider))
        world.provider.script.append(page([1]))
        with world.client(egress) as c:
            assert c.get("/x").json() == [1]
        (asked,) = proxy.received
        assert (asked.method, asked.target) == ("CONNECT", f"{NAME}:443")
        assert asked.headers["proxy-authorization"] == "Basic dXNAcjpzM2NyZXQ="
        assert "proxy-authorization" not in world.provider.received[0].headers
        assert world.names.asked == []
        assert "s3cret" not in repr(egress)

    @pytest.mark.parametrize(
        "reply", [answer(403, b""), raw(b"nonsense\r\n\r\n"), raw(b"")], ids=["403", "junk", "none"]
    )
    def test_that_refuses_is_named(self, world, proxied, reply):
        proxy, egress = proxied
        proxy.script += [reply] * 6
        with (
            world.client(egress) as c,
            pytest.raises(UpstreamUnavailableError, match=r"the proxy proxy\.internal:3128"),
        ):
            c.get("/x")
        assert len(proxy.received) == 6

    def test_that_breaks_is_tried_again(self, world, proxied):
        proxy, egress = proxied
        proxy.script += [reset, lambda connection: joined(connection, world.provider)]
        world.provider.script.append(page([1]))
        with world.client(egress) as c:
            assert c.get("/x").json() == [1]
        assert len(proxy.received) == 2

    @pytest.mark.parametrize("spelled", sorted(DISGUISES.keys() - PLAIN_NAMES))
    def test_widens_nothing(self, world, proxied, spelled):
        """SE5: what the URL shows is judged here, whoever resolves the name."""
        egress = replace(proxied[1], patterns=permitting(spelled).patterns)
        with world.client(egress, f"https://{spelled}") as c, pytest.raises(EgressDeniedError):
            c.get("/x")
        assert world.wires.dialled == []

    @pytest.mark.parametrize(
        "url",
        ["", "proxy:3128", "https://proxy:3128", "http://proxy", "http://s3cret@p:x", "http://["],
    )
    def test_is_given_whole(self, url):
        with pytest.raises(UsageError, match="http://HOST:PORT") as refusal:
            Proxy.parse(url)
        assert "s3cret" not in str(refusal.value)


def joined(connection: socket.socket, provider: Provider) -> bool:
    """Answer a CONNECT, and pass bytes to and fro until one side hangs up."""
    import threading
    from urllib.parse import urlsplit

    connection.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
    with socket.create_connection(("127.0.0.1", urlsplit(provider.url).port)) as far:

        def carry(source: socket.socket, target: socket.socket) -> None:
            try:
                while data := source.recv(65_536):
                    target.sendall(data)
                target.shutdown(socket.SHUT_WR)
            except OSError:
                return

        back = threading.Thread(target=carry, args=(far, connection), daemon=True)
        back.start()
        carry(connection, far)
        back.join()
    return False
