"""Cellars of the tests."""

import pytest

from tests.vault.cellar import OLD, Cellar


@pytest.fixture
def cellar(backend, tmp_path):
    """With the master key in a file beside the database."""
    made = Cellar(tmp_path)
    yield made
    made.store.close()


@pytest.fixture
def given_cellar(backend, tmp_path):
    """With a master key that was given."""
    made = Cellar(tmp_path, OLD)
    yield made
    made.store.close()
