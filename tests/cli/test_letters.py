"""Dead letters: seen, mended, replayed, discarded."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import pytest


def test_letters_are_those_the_company_knows_to_be_wrong(pulled, company):
    items = pulled.json("dead-letters list --limit 1000")["items"]
    expected = sum((Counter(e.dead_letters) for e in company.truth().expected.values()), Counter())
    assert Counter(item["reason"] for item in items) == expected
    assert items[0]["letter_id"] in pulled("dead-letters list").out


def test_a_letter_shows_the_record_and_every_reason(pulled):
    item = pulled.json("dead-letters list --limit 1")["items"][0]
    shown = pulled(f"dead-letters show {item['letter_id']}")
    assert item["reason"] in shown.out
    assert "dead-letters replay" in shown.err
    assert pulled.json(f"dead-letters show {item['letter_id']}") == item


def test_letters_are_chosen_by_stream_and_reason(pulled):
    items = pulled.json("dead-letters list")["items"]
    stream, reason = items[0]["stream"], items[0]["reason"]
    by_stream = pulled.json(f"dead-letters list --connection sim --stream {stream}")["items"]
    by_reason = pulled.json(f"dead-letters list --reason {reason}")["items"]
    assert {item["stream"] for item in by_stream} == {stream}
    assert {item["reason"] for item in by_reason} == {reason}


def test_a_list_goes_on_where_it_ended(pulled):
    whole = pulled.json("dead-letters list")["items"]
    assert len(whole) > 1
    first = pulled.json("dead-letters list --limit 1")
    rest = pulled.json(f"dead-letters list --after {first['after']}")
    assert first["items"] + rest["items"] == whole
    assert "--after" in pulled("dead-letters list --limit 1").err


def test_what_is_wrong_at_the_source_stays_open_when_replayed(pulled):
    before = pulled.json("dead-letters list")["items"]
    replayed = pulled("dead-letters replay --json")
    assert replayed.code == 1
    assert replayed.json["letters"] == len(before)
    assert len(pulled.json("dead-letters list")["items"]) == len(before)


def test_a_mended_mapping_replays_its_letters_without_the_provider(shell, provider):
    shell("init acme")
    good = Path("acme.py").read_text()
    Path("acme.py").write_text(good.replace('record["display_name"]', 'record["label"]'))
    shell(
        f"connect acme.py --name acme --set base_url={provider.url} "
        f"--secret api_key={provider.token}"
    )
    ran = shell("run acme --json")
    letters = shell.json("dead-letters list --reason mapping_error --limit 1000")["items"]
    assert letters, ran.err
    Path("acme.py").write_text(good)
    # Another module of the same name: as a new process would, the next command reads it anew.
    one = shell(f"dead-letters replay {letters[0]['letter_id']}")
    assert one.code == 0, one.err
    assert "1 replayed" in one.err
    assert shell.json(f"dead-letters show {letters[0]['letter_id']}")["state"] == "replayed"
    shell("dead-letters replay --stream customers --reason mapping_error")
    assert shell.json("dead-letters list --reason mapping_error")["items"] == []
    assert len(shell.json("documents list customer --limit 1000")["items"]) > 0


EVENTS = """

@acme.sync("events")
def events(request):
    page = request.http.get("/customers", params={"limit": 5}).json()
    return sync.page(ingest.records("customers", page["data"]))
"""


def test_a_letter_is_replayed_by_the_stream_whose_mapping_made_it(shell, provider):
    shell("init acme")
    good = Path("acme.py").read_text() + EVENTS
    good = good.replace("import Bearer", "import ingest, sync, Bearer")
    good = good.replace("    streams=[", '    streams=[Stream("events", mode="poll"), ')
    Path("acme.py").write_text(good.replace('record["display_name"]', 'record["label"]'))
    shell(
        f"connect acme.py --name acme --set base_url={provider.url} "
        f"--secret api_key={provider.token}"
    )
    (ran,) = shell.json("run acme events")
    assert (ran["fetched"], ran["mapping_errors"]) == (5, 5)
    letters = shell.json("dead-letters list --stream customers")["items"]
    assert {letter["run"] for letter in letters} == {ran["run"]}
    Path("acme.py").write_text(good)
    assert shell.json("dead-letters replay --stream events")["letters"] == 0
    replayed = shell.json("dead-letters replay --stream customers")
    assert (replayed["letters"], replayed["replayed"]) == (5, 5)
    assert shell.json("dead-letters list")["items"] == []
    assert len(shell.json("documents list customer")["items"]) == 5


DELETIONS = """

@acme.sync("deletions")
def deletions(request):
    page = request.http.get("/customers", params={"limit": 2}).json()
    ingest.records("customers", page["data"], gone=True)
    try:
        ingest.delete("customer", stream="customers", idempotency_key=" ")
    except RecordRejectedError:
        pass
    return sync.page()
"""


def test_a_letter_of_a_delete_is_replayed_as_one_or_says_what_to_do(shell, provider):
    shell("init acme")
    good = Path("acme.py").read_text() + DELETIONS
    good = good.replace("import Bearer", "import RecordRejectedError, ingest, sync, Bearer")
    good = good.replace("    streams=[", '    streams=[Stream("deletions", mode="poll"), ')
    good = good.replace('"customer": ["write"]', '"customer": ["write", "delete"]')
    Path("acme.py").write_text(good)
    connected = shell(
        f"connect acme.py --name acme --set base_url={provider.url} "
        f"--secret api_key={provider.token}"
    )
    assert connected.code == 0, connected.err
    shell("run acme customers")
    shell("dead-letters discard --connection acme")
    Path("acme.py").write_text(good.replace('id="id"', 'id="number"'))
    (ran,) = shell.json("run acme deletions")
    assert (ran["fetched"], ran["rejected"]) == (3, 3)
    letters = shell.json("dead-letters list")["items"]
    assert [letter["gone"] for letter in letters] == [True, True, True]
    shown = shell(f"dead-letters show {letters[0]['letter_id']}").out
    assert "gone             yes" in shown

    Path("acme.py").write_text(good)
    replayed = shell("dead-letters replay")
    assert "3 dead letters: 2 replayed, 0 still open, 1 skipped" in replayed.err
    (nameless,) = shell.json("dead-letters list")["items"]
    assert f"penstock dead-letters discard {nameless['letter_id']}" in replayed.err
    listed = shell.json("documents list customer --limit 1000")["items"]
    ended = {item["idempotency_key"] for item in listed if item["state"] == "deleted"}
    records = [json.loads(letter["raw"]) for letter in letters if letter["raw"]]
    assert ended == {f"acme:customer:{record['id']}" for record in records}
    assert len(ended) == 2


def test_discarded_letters_stay_readable(pulled):
    items = pulled.json("dead-letters list")["items"]
    assert pulled.json(f"dead-letters discard {items[0]['letter_id']}") == {"discarded": 1}
    assert pulled.json(f"dead-letters show {items[0]['letter_id']}")["state"] == "discarded"
    rest = pulled.json("dead-letters discard --connection sim")
    assert rest == {"discarded": len(items) - 1}
    assert pulled.json("dead-letters list")["items"] == []
    assert len(pulled.json("dead-letters list --state all")["items"]) == len(items)
    assert "no open dead letters" in pulled("dead-letters discard --connection sim").err


def test_nothing_is_discarded_by_accident(pulled):
    before = pulled.json("dead-letters list")
    assert pulled("dead-letters discard").code == 2
    assert pulled.json("dead-letters list") == before


def test_without_letters_the_list_says_so(shell):
    assert shell("dead-letters list").err.endswith("no dead letters\n")
    assert shell("dead-letters replay").code == 0


@pytest.mark.parametrize("verb", ["show", "replay", "discard"])
def test_an_unknown_letter_is_a_usage_error(pulled, verb):
    assert pulled(f"dead-letters {verb} 3f1c9a7e-0000-4000-8000-000000000001").code == 2
    assert pulled(f"dead-letters {verb} seven").code == 2
