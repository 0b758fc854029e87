"""Dead letters: seen, mended, replayed, discarded."""

from __future__ import annotations

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
