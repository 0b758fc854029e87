from __future__ import annotations

from ipaddress import ip_address

import pytest

from penstock.errors import ConnectorError, EgressDeniedError
from penstock.upstream.guard import Egress, Pattern, is_public

ACME = Egress.of(["https://api.acme.test/*", "https://*.eu.acme.test/v2/*", "https://[2606::1]/*"])
LOCAL = Egress.of(["http://127.0.0.1/*", "http://localhost:8080/*"], allow_loopback=True)


class TestPatterns:
    @pytest.mark.parametrize(
        "url",
        [
            "https://api.acme.test/",
            "https://api.acme.test/a/b?x=1",
            "https://API.acme.TEST:8443/a",
            "https://x.eu.acme.test/v2/invoices",
            "https://a.b.eu.acme.test/v2/",
            "https://[2606::1]/x",
        ],
    )
    def test_what_they_allow(self, url):
        assert str(ACME.check(url))

    @pytest.mark.parametrize(
        "url",
        [
            "https://acme.test/",
            "https://evil.test/https://api.acme.test/",
            "https://api.acme.test.evil.test/",
            "https://xapi.acme.test/",
            "https://eu.acme.test/v2/x",
            "https://foreu.acme.test/v2/x",
            "https://x.eu.acme.test/v1/x",
            "https://x.eu.acme.test/v2/../v1",
            "https://x.eu.acme.test/v2",
            "https://api.acme.test./",
        ],
    )
    def test_what_they_do_not(self, url):
        with pytest.raises(EgressDeniedError, match=r"not among .* https://api.acme.test/\*, "):
            ACME.check(url)

    def test_a_port_in_a_pattern_is_meant(self):
        egress = Egress.of(["https://api.acme.test:8443/*", "https://www.acme.test:443/*"])
        egress.check("https://api.acme.test:8443/x")
        egress.check("https://www.acme.test/x")
        with pytest.raises(EgressDeniedError):
            egress.check("https://api.acme.test/x")

    def test_a_path_without_a_star_is_one_path(self):
        egress = Egress.of(["https://api.acme.test/token", "https://www.acme.test"])
        egress.check("https://api.acme.test/token?x=1")
        egress.check("https://www.acme.test/anything")
        with pytest.raises(EgressDeniedError):
            egress.check("https://api.acme.test/token/x")

    def test_no_pattern_allows_nothing(self):
        with pytest.raises(EgressDeniedError, match="may reach: none"):
            Egress.of([]).check("https://api.acme.test/")

    @pytest.mark.parametrize(
        "slip",
        [
            "*",
            "https://*/*",
            "https://*.test/*",
            "https://api.*.test/*",
            "https://a*.acme.test/*",
            "https://api.acme.test/*/x",
            "api.acme.test/*",
            "ftp://api.acme.test/*",
            "https://user@api.acme.test/*",
            "https://api.acme.test/a b",
        ],
    )
    def test_slips_are_refused(self, slip):
        with pytest.raises(ConnectorError):
            Pattern.parse(slip)


class TestOddUrls:
    @pytest.mark.parametrize(
        "url",
        [
            "https://user:s3cret@api.acme.test/",
            "https://api.acme.test/\r\nX: y",
            "https://api.acme.test/a b",
            "https://api.acme.test\\@evil.test/",
            "https://evil.test\\.api.acme.test/",
            "file:///etc/passwd",
            "https:///x",
            "//api.acme.test/",
            "/x",
            "",
            "https://[::1",
            "https://api.acme.test:99999/",
            "https://api.acme.test/%2e%2e/x",
            "http://api.acme.test/",
        ],
    )
    def test_are_refused_and_show_no_password(self, url):
        with pytest.raises(EgressDeniedError) as refusal:
            ACME.check(url)
        assert "s3cret" not in str(refusal.value)


class TestThisMachine:
    def test_has_to_be_allowed(self):
        with pytest.raises(EgressDeniedError, match="this machine"):
            Egress.of(["http://127.0.0.1/*"]).check("http://127.0.0.1:8080/")

    def test_and_named(self):
        LOCAL.check("http://127.0.0.1:9999/x")
        LOCAL.check("http://localhost:8080/x")
        for url in ("http://127.0.0.2/", "http://localhost:8081/", "http://[::1]/"):
            with pytest.raises(EgressDeniedError, match="not among"):
                LOCAL.check(url)

    @pytest.mark.parametrize(
        "host",
        [
            "2130706433",
            "0x7f.1",
            "0x7f000001",
            "127.1",
            "127.1.",
            "017700000001",
            "0",
            "0.0.0.0",
            "①②⑦.①",
            "１２７.0.0.1",
            "[::ffff:127.0.0.1]",
            "[64:ff9b::7f00:1]",
            "[2002:7f00:1::]",
            "[::]",
            "10.0.0.1",
            "172.16.0.1",
            "192.168.1.1",
            "169.254.169.254",
            "168.63.129.16",
            "100.64.0.1",
            "192.0.0.192",
            "224.0.0.1",
            "255.255.255.255",
            "[fe80::1]",
            "[fd00::1]",
            "[3fff::1]",
        ],
    )
    def test_no_disguise_and_no_private_network(self, host):
        for allow_loopback in (False, True):
            egress = Egress.of([f"https://{host}/*"], allow_loopback=allow_loopback)
            with pytest.raises(EgressDeniedError):
                egress.check(f"https://{host}/")


def test_public_addresses():
    assert is_public(ip_address("93.184.216.34"))
    assert is_public(ip_address("2606:2800:220:1::1"))
