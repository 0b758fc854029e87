"""Kill -9 in the middle of a rotation of keys: nothing lost, and the next call goes on.

Every kill asserts that it fired.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from base64 import b64encode
from pathlib import Path
from typing import Any

import pytest

from penstock.app import App
from penstock.config import Settings
from penstock.vault.key_ring import KeyRing
from tests.database import url_in

OLD, NEW = (b64encode(bytes([n]) * 32).decode() for n in (1, 2))
CONNECTIONS, SECRETS = 4, ("api_key", "token", "password")
CELLS = CONNECTIONS * len(SECRETS)

CONNECTOR = f"""
from penstock import Bearer, Connector, Stream, sync

acme = Connector(
    key="acme", name="Acme", provider="acme", version="0.1.0", base_url="https://api.acme.test",
    settings={{"type": "object", "properties": {{
        name: {{"type": "string", "x-secret": True}} for name in {SECRETS!r}}}}},
    auth=Bearer(secret="api_key"),
    streams=[Stream("customers", mode="poll")],
)


@acme.sync("customers")
def customers(request):
    return sync.page()
"""


class House:
    """A database with sealed secrets, and the command as a process of its own."""

    def __init__(self, folder: Path, given: str | None) -> None:
        self.folder = folder
        self.url = url_in(folder)
        (folder / "acme.py").write_text(CONNECTOR)
        with self.app(given) as app:
            for number in range(CONNECTIONS):
                target, name = str(folder / "acme.py"), f"acme{number}"
                app.connect(target, name, {}, {field: name + field for field in SECRETS})

    def app(self, given: str | None) -> App:
        return App.open(Settings(database=self.url, master_key=given))

    def rotate(
        self, *options: str, given: str | None, kill_at: int | None = None
    ) -> dict[str, Any] | None:
        """What it said, None where it was killed at the n-th row."""
        environment = {k: v for k, v in os.environ.items() if not k.startswith("PENSTOCK_")}
        if given:
            environment["PENSTOCK_MASTER_KEY"] = given
        if kill_at:
            environment["PENSTOCK_KILL_AT"] = f"rotate.row:{kill_at}"
        done = subprocess.run(
            [sys.executable, "-m", "penstock.cli.main", "--database", self.url, "secrets",
             "rotate", "--json", *options],
            env=environment, capture_output=True, text=True, check=False, timeout=60,
        )  # fmt: skip
        if kill_at:
            assert done.returncode == -signal.SIGKILL, done.stderr
            return None
        assert done.returncode == 0, done.stderr
        return dict(json.loads(done.stdout))

    def keys(self, given: str | None) -> set[str]:
        """Which keys the secrets are sealed with; all of them open."""
        with self.app(given) as app:
            for number in range(CONNECTIONS):
                name = f"acme{number}"
                assert app.wiring.secrets(name) == {field: name + field for field in SECRETS}
            return {KeyRing.named(cell.sealed) for cell in app.store.sealed.cells()}


@pytest.mark.parametrize("row", [1, 5, CELLS])
def test_a_killed_rotation_of_the_data_key_is_finished_by_the_next(
    tmp_path: Path, row: int
) -> None:
    """SE9: both keys open what is theirs; the second call makes no third key."""
    house = House(tmp_path, OLD)
    (before,) = house.keys(OLD)
    house.rotate(given=OLD, kill_at=row)
    between = house.keys(OLD)
    assert len(between) == (1 if row == CELLS else 2)
    said = house.rotate(given=OLD)
    assert said is not None
    assert (said["resumed"], said["resealed"]) == (True, CELLS - row)
    assert house.keys(OLD) == {said["key"]}
    assert said["key"] in between - {before}


def test_killed_again_and_again(backend: str, tmp_path: Path) -> None:
    """SE9: a rotation that dies at every row ends all the same."""
    house = House(tmp_path, OLD)
    for _ in range(CELLS):
        house.rotate(given=OLD, kill_at=1)
        assert len(house.keys(OLD)) <= 2
    said = house.rotate(given=OLD)
    assert said is not None
    assert (said["resumed"], said["resealed"]) == (True, 0)


@pytest.mark.parametrize("given", [None, f"{NEW} {OLD}"])
def test_a_killed_rotation_of_the_master_key_is_finished_by_the_next(
    tmp_path: Path, given: str | None
) -> None:
    """SE9: killed after the first of three data keys, with a key file and with given keys."""
    house = House(tmp_path, OLD if given else None)
    file = tmp_path / "penstock.key"
    with house.app(OLD if given else None) as app:
        for workspace in ("second", "third"):
            app.vault.seal("x", workspace=workspace, connection="acme", field="api_key")
    old = OLD if given else file.read_text()
    house.rotate("--master", given=given, kill_at=1)
    assert len(house.keys(given)) == 1
    with house.app(given) as app:
        wrapped = {KeyRing.named(key.wrapped) for key in app.store.sealed.data_keys()}
    assert len(wrapped) == 2
    said = house.rotate("--master", given=given)
    assert said is not None
    assert (said["rewrapped"], said["resumed"]) == (2, given is None)
    new = NEW if given else file.read_text()
    assert KeyRing.from_text(new).key_id == said["key"] != KeyRing.from_text(old).key_id
    assert house.keys(new)
    assert not list(tmp_path.glob("*.next"))


def test_a_key_thrown_away_too_early_is_found(backend: str, tmp_path: Path) -> None:
    """The control: had the rotation given the old key up first, the check would see it."""
    house = House(tmp_path, OLD)
    house.rotate(given=OLD, kill_at=5)
    with house.app(OLD) as app:
        newest, old = app.store.sealed.data_keys("default")
        assert app.store.sealed.rewrap(old, newest.wrapped)
    with pytest.raises(Exception, match="does not open"):
        house.keys(OLD)
