"""The demo runs from nothing and its books agree."""

from __future__ import annotations


def test_the_demo_agrees_with_what_the_company_knows(shell, tmp_path):
    ran = shell(f"demo --directory {tmp_path}/demo --records 150 --seed 2 --json")
    assert ran.code == 0, ran.err
    assert ran.json
    assert (tmp_path / "demo").is_dir()


def test_the_demo_tells_its_story_in_lines(shell, tmp_path):
    ran = shell(f"demo --directory {tmp_path}/demo --records 150")
    assert ran.code == 0, ran.err
    assert len(ran.out.splitlines()) > 3
