"""Sealing secrets, and a type that keeps them out of sight.

The store sees sealed bytes only. `vault` seals with a workspace's data key (`data_keys`), which is
wrapped by the `master_key`; that one never lies in the database. `rotation` replaces either.
"""
