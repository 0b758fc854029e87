"""The disk: what is kept, and the promises each verb makes about it.

`roles` says what a store can do, `tables` describes its tables once, `sqlite` is a backend. No
business rule lives here: the store compares, appends and commits.
"""
