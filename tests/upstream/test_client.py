"""The client against a provider on a real socket; no test waits, the clock is moved."""

from __future__ import annotations

import logging
import ssl
import subprocess
import sys
import textwrap
import threading
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from ipaddress import IPv4Address
from pathlib import Path
from random import Random

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from penstock.errors import (
    ConnectorError,
    EgressDeniedError,
    PageRefusedError,
    ParkedError,
    PenstockError,
    SecretError,
    UpstreamError,
    UpstreamUnavailableError,
)
from penstock.sdk.request import Http
from penstock.upstream import transport
from penstock.upstream.auth import ApiKey, Bearer, Credentials
from penstock.upstream.client import HEADER_BYTES, Client, address, resolve
from penstock.upstream.guard import Egress
from penstock.upstream.request import Request

from .clock import FakeClock
from .provider import (
    Provider,
    Reply,
    answer,
    cut,
    drip,
    page,
    raw,
    redirect,
    reset,
    zipped,
)

SECRET = "s3cret-key"
LOOPBACK = Egress.of(["http://127.0.0.1/*"], allow_loopback=True)
OURS = Credentials({"api_key": SECRET})


@pytest.fixture
def clock():
    return FakeClock()


@contextmanager
def client(provider: Provider, clock: FakeClock, **options) -> Iterator[Http]:
    given = {"egress": LOOPBACK, "auth": Bearer(), "credentials": OURS, "rng": Random(1)}
    with Client(provider.url, clock=clock, **(given | options)) as one:
        yield Http(one)


class TestAnswers:
    def test_a_page_arrives_whole(self, clock):
        with (
            Provider([page({"data": [1.10]}, x_total="1")]) as provider,
            client(provider, clock) as c,
        ):
            response = c.get(
                "/invoices", params={"cursor": "a b/é", "since": None, "n": [True, clock.now()]}
            )
        assert response.status == 200
        assert response.body == b'{"data": [1.1]}'
        assert response.headers["X-Total"] == "1"
        assert response.received_at == clock.now()
        assert (
            response.url
            == f"{provider.url}/invoices?cursor=a%20b%2F%C3%A9&n=true&n=2026-03-02T10%3A00%3A00Z"
        )
        assert (
            provider.received[0].target
            == "/invoices?cursor=a%20b%2F%C3%A9&n=true&n=2026-03-02T10%3A00%3A00Z"
        )

    def test_a_body_is_posted_as_json(self, clock):
        with Provider([page({})]) as provider, client(provider, clock) as c:
            c.post("/search", json={"after": None, "é": 1}, headers={"X-Version": "3"})
        sent = provider.received[0]
        assert (sent.method, sent.body.decode()) == ("POST", '{"after":null,"é":1}')
        assert sent.headers["content-type"] == "application/json"
        assert sent.headers["x-version"] == "3"
        assert sent.headers["user-agent"] == "penstock"

    def test_a_compressed_page_is_unpacked(self, clock):
        with Provider([zipped(b'{"data":[]}')]) as provider, client(provider, clock) as c:
            assert c.get("/x").json() == {"data": []}
        assert provider.received[0].headers["accept-encoding"] == "gzip"

    def test_one_connection_serves_them_all(self, clock):
        with Provider([page(n) for n in range(5)]) as provider, client(provider, clock) as c:
            assert [c.get("/x").json() for _ in range(5)] == [0, 1, 2, 3, 4]
        assert provider.connections == 1

    def test_an_unmodified_answer_is_one(self, clock):
        with Provider([answer(304)]) as provider, client(provider, clock) as c:
            assert c.get("/x").status == 304

    def test_several_threads_share_it(self, clock):
        with Provider([page("x" * 20_000)] * 40) as provider, client(provider, clock) as c:
            got: list[int] = []
            threads = [
                threading.Thread(target=lambda: got.extend(len(c.get("/x").body) for _ in range(5)))
                for _ in range(8)
            ]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
        assert got == [20_002] * 40


class TestFinalAnswers:
    def test_say_what_happened(self, clock):
        with (
            Provider([answer(404, b"no such\n  company")]) as provider,
            client(provider, clock) as c,
            pytest.raises(UpstreamError) as failure,
        ):
            c.get("/invoices", params={"email": "ann@acme.test"})
        assert failure.value.status == 404
        assert failure.value.body == b"no such\n  company"
        assert str(failure.value) == (
            f"GET {provider.url}/invoices was answered with 404: no such company"
        )

    def test_are_answers_where_they_are_expected(self, clock):
        with Provider([answer(404)]) as provider, client(provider, clock) as c:
            assert c.get("/x", expect=(404,)).status == 404

    def test_are_cut_to_a_readable_length(self, clock):
        with (
            Provider([answer(400, b"x" * 200_000)]) as provider,
            client(provider, clock) as c,
            pytest.raises(UpstreamError) as failure,
        ):
            c.get("/x")
        assert len(str(failure.value)) < 300
        assert len(failure.value.body) == 65_536
        assert clock.slept == []


class TestRetries:
    def test_what_passes_is_waited_out(self, clock):
        script = [answer(429, retry_after="3"), answer(503), answer(502), answer(504), page([])]
        with Provider(script) as provider, client(provider, clock) as c:
            assert c.get("/x").json() == []
        waits = [3, 2, 4, 8]
        assert all(w <= slept <= w + 1 for w, slept in zip(waits, clock.slept, strict=True))
        assert len(provider.received) == 5

    @pytest.mark.parametrize(
        "fault",
        [
            reset,
            cut(b'{"data": []}', 5),
            cut(b'{"data": []}', 0),
            raw(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n[1, 2\r\n"),
            raw(b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\n\r\n\x1f\x8b\x08\x00"),
            raw(b"garbage\r\n\r\n"),
        ],
        ids=["reset", "cut", "no body", "chunk cut", "gzip cut", "garbage"],
    )
    def test_a_broken_exchange_is_repeated(self, clock, fault):
        """SA7"""
        with Provider([fault, page([1])]) as provider, client(provider, clock) as c:
            assert c.get("/x").json() == [1]
        assert len(provider.received) == 2
        assert len(clock.slept) == 1

    def test_they_are_used_up_some_time(self, clock):
        with (
            Provider([answer(503)] * 6) as provider,
            client(provider, clock) as c,
            pytest.raises(
                UpstreamUnavailableError, match="failed 6 times, at last with status 503"
            ),
        ):
            c.get("/x")
        assert len(provider.received) == 6
        assert 31 <= sum(clock.slept) <= 36

    def test_a_fault_is_kept_as_the_cause(self, clock):
        with (
            Provider([reset] * 6) as provider,
            client(provider, clock) as c,
            pytest.raises(UpstreamUnavailableError) as failure,
        ):
            c.get("/x")
        assert "ReadError" in str(failure.value)
        assert type(failure.value.__cause__).__name__ == "ReadError"
        assert len(provider.received) == 6

    def test_nobody_listening(self, clock):
        with Provider([]) as provider:
            pass
        with (
            client(provider, clock) as c,
            pytest.raises(UpstreamUnavailableError, match="ConnectError"),
        ):
            c.get("/x")
        assert len(clock.slept) == 5

    def test_a_long_pause_parks_the_stream(self, clock):
        with (
            Provider([answer(429, retry_after="120")]) as provider,
            client(provider, clock) as c,
            pytest.raises(ParkedError, match="429; the provider asks for a pause of 12") as parked,
        ):
            c.get("/x")
        assert timedelta(seconds=120) <= parked.value.until - clock.now() <= timedelta(seconds=121)
        assert clock.slept == []

    @pytest.mark.parametrize("fault", [reset, answer(503)], ids=["reset", "503"])
    def test_a_write_is_not_repeated(self, clock, fault):
        with (
            Provider([fault]) as provider,
            client(provider, clock) as c,
            pytest.raises((UpstreamUnavailableError, UpstreamError)),
        ):
            c.post("/invoices", json={})
        assert len(provider.received) == 1

    def test_a_search_declared_safe_is(self, clock):
        with Provider([answer(503), reset, page([])]) as provider, client(provider, clock) as c:
            assert c.post("/search", json={"q": 1}, safe=True).json() == []
        assert [sent.body for sent in provider.received] == [b'{"q":1}'] * 3

    def test_they_are_told(self, clock, caplog):
        caplog.set_level(logging.WARNING, "penstock")
        with Provider([answer(503), page([])]) as provider, client(provider, clock) as c:
            c.get("/x")
        assert [record.getMessage() for record in caplog.records] == [
            "upstream.retried attempt=1 status=503"
        ]


class TestTime:
    @pytest.mark.parametrize(
        ("head", "body", "step"),
        [(b"", b" " * 1_400_000, 70_000), (b"X: " + b"v" * 97_000, b"", 7_500)],
        ids=["body", "header fields"],
    )
    def test_the_total_beats_a_drip(self, clock, head, body, step):
        """SA6: what comes behind the deadline is more than one read takes, so a read refuses."""
        start = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n" % len(body)
        drops: list[int] = []
        every_s = 120 / 12 if body else 120 / 4
        slow = drip(start + head + b"\r\n\r\n" + body, clock, step, every_s, drops)
        with (
            Provider([slow]) as provider,
            client(provider, clock) as c,
            pytest.raises(UpstreamUnavailableError, match="ReadTimeout"),
        ):
            c.post("/x")
        assert len(drops) * every_s >= 120


class TestLimits:
    def test_a_bomb_is_refused(self, clock):
        with (
            Provider([zipped(bytes(10_000_000))]) as provider,
            client(provider, clock) as c,
            pytest.raises(PageRefusedError, match="more than 100 to 1") as refusal,
        ):
            c.get("/x")
        assert refusal.value.code == "invalid_page"

    def test_many_header_fields_are_refused(self, clock):
        fields = {f"x{n}": "v" * 1000 for n in range(HEADER_BYTES // 1000 + 1)}
        with (
            Provider([answer(200, b"{}", **fields)]) as provider,
            client(provider, clock) as c,
            pytest.raises(PageRefusedError, match="header fields pass"),
        ):
            c.get("/x")

    @pytest.mark.parametrize("field", [b"a" * 200_000, b"a\r\nX: " * 1_000_000])
    def test_an_endless_header_is_refused_at_once(self, clock, field):
        endless = raw(b"HTTP/1.1 200 OK\r\nX: " + field)
        with (
            Provider([endless]) as provider,
            client(provider, clock) as c,
            pytest.raises(PageRefusedError, match="header fields pass"),
        ):
            c.get("/x")
        assert len(provider.received) == 1

    def test_after_a_refusal_the_client_still_works(self, clock):
        script = [zipped(bytes(10_000_000)), page([1])]
        with Provider(script) as provider, client(provider, clock) as c:
            with pytest.raises(PageRefusedError):
                c.get("/x")
            assert c.get("/x").json() == [1]


class TestRedirects:
    def test_are_followed_within_the_origin_with_credentials(self, clock):
        with (
            Provider([redirect(302, "/v2/x?y=1"), page([1])]) as provider,
            client(provider, clock) as c,
        ):
            response = c.get("/x", params={"limit": 2})
        assert response.json() == [1]
        assert response.url == f"{provider.url}/v2/x?y=1"
        assert response.request == Request("GET", f"{provider.url}/x", params=(("limit", "2"),))
        assert provider.received[1].target == "/v2/x?y=1"
        assert provider.received[1].headers["authorization"] == f"Bearer {SECRET}"

    @pytest.mark.parametrize("scheme", [Bearer(), ApiKey(header="X-Key"), ApiKey(query="key")])
    def test_lose_every_credential_on_another_origin(self, clock, scheme):
        with (
            Provider([page([1])]) as other,
            Provider([redirect(307, f"{other.url}/x")]) as provider,
            client(provider, clock, auth=scheme) as c,
        ):
            sent = Request("GET", f"{provider.url}/x", headers=(("Cookie", "a=b"), ("X-A", "1")))
            assert c.door.send(sent).json() == [1]
        assert SECRET in str(provider.received[0])
        assert SECRET not in str(other.received[0])
        assert "cookie" not in other.received[0].headers
        assert other.received[0].headers["x-a"] == "1"

    def test_are_judged_at_every_hop(self, clock):
        with (
            Provider([redirect(302, "http://localhost:1/x")]) as provider,
            client(provider, clock) as c,
            pytest.raises(EgressDeniedError, match="localhost"),
        ):
            c.get("/x")
        assert len(provider.received) == 1

    @pytest.mark.parametrize("location", ["http://[bad/", "https://①.test/", "http://a b.test/"])
    def test_to_nowhere(self, clock, location):
        location = location.encode().decode("latin-1")
        with (
            Provider([redirect(302, location)]) as provider,
            client(provider, clock) as c,
            pytest.raises(EgressDeniedError),
        ):
            c.get("/x")
        assert len(provider.received) == 1

    def test_end(self, clock):
        with (
            Provider([redirect(302, "/x")] * 6) as provider,
            client(provider, clock) as c,
            pytest.raises(UpstreamError, match="redirected more than 5 times"),
        ):
            c.get("/x")
        assert len(provider.received) == 6

    @pytest.mark.parametrize(
        ("status", "method", "body"), [(303, "GET", b""), (302, "GET", b""), (307, "POST", b"{}")]
    )
    def test_of_a_post(self, clock, status, method, body):
        with (
            Provider([redirect(status, "/done"), page([])]) as provider,
            client(provider, clock) as c,
        ):
            c.post("/x", json={})
        assert (provider.received[1].method, provider.received[1].body) == (method, body)


class TestSecrets:
    def test_are_nowhere(self, clock, caplog):
        caplog.set_level(logging.DEBUG, "penstock")
        echo = f"bad key {SECRET}".encode()
        script = [answer(401, echo), answer(503, echo), answer(400, echo), page([1])]
        told: list[str] = []
        with Provider(script) as provider, client(provider, clock, auth=ApiKey(query="key")) as c:
            for _ in range(2):
                with pytest.raises(PenstockError) as failure:
                    c.get("/x")
                told += traceback.format_exception(failure.value)
                told += [repr(failure.value), str(vars(failure.value))]
            response = c.get("/x")
            told += [repr(c), repr(response), response.url, caplog.text]
            told += [repr(c.door), repr(vars(c.door))]
            told.append(str(response.request.as_json()))
        assert all(SECRET in sent.target for sent in provider.received)
        assert len(provider.received) == 4
        assert SECRET not in "".join(told)
        assert "***" in "".join(told)

    def test_a_missing_one_stops_before_the_network(self, clock):
        with (
            Provider([]) as provider,
            client(provider, clock, credentials=Credentials()) as c,
            pytest.raises(SecretError),
        ):
            c.get("/x")
        assert provider.connections == 0

    def test_a_header_that_cannot_be_written_shows_nothing(self, clock):
        with (
            Provider([]) as provider,
            client(provider, clock) as c,
            pytest.raises(ConnectorError, match="forbidden character") as failure,
        ):
            c.get("/x", headers={"X-A": f"a\r\nX: {SECRET}"})
        assert SECRET not in "".join(traceback.format_exception(failure.value))


class TestGuard:
    def test_an_address_outside_is_never_contacted(self, clock):
        with Provider([]) as canary, Provider([]) as provider:
            narrow = Egress.of([f"{provider.url}/*"], allow_loopback=True)
            with client(provider, clock, egress=narrow) as c, pytest.raises(EgressDeniedError):
                c.get(f"{canary.url}/x")
        assert canary.connections == 0

    def test_the_environment_names_no_proxy(self, clock, monkeypatch):
        with Provider([]) as canary, Provider([page([1])]) as provider:
            for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
                monkeypatch.setenv(name, canary.url)
            with client(provider, clock) as c:
                assert c.get("/x").json() == [1]
        assert canary.connections == 0


@pytest.fixture(scope="module")
def certificate(tmp_path_factory) -> Path:
    """A certificate for 127.0.0.1 that nobody has signed, with its key, in one file."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "a provider")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(
            x509.SubjectAlternativeName([x509.IPAddress(IPv4Address("127.0.0.1"))]), False
        )
        .sign(key, hashes.SHA256())
    )
    path = tmp_path_factory.mktemp("tls") / "provider.pem"
    secret = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    path.write_bytes(secret + made.public_bytes(Encoding.PEM))
    return path


class TestTls:
    egress = Egress.of(["https://127.0.0.1/*"], allow_loopback=True)

    def provider(self, certificate: Path, script: list[Reply]) -> Provider:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate)
        return Provider(script, tls=context)

    def test_a_certificate_nobody_signed_is_refused(self, clock, certificate):
        with (
            self.provider(certificate, []) as provider,
            client(provider, clock, egress=self.egress) as c,
            pytest.raises(UpstreamUnavailableError, match="CERTIFICATE_VERIFY_FAILED"),
        ):
            c.get("/x")
        assert provider.connections == 6
        assert provider.received == []

    def test_a_trusted_one_is_spoken_to(self, clock, certificate, monkeypatch):
        trusting = ssl.create_default_context(cafile=certificate)
        monkeypatch.setattr(transport, "_certificates", lambda: trusting)
        with (
            self.provider(certificate, [page([1])]) as provider,
            client(provider, clock, egress=self.egress) as c,
        ):
            assert c.get("/x").json() == [1]
        assert provider.received[0].headers["authorization"] == f"Bearer {SECRET}"


def test_the_kill_point_lies_behind_the_whole_body():
    program = """
        from penstock.clock import SystemClock
        from penstock.upstream.client import Client
        from penstock.upstream.guard import Egress
        from penstock.upstream.request import Request
        import sys
        egress = Egress.of(["http://127.0.0.1/*"], allow_loopback=True)
        client = Client(sys.argv[1], egress=egress, clock=SystemClock())
        for _ in range(3):
            print(client.send(Request("GET", "/x")).json(), flush=True)
    """
    with Provider([page(n) for n in range(3)]) as provider:
        run = subprocess.run(
            [sys.executable, "-c", textwrap.dedent(program), provider.url],
            env={"PENSTOCK_KILL_AT": "page.fetched:2"},
            capture_output=True,
            text=True,
            check=False,
        )
    assert (run.returncode, run.stdout) == (-9, "0\n")
    assert len(provider.received) == 2


@pytest.mark.parametrize(
    ("base", "path", "url"),
    [
        ("https://a.test/v1/", "/x", "https://a.test/v1/x"),
        ("https://a.test/v1", "x?y=1", "https://a.test/v1/x?y=1"),
        ("https://a.test/v1", "https://b.test/z", "https://b.test/z"),
        ("https://a.test/v1/", "", "https://a.test/v1/"),
    ],
)
def test_urls_are_relative_to_the_base(base, path, url):
    assert resolve(base, path) == url


def test_parameters_join_those_of_the_url():
    assert address(Request("GET", "https://a.test/x?y=1", params=(("z", "&"),))) == (
        "https://a.test/x?y=1&z=%26"
    )
