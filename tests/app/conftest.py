"""A house on a real store, connected to a simulated company over loopback."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from penstock.app import App
from penstock.config import Settings
from penstock.simulator import Company, serve
from penstock.simulator.server import Served
from tests.database import KEY, url_in

PAGE = 4


@pytest.fixture(scope="package")
def company() -> Company:
    return Company(seed=7, records=60, faulty=0.03)


@pytest.fixture(scope="package")
def provider(company: Company) -> Iterator[Served]:
    with serve(company) as served:
        yield served


def settings(url: str, **more: str) -> Settings:
    return Settings(database=url, master_key=KEY, reading_process="off", **more)


@pytest.fixture
def house(backend, tmp_path, provider) -> Iterator[App]:
    """Connected as `sim`, nothing pulled yet."""
    with App.open(settings(url_in(tmp_path))) as app:
        connect(app, provider)
        yield app


def connect(app: App, provider: Served, name: str = "sim") -> None:
    values = {"base_url": provider.url, "page_size": PAGE}
    app.connect("simulated", name, values, {"api_key": provider.token})


def documents(app: App) -> dict[str, int]:
    counts = app.read.counts().documents
    return {kind: number["documents"] for kind, number in counts.items()}


def truth(company: Company) -> dict[str, int]:
    return {kind: expected.documents for kind, expected in company.truth().expected.items()}
