"""The simulator by hand: python -m penstock.simulator --port 8899 --records 2000 --seed 1"""

from __future__ import annotations

import argparse
import signal
import sys
import threading

from penstock.simulator import Company, Served, serve
from penstock.simulator.server import TOKEN

_TO_TRY = """\
A company with {records} records is open at {url}, token {token}. Try:

  curl -H 'Authorization: Bearer {token}' '{url}/invoices?limit=2'
  curl -H 'Authorization: Bearer {token}' '{url}/truth'
  curl -H 'Authorization: Bearer {token}' -X POST '{url}/tick'

  penstock connect simulated --name sim --set base_url={url} --secret api_key={token}
  penstock run sim

Ctrl-C ends it.
"""


def main(arguments: list[str] | None = None) -> int:
    """Serve until interrupted. Exit status 0, or 2 where the arguments or the port will not do."""
    options = _parser().parse_args(arguments)
    for ending in (signal.SIGINT, signal.SIGTERM):  # a shell's background job ignores the first
        signal.signal(ending, signal.default_int_handler)
    try:
        company = Company(options.seed, options.records, options.faulty)
        with serve(
            company, port=options.port, token=options.token, latency=options.latency
        ) as served:
            _announce(served, options.records)
            threading.Event().wait()
    except KeyboardInterrupt:
        return 0
    except (ValueError, OSError) as error:
        sys.stderr.write(f"error: {error}\n")
        return 2
    return 0


def _announce(served: Served, records: int) -> None:
    sys.stdout.write(_TO_TRY.format(records=records, url=served.url, token=served.token))
    sys.stdout.flush()


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m penstock.simulator",
        description="A seeded company behind an HTTP API that knows its own truth.",
    )
    parser.add_argument("--port", type=int, default=8899, help="0 takes a free one (8899)")
    parser.add_argument("--records", type=int, default=2000, help="of all kinds together (2000)")
    parser.add_argument("--seed", type=int, default=1, help="decides every byte (1)")
    parser.add_argument("--faulty", type=float, default=0.01, help="share shown wrong (0.01)")
    parser.add_argument("--token", default=TOKEN, help=f"what callers must send ({TOKEN})")
    parser.add_argument("--latency", type=float, default=0.0, help="seconds a listing waits (0)")
    return parser


if __name__ == "__main__":
    sys.exit(main())
