"""Values at the centre: identity, money, times, outcomes, units of work.

Immutable, built valid, without I/O and without a clock. Everything above may hold them.
"""
