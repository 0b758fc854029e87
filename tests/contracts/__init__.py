"""Contracts: what passes, what is refused and why, in the words of contracts.md."""
