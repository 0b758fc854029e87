"""The public test kit: contract suites that a part of your own can be held against.

`store_contract` is the behaviour of a storage backend. Nothing here needs pytest to be imported.
"""
