"""A seeded company behind a real HTTP API that knows its own truth: demo, oracle and load.

What lives here: the company's own records (parties, sales, bank), how they come to be (chance,
history, day), how some of them go wrong (faults), what a reader must end up with (truth), and
the API (listing, query, server). Nothing here knows penstock's contracts, mappings or pipeline,
so its truth is a second opinion and not an echo.

>>> with serve(Company(seed=1, records=2000)) as provider:
...     provider.url
'http://127.0.0.1:41753'
"""

from __future__ import annotations

from penstock.simulator.company import Company
from penstock.simulator.server import Served, serve
from penstock.simulator.truth import Expected, Moved, Truth

__all__ = ["Company", "Expected", "Moved", "Served", "Truth", "serve"]
