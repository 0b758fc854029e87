from __future__ import annotations

import pytest

from penstock.errors import ConnectorError, EgressDeniedError
from penstock.upstream.guard import Egress, Pattern, names_loopback

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
            "https://①②⑦.①/*",
            "https://１２７.0.0.1/*",
            "https://0177.0.0.1/*",
            "https://[::g]/*",
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

    def test_is_named_by_a_manifest_literally_or_not_at_all(self):
        for pattern in (
            "http://127.0.0.1/*",
            "http://127.0.0.2:8080/*",
            "https://LOCALHOST/*",
            "http://[::1]:8000/*",
            "http://api.localhost/*",
        ):
            assert names_loopback(pattern), pattern
        for pattern in (
            "{settings.base_url}/*",
            "https://localhost.acme.test/*",
            "https://[::ffff:127.0.0.1]/*",
            "https://127.0.0.1.acme.test/*",
            "https://0.0.0.0/*",
        ):
            assert not names_loopback(pattern), pattern


class TestSpellings:
    @pytest.mark.parametrize(
        ("pattern", "url"),
        [
            ("https://bücher.test/*", "https://xn--bcher-kva.test/a"),
            ("https://xn--bcher-kva.test/*", "https://BÜCHER.test/a"),
            ("https://*.bücher.test/*", "https://api.xn--bcher-kva.test/a"),
            ("https://API.acme.test/*", "https://api.ACME.test/a"),
            ("https://[2606:0:0::1]/*", "https://[2606::1]/a"),
        ],
    )
    def test_of_one_host_are_one(self, pattern, url):
        assert Egress.of([pattern]).check(url)

    @pytest.mark.parametrize(
        ("url", "said"),
        [
            ("https://api.acme.test./", "leave out the dot"),
            ("https://api..acme.test/", "no host has such a name"),
            ("https://a%62c.acme.test/", "no host has such a name"),
            (f"https://{'a' * 64}.test/", "no host has such a name"),
            (f"https://{'a.' * 127}test/", "no host has such a name"),
            ("https://0x7f.1/", "in its plain form"),
            ("https://[2606::1%25eth0]/", "no host has such a name"),
            ("https://10.0.0.1/", "leads to 10.0.0.1, which is not allowed"),
        ],
    )
    def test_that_are_odd_are_refused_with_a_reason(self, url, said):
        with pytest.raises(EgressDeniedError, match=said):
            ACME.check(url)
