"""The clock of these tests: it stands still until it is told to move, or asked to sleep."""

from penstock.testing.clock import ManualClock as FakeClock

__all__ = ["FakeClock"]
