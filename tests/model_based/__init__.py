"""A source that changes while it is read, against the store: the model is the source itself.

`source` is the provider with its own clock, its faults and its past; `crash` is what goes wrong
at a commit; `machine` turns both at random and says what must hold.
"""
