"""A database with millions of documents is as good as a small one, and nearly as fast."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from pathlib import Path

import pytest

from penstock.app.wiring import open_store
from penstock.model.identity import document_id
from penstock.testing.store_case import placed
from penstock.testing.store_worker import Worker
from tests.database import url_in

BENCH = Path(__file__).parents[2] / "bench"


def test_loaded_documents_are_valid_and_penstock_goes_on_behind_them(
    backend: str, tmp_path: Path
) -> None:
    url = url_in(tmp_path)
    with open_store(url) as store:
        worker = Worker(store)
        worker.commit(worker.invoice("first"))
        command = (sys.executable, str(BENCH / "loader.py"), "--database", url)
        said = subprocess.run(
            [*command, "--documents", "300"], check=True, capture_output=True, text=True
        )
        assert json.loads(said.stdout)["made"] == 299
        assert store.reader.counts("default")["invoice"]["documents"] == 300

        name = "copy_0000000150"
        (found,) = store.reader.find("default", "invoice", name)
        assert found.document_id == document_id(
            "default", found.connection, "invoice", found.idempotency_key
        )
        (version,) = store.reader.history(found.document_id)
        assert json.loads(version.content) == {"invoice_id": name}
        assert version.payload_hash == hashlib.sha256(version.content).digest()

        worker.commit(worker.invoice("last"))
        worker.commit(worker.next_version("first", b"changed"))
        items = placed(store, 302)
        assert [item.seq for item in items] == list(range(1, 303))
        assert len({item.ref for item in items}) == 302


@pytest.mark.torture
def test_ten_million_documents_slow_no_ingest_down(tmp_path: Path) -> None:
    """On both backends at least 60 % of the rate at a hundred thousand."""
    out = tmp_path / "figures.json"
    command = (sys.executable, str(BENCH / "run.py"), "--only", "--stored", "10000000")
    subprocess.run([*command, "--out", str(out)], check=True, stdout=subprocess.DEVNULL)
    figures = json.loads(out.read_text())["figures"]
    assert len(figures) == 4
    assert [figure for figure in figures if not figure["met"]] == []
