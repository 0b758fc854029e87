from __future__ import annotations

from decimal import Decimal

import pytest

from penstock.errors import ConnectorError, SettingsError
from penstock.upstream import template
from penstock.upstream.fields import MISSING

VALUES = {
    "settings": {"base_url": "https://acme.test/api/", "region": "eu", "size": 50, "empty": None},
    "account": {"id": "a/1?x#y"},
    "facts": {"realm": "42", "flags": {"beta": True}, "rate": Decimal("1.50")},
    "parent": {"id": ".."},
}


class TestNames:
    def test_are_found_to_any_depth(self):
        declared = {"path": "/{account.id}/x", "json": {"a": [{"b": "{facts.realm}-{parent.id}"}]}}
        assert template.names(declared) == {
            ("account", "id"),
            ("facts", "realm"),
            ("parent", "id"),
        }

    def test_of_an_unknown_scope_are_refused(self):
        with pytest.raises(ConnectorError, match="there is no 'setting'"):
            template.names({"params": ["{setting.x}"]})

    def test_braces_of_a_query_language_are_no_placeholders(self):
        query = "query { customers(first: 10) { id } }"
        assert template.names(query) == frozenset()
        assert template.deep({"query": query}, VALUES) == {"query": query}


class TestPath:
    def test_values_are_escaped(self):
        assert template.path("/co/{account.id}/n", VALUES) == "/co/a%2F1%3Fx%23y/n"

    def test_no_value_climbs(self):
        with pytest.raises(ConnectorError, match="no path segment"):
            template.path("/co/{parent.id}/n", VALUES)

    def test_an_absent_value_is_an_error(self):
        with pytest.raises(SettingsError, match=r"\{settings.empty\} in .* has no value"):
            template.path("/{settings.empty}", VALUES)
        with pytest.raises(ConnectorError, match="has no value"):
            template.path("/{facts.nothing}", VALUES)

    def test_a_stray_brace_is_a_slip(self):
        with pytest.raises(ConnectorError, match="part of no placeholder"):
            template.path("/{id}/x", VALUES)


class TestUrl:
    def test_a_leading_value_may_be_a_whole_url(self):
        assert template.url("{settings.base_url}", VALUES) == "https://acme.test/api/"
        assert template.url("{settings.base_url}/*", VALUES) == "https://acme.test/api/*"

    def test_a_later_value_stands_as_it_is(self):
        assert template.url("https://{settings.region}.acme.test", VALUES) == (
            "https://eu.acme.test"
        )

    @pytest.mark.parametrize("evil", ["evil.test/", "a@evil.test", "a:80", "x?y", "x#"])
    def test_a_later_value_cannot_move_the_host(self, evil):
        with pytest.raises(SettingsError, match="may not hold such characters"):
            template.url("https://{settings.shop}.acme.test/", {"settings": {"shop": evil}})


class TestMembers:
    def test_pairs_without_a_value_are_left_out(self):
        declared = (("limit", "{settings.size}"), ("x", "{settings.empty}"), ("r", "{facts.rate}"))
        assert template.pairs(declared, VALUES) == (("limit", "50"), ("r", "1.50"))

    def test_text_may_mix(self):
        assert template.text("realm={facts.realm};beta={facts.flags.beta}", VALUES) == (
            "realm=42;beta=true"
        )
        assert template.text("x-{parent.name}", VALUES) is MISSING

    def test_a_lone_placeholder_keeps_its_type_in_json(self):
        declared = {
            "n": "{settings.size}",
            "f": "{facts.flags}",
            "no": "{facts.x}",
            "l": ["{facts.x}", 1],
        }
        assert template.deep(declared, VALUES) == {"n": 50, "f": {"beta": True}, "l": [1]}

    def test_an_object_does_not_fit_into_text(self):
        with pytest.raises(ConnectorError, match="does not fit into text"):
            template.text("x={facts.flags}", VALUES)
