"""From nothing to documents: init, check, connect, run."""

from __future__ import annotations

from pathlib import Path

import pytest


def test_a_new_connector_works_as_it_stands(shell, provider, company):
    made = shell("init acme_billing")
    assert made.code == 0
    assert "penstock check acme_billing.py" in made.err

    checked = shell("check acme_billing.py")
    assert checked.code == 0, checked.err
    assert "0 errors" in checked.err

    connected = shell(
        f"connect acme_billing.py --name acme --set base_url={provider.url} "
        f"--secret api_key={provider.token}"
    )
    assert connected.code == 0, connected.err
    assert "penstock run acme" in connected.err

    (report,) = shell.json("run acme")
    expected = company.truth().expected["customer"]
    assert report["fetched"] == expected.fetched
    assert report["created"] == len(shell.json("documents list customer --limit 1000")["items"])
    assert report["created"] >= expected.documents


def test_a_name_that_is_taken_is_left_alone(shell):
    Path("acme.py").write_text("precious\n")
    refused = shell("init acme")
    assert refused.code == 2
    assert "acme.py" in refused.err
    assert Path("acme.py").read_text() == "precious\n"


@pytest.mark.parametrize("name", ["Acme", "class", "9lives", "../acme", "a-b"])
def test_a_name_that_python_or_a_file_could_not_bear_is_refused(shell, name):
    assert shell("init", name).code == 2
    assert list(Path().iterdir()) == []


def test_check_says_where_and_how_to_mend_it(shell):
    shell("init acme")
    source = Path("acme.py").read_text()
    Path("acme.py").write_text(source.replace('document="customer"', 'document="custommer"'))
    found = shell("check acme.py")
    assert found.code == 1
    assert "acme.py:" in found.err
    findings = shell.json("check acme.py")
    assert {"file", "line", "severity", "message", "cure"} == set(findings[0])
    assert any(finding["severity"] == "error" for finding in findings)


def test_check_needs_no_database(shell):
    shell("init acme")
    shell("check acme.py")
    assert not shell.database.exists()


def test_a_target_that_is_not_there_is_named(shell):
    assert "nowhere" in shell("check nowhere.py").err
    assert shell("check nowhere.py").code in {1, 2}
