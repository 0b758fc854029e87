"""The billing API that everything here reads: N invoices of about 950 bytes behind a cursor.

    python bench/provider.py --records 20000

prints its address when it is ready, and serves until its standard input closes, so it cannot
outlive the program that started it.

    GET  /invoices?cursor=&limit=&updated_since=   {"data": [...], "next_cursor": text or null}
    POST /change?every=100                         every 100th invoice changes; {"changed": n}

Invoices are rendered once, stand in the order of `updated_at`, and are the same bytes every
time. A page costs one join, so the provider is not what is measured. `updated_since` is
inclusive. A changed invoice gets another note and a later `updated_at`.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
from bisect import bisect_left
from datetime import UTC, datetime, timedelta
from urllib.parse import parse_qs, urlsplit

PAGE_RECORDS = 1_000
EPOCH = datetime(2025, 1, 1, tzinfo=UTC)
STEP = timedelta(seconds=11)

GOODS = ("Consulting, senior", "Licence, monthly", "Freight and packing", "Spare parts, mixed")
TOWNS = (("Kiel", "24103", "DE"), ("Lyon", "69002", "FR"), ("Leeds", "LS1 4DY", "GB"))
CURRENCIES = ("EUR", "EUR", "USD", "GBP")
STATES = ("open", "paid", "paid", "void")

LINE = (
    '{"id":"line_%08d_%d","text":"%s","quantity":"%d","unit_price":"%s","net":"%s",'
    '"product":"prod_%03d"}'
)
INVOICE = (
    '{"id":"in_%08d","number":"2025-%07d","customer":{"id":"cus_%05d","name":"Customer %d GmbH"},'
    '"state":"%s","currency":"%s","issued_on":"%s","due_on":"%s","net":"%s","tax_rate":"20",'
    '"tax":"%s","gross":"%s","paid":"%s","due":"%s","order":"PO-%05d","terms":"30 days net",'
    '"note":"%s","billing":{"street":"%d Harbour Street","city":"%s","zip":"%s",'
    '"country":"%s"},"lines":[%s],"created_at":"%s","updated_at":"%s"}'
)


class Invoices:
    """All records, rendered, in the order of their last change."""

    def __init__(self, count: int) -> None:
        self.count = count
        self.revision = 0
        self.order = [(stamp(i), i) for i in range(count)]
        self.rendered = [invoice(i, 0, mark) for mark, i in self.order]

    def page(self, cursor: str, limit: int, updated_since: str) -> bytes:
        start = int(cursor) if cursor else bisect_left(self.order, (updated_since, -1))
        end = min(start + limit, self.count)
        more = b'"%d"' % end if end < self.count else b"null"
        records = b",".join([self.rendered[i] for _, i in self.order[start:end]])
        return b'{"data":[' + records + b'],"next_cursor":' + more + b"}"

    def change(self, every: int) -> int:
        """Change every n-th invoice; the changed ones move to the end of the order."""
        self.revision += 1
        first_mark = self.count * (self.revision + 1)
        marks = {
            i: stamp(first_mark + n)
            for n, i in enumerate(range(self.revision % every, self.count, every))
        }
        for i, mark in marks.items():
            self.rendered[i] = invoice(i, self.revision, mark)
        self.order = sorted((marks.get(i, mark), i) for mark, i in self.order)
        return len(marks)


def stamp(step: int) -> str:
    return (EPOCH + STEP * step).strftime("%Y-%m-%dT%H:%M:%SZ")


def money(cents: int) -> str:
    return f"{cents // 100}.{cents % 100:02d}"


def invoice(i: int, revision: int, updated_at: str) -> bytes:
    """Invoice i. Its sums agree: the lines make net, net and tax make gross."""
    seed = (i * 2_654_435_761) % 2**32
    lines, net = [], 0
    for n in (1, 2, 3):
        quantity, price = 1 + (seed >> n) % 9, 100 + (seed >> (2 * n)) % 90_000
        net += quantity * price
        goods = GOODS[(seed + n) % 4]
        amounts = (quantity, money(price), money(quantity * price))
        lines.append(LINE % (i, n, goods, *amounts, (seed + n) % 500))
    tax = net // 5 + (1 if net % 5 >= 3 else 0)
    state, customer = STATES[seed % 4], seed % 5_000
    gross, paid = money(net + tax), state == "paid"
    issued = EPOCH + timedelta(days=i % 300)
    return (
        INVOICE
        % (
            *(i, i, customer, customer, state, CURRENCIES[(seed >> 5) % 4]),
            *(f"{issued:%Y-%m-%d}", f"{issued + timedelta(days=30):%Y-%m-%d}"),
            *(money(net), money(tax), gross, gross if paid else "0.00", "0.00" if paid else gross),
            *(
                seed % 100_000,
                f"Thank you for your order. Payable within 30 days. Revision {revision}",
            ),
            *(1 + seed % 200, *TOWNS[seed % 3], ",".join(lines)),
            *(issued.strftime("%Y-%m-%dT%H:%M:%SZ"), updated_at),
        )
    ).encode()


class Exchange(asyncio.Protocol):
    """HTTP/1.1 with keep-alive, as much of it as a well-behaved client needs."""

    def __init__(self, invoices: Invoices, latency_s: float) -> None:
        self.invoices = invoices
        self.latency_s = latency_s

        self.received = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        self.received += data
        while b"\r\n\r\n" in self.received:
            head, _, self.received = self.received.partition(b"\r\n\r\n")
            method, target, _ = head.split(b"\r\n", 1)[0].decode("ascii").split(" ")
            answer = self.answer(method, target)
            if self.latency_s:
                asyncio.get_running_loop().call_later(self.latency_s, self.send, *answer)
            else:
                self.send(*answer)

    def send(self, status: bytes, body: bytes) -> None:
        self.transport.write(
            b"HTTP/1.1 %s\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n"
            % (status, len(body))
        )
        self.transport.write(body)

    def answer(self, method: str, target: str) -> tuple[bytes, bytes]:
        url = urlsplit(target)
        query = {name: values[-1] for name, values in parse_qs(url.query).items()}
        if (method, url.path) == ("GET", "/invoices"):
            limit = min(int(query.get("limit", PAGE_RECORDS)), PAGE_RECORDS)
            since = query.get("updated_since", "")
            return b"200 OK", self.invoices.page(query.get("cursor", ""), limit, since)
        if (method, url.path) == ("POST", "/change"):
            return b"200 OK", b'{"changed":%d}' % self.invoices.change(int(query["every"]))
        return b"404 Not Found", b'{"error":"not found"}'


async def serve(invoices: Invoices, port: int, latency_s: float) -> None:
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: Exchange(invoices, latency_s), "127.0.0.1", port)
    print(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}", flush=True)
    await loop.run_in_executor(None, sys.stdin.read)


def main() -> None:
    parser = argparse.ArgumentParser(description="Serve invoices on the loopback address.")
    parser.add_argument("--records", type=int, default=20_000)
    parser.add_argument("--port", type=int, default=0, help="0: any free one")
    parser.add_argument("--latency-ms", type=int, default=0, help="of every answer")
    args = parser.parse_args()
    asyncio.run(serve(Invoices(args.records), args.port, args.latency_ms / 1_000))


if __name__ == "__main__":
    main()
