"""The simulated company, seen from outside: over its API, with a reader of our own."""
