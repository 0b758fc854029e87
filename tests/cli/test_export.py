"""`penstock export`: what stands on stdout, in files, and what is said beside."""

from __future__ import annotations

import json
import os
import stat
import subprocess
import sys

import pytest

from penstock.cli.new_file import new_file
from penstock.errors import UsageError


def test_lines_go_to_stdout_and_the_last_place_to_stderr(pulled):
    answer = pulled("export customer --format jsonl")
    shown = [json.loads(line) for line in answer.out.splitlines()]
    assert answer.code == 0
    assert len(shown) > 20
    last = shown[-1]["seq"]
    assert answer.err.splitlines() == [
        f"{len(shown)} versions, the last at {last}",
        f"hint: what comes later: --after {last}",
    ]
    later = pulled(f"export customer --format jsonl --after {last}")
    assert (later.out, later.err.splitlines()[0]) == ("", f"0 versions, the last at {last}")


@pytest.mark.parametrize("format_name", ["jsonl", "csv", "parquet"])
def test_a_file_is_written_whole(pulled, tmp_path, format_name):
    told = pulled.json(f"export invoice --format {format_name} --out out.file")
    counts = pulled.json("doctor")["documents"]["invoice"]
    assert told["versions"] == counts["documents"] - counts["deleted"]
    assert told["file"] == "out.file"
    assert (tmp_path / "out.file").stat().st_size > 1_000
    assert [path.name for path in tmp_path.iterdir() if path.name.endswith(".part")] == []


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        ("--format xml", "--format 'xml' is none of jsonl, csv, parquet"),
        ("--format parquet", "--format parquet needs --out FILE"),
        ("--format csv --json", "--json needs --out FILE"),
        ("--format csv --after 99999", "99999 is no place in this database"),
        ("--format csv --out nowhere/x.csv", "cannot be written: No such file or directory"),
        ("--format csv --out /dev/null", "/dev/null is no file: name another"),
    ],
)
def test_a_wrong_wish_is_answered_with_a_sentence(pulled, words, sentence):
    answer = pulled(f"export invoice {words}")
    assert (answer.code, answer.out) == (2, "")
    assert sentence in answer.err


def test_a_reader_who_has_seen_enough_is_no_error_with_a_traceback(pulled):
    command = [sys.executable, "-m", "penstock.cli.main", "--database"]
    command += [f"sqlite:///{pulled.database}", "export", "invoice", "--format", "jsonl"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as child:
        child.stdout.readline()
        child.stdout.close()
        said = child.stderr.read().decode()
    assert child.returncode == 3
    assert "the export was cut off" in said
    assert "Traceback" not in said


class TestNewFile:
    def test_until_it_is_done_the_old_one_stays(self, tmp_path):
        place = tmp_path / "x"
        place.write_text("old")
        with pytest.raises(ZeroDivisionError), new_file(place) as file:
            file.write(b"new" * (1 // 0))
        assert place.read_text() == "old"
        assert list(tmp_path.iterdir()) == [place]
        with new_file(place) as file:
            file.write(b"new")
            assert place.read_text() == "old"
        assert place.read_text() == "new"

    def test_a_link_stays_a_link(self, tmp_path):
        (tmp_path / "link").symlink_to(tmp_path / "real")
        with new_file(tmp_path / "link") as file:
            file.write(b"x")
        assert (tmp_path / "link").is_symlink()
        assert (tmp_path / "real").read_text() == "x"

    def test_a_pipe_is_not_replaced(self, tmp_path):
        os.mkfifo(tmp_path / "pipe")
        with pytest.raises(UsageError, match="is no file"), new_file(tmp_path / "pipe"):
            pass
        assert stat.S_ISFIFO((tmp_path / "pipe").stat().st_mode)
