"""Ten connectors on paper: each as its author would write it, against a server like the real one.

A module is one provider: the connector, the provider's own manners in a few lines, and what a user
relies on. What all of them share is in `server`.
"""
