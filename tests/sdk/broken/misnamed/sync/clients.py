"""Serves customers, from a file named after clients."""

from penstock_connector_misnamed.connector import acme

from penstock import sync


@acme.sync("customers")  # broken
def customers(request):
    return sync.page()
