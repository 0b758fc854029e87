"""Compared values are shown when a sentence of the store contract fails."""

import pytest

pytest.register_assert_rewrite(
    "penstock.testing.store_contract",
    "penstock.testing.store_contract_commit",
    "penstock.testing.store_contract_moving",
    "penstock.testing.store_contract_pace",
    "penstock.testing.store_contract_reading",
    "penstock.testing.store_contract_sealed",
    "penstock.testing.store_contract_shapes",
    "penstock.testing.store_contract_streams",
    "penstock.testing.store_contract_tokens",
    "penstock.testing.store_contract_upkeep",
)
