"""Sealing secrets: a key ring that seals and opens, and a type that keeps them out of sight.

The store sees sealed bytes only; the master key never lies in the database.
"""
