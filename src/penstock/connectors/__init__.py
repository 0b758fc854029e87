"""The shelf: connectors that come with penstock, one module or package each.

A module here is written as a stranger would write it, with the names of `penstock` alone.
`simulated` reads the company of `penstock.simulator` and is the model to copy from.
"""
