"""Fixtures of the pipeline's tests."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.pipeline.plant import Plant, Provider


@pytest.fixture
def provider() -> Provider:
    return Provider()


@pytest.fixture
def make_plant(backend: str, tmp_path: Path, provider: Provider) -> Iterator[Callable[..., Plant]]:
    """A plant on a fresh database, for a connector or the usual one."""
    plants: list[Plant] = []

    def make(connector: Any = None) -> Plant:
        plants.append(Plant(tmp_path, provider, connector))
        return plants[-1]

    yield make
    for plant in plants:
        plant.store.close()


@pytest.fixture
def plant(make_plant: Callable[..., Plant]) -> Plant:
    return make_plant()
