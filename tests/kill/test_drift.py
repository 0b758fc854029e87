"""Killed in the transaction that tells of drift: it is there with its page or not, and once."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from penstock.app import App
from penstock.config import Settings
from penstock.model.shape import Shape
from tests.database import url_in
from tests.kill.test_kill import KEY, Victim, process

CONNECTOR = """
import json
from pathlib import Path
from penstock import Connector, Permissions, Stream, ingest, sync

acme = Connector(
    key="acme", name="Acme", provider="acme", version="0.1.0",
    settings={"type": "object", "properties": {"file": {"type": "string"}}},
    permissions=Permissions(documents={"customer": ["write"]}),
    streams=[Stream("customers", mode="poll")],
)

@acme.mapping("customers", id="id", document="customer")
def customer(record):
    return {"customer_id": record["id"], "name": record["name"]}

@acme.sync("customers")
def customers(request):
    records = json.loads(Path(request.settings["file"]).read_text())
    return sync.page(ingest.records("customers", records))
"""


def records(**changes: Any) -> str:
    plain = [{"id": f"cus_{n}", "name": f"Name {n}"} for n in range(10)]
    return json.dumps([*plain[1:], plain[0] | changes])


def told(settings: Settings) -> tuple[list[str], bool, int]:
    """Paths of all drift; whether the shape has the new field; documents."""
    with App.open(settings) as app:
        drifts = app.store.shapes.drifts("default", accepted=None)
        stored = app.store.shapes.get("default", "sim", "customers")
        assert stored is not None
        known = "vat" in Shape.from_bytes(stored).fields
        documents = app.store.reader.counts("default")["customer"]["versions"]
        return [drift.path for drift in drifts], known, documents


@pytest.mark.parametrize(
    ("point", "written"),
    [
        ("commit.fenced", False),
        ("commit.letters", False),
        ("commit.checkpoint", False),
        ("page.before_commit", False),
        ("page.after_commit", True),
    ],
)
def test_drift_is_written_with_its_page_or_not_at_all(
    backend: str, tmp_path: Path, point: str, written: bool
) -> None:
    settings = Settings(database=url_in(tmp_path), master_key=KEY)
    connector, file = tmp_path / "acme_drifting.py", tmp_path / "records.json"
    connector.write_text(CONNECTOR)
    file.write_text(records())
    with App.open(settings) as app:
        app.connect(str(connector), "sim", {"file": str(file)}, {})
        app.run("sim")
    file.write_text(records(vat="DE1", name="Ann Other"))
    with process("-m", "tests.kill.victim", settings.database, KEY) as child:
        victim = Victim(child)
        victim.die_at(point, 1, full=False)
        assert victim.fired[point] == 1
        assert told(settings) == ((["vat"], True, 11) if written else ([], False, 10))
        victim.run_to_the_end()
        assert told(settings) == (["vat"], True, 11)
