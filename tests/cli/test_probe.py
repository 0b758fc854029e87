"""`penstock probe` against the simulated provider, by connection, by connector and by URL."""

from __future__ import annotations

import pytest

from .conftest import connect


def test_a_stream_of_a_connection(pulled):
    assert pulled("connections set sim --set page_size=20").code == 0
    told = pulled.json("probe sim customers")
    assert told["paging"] == {
        "declaration": 'Cursor("next_cursor", param="cursor")',
        "reason": "so it is declared",
        "confirmed": True,
    }
    assert told["watermark"]["field"] == "updated_at"
    assert told["declaration"].startswith('@simulated.collection(\n    "customers",\n')
    assert 'document="customer"' in told["declaration"]


def test_a_stream_of_a_connector_that_is_not_connected(shell, provider):
    given = f"--set base_url={provider.url} --set page_size=20 --secret api_key={provider.token}"
    told = shell.json(f"probe simulated customers {given}")
    assert (told["paging"]["confirmed"], told["requests"]) == (True, 2)
    assert shell.json("connections") == []


def test_a_url_with_its_secret_from_the_environment(shell, provider, monkeypatch):
    monkeypatch.setenv("ACME_KEY", provider.token)
    answer = shell(
        f"probe {provider.url}/customers?limit=20 --allow-loopback --secret key=env:ACME_KEY",
        "--header",
        "Authorization=Bearer {key}",
    )
    assert answer.code == 0, answer.err
    assert 'Cursor("next_cursor", param="cursor"), which brought a second page' in answer.out
    assert 'path="/customers"' in answer.out
    assert 'params={"limit": "20"}' in answer.out
    assert 'document="customer"' in answer.out
    assert "since= only measures" in answer.err
    assert provider.token not in answer.out + answer.err


def test_a_credential_stands_neither_in_the_declaration_nor_in_the_notes(shell, provider):
    answer = shell(
        f"probe {provider.url}/customers --allow-loopback --json",
        "--header",
        f"Authorization=Bearer {provider.token}",
        "--header",
        "Accept-Language=de",
    )
    assert 'headers={"Accept-Language": "de"}' in answer.json["declaration"]
    assert provider.token not in answer.out + answer.err


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("probe https://api.acme.test/x customers", "give a URL alone"),
        ("probe simulated", "give a URL alone"),
        ("probe simulated customers --header A=b", "--header is for a URL"),
        ("probe https://api.acme.test/x?k={key}", "{key} has no value"),
        ("probe http://127.0.0.1:1/x", "--allow-loopback"),
        ("probe https:///x", "is no URL"),
        ("probe https://api.acme.test/x --header nonsense", "--header wants NAME=VALUE"),
        ("probe nobody customers", "nobody"),
    ],
)
def test_what_cannot_be_probed_is_said(shell, line, told):
    refused = shell(line)
    assert refused.code == 2
    assert told in refused.err


def test_an_address_that_is_no_listing(shell, provider):
    refused = shell(
        f"probe {provider.url}/account --allow-loopback",
        "--header",
        f"Authorization=Bearer {provider.token}",
    )
    assert refused.code == 3
    assert "no list of records" in refused.err or "404" in refused.err


def test_a_stream_that_a_route_fetches(shell, provider, tmp_path):
    file = tmp_path / "acme.py"
    file.write_text(
        "from penstock import *\n"
        'acme = Connector(key="acme", name="Acme", provider="acme", version="0.1.0",\n'
        '    base_url="https://api.acme.test", streams=[Stream("customers", mode="poll")],\n'
        '    permissions=Permissions(http=["https://api.acme.test/*"]))\n'
        '@acme.sync("customers")\n'
        "def customers(request):\n    return sync.page()\n"
    )
    refused = shell(f"probe {file} customers")
    assert refused.code == 2
    assert "fetched by a route" in refused.err


def test_it_stores_nothing(shell, provider):
    assert connect(shell, provider).code == 0
    before = (shell.json("streams"), shell.json("runs"))
    assert shell("probe sim customers").code == 0
    assert (shell.json("streams"), shell.json("runs")) == before
