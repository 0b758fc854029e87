"""Tests that stand on a store run on every backend, by asking for the fixture `backend`."""

from __future__ import annotations

import logging
from collections.abc import Iterator

import pytest

from tests.database import KINDS, answers, databases


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "backend" not in metafunc.fixturenames:
        return
    alone = metafunc.definition.get_closest_marker("sqlite")
    kinds = KINDS if alone is None and answers() else KINDS[:1]
    metafunc.parametrize("backend", kinds, indirect=True)


@pytest.fixture
def backend(request: pytest.FixtureRequest) -> Iterator[str]:
    """The backend on which this test runs: "sqlite" or "postgresql"."""
    databases.kind = request.param
    yield request.param
    databases.give_back()


@pytest.fixture(autouse=True)
def _loudness() -> Iterator[None]:
    """What a command of the test's does to the logs ends with the test."""
    level = logging.root.level
    yield
    logging.root.setLevel(level)


@pytest.fixture(scope="session", autouse=True)
def _drop_databases() -> Iterator[None]:
    yield
    databases.drop_all()
