"""What an export of a million rows takes: time, and memory of the web process that sends it.

    .venv/bin/python bench/exports.py [bills]

Five items a bill; one web process. Another reader asks for a bill meanwhile: what it waits is said too.
"""

from __future__ import annotations

import statistics
import sys
import threading
import time
import urllib.request
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(PROJECT))

from bench.support import many_bills  # noqa: E402
from bench.support.stack import Stack  # noqa: E402

BILLS = 200_000
EXPORTS = ("line-items?format=csv", "line-items?format=ndjson", "bills?format=csv", "events?format=ndjson")
READ_AT_ONCE = 1 << 16


def main() -> None:
    bills = int(sys.argv[1]) if len(sys.argv) > 1 else BILLS
    with Stack(environment={"WEB_CONCURRENCY": "1"}) as stack:
        loaded = many_bills.load(stack.database, bills)
        print(f"{loaded.bills:,} bills, {loaded.items:,} items, {loaded.events:,} events", flush=True)
        found = stack.database.execute("SELECT id FROM bills ORDER BY id DESC LIMIT 1").fetchone()
        assert found
        read(stack, "exports/bills?format=csv&customer_id=nobody")
        for export in EXPORTS:
            measure(stack, export, f"bills/{found[0]}")


def measure(stack: Stack, export: str, meanwhile: str) -> None:
    worker, over = web_process(stack), threading.Event()
    before, memory, waits = resident_mb(worker), [], []

    def watch() -> None:
        while not over.wait(0.05):
            memory.append(resident_mb(worker))

    def ask() -> None:
        while not over.wait(0.1):
            began = time.monotonic()
            read(stack, meanwhile)
            waits.append(1_000 * (time.monotonic() - began))

    beside = [threading.Thread(target=each) for each in (watch, ask)]
    for thread in beside:
        thread.start()
    began = time.monotonic()
    lines, size = read(stack, f"exports/{export}")
    took = time.monotonic() - began
    over.set()
    for thread in beside:
        thread.join()
    print(
        f"{export:28} {lines:>10,} lines {size / 2**20:7.0f} MiB {took:6.1f} s {lines / took:9,.0f} a second   "
        f"resident {before:.0f} MiB before, {max(memory):.0f} at most   "
        f"a bill meanwhile p50 {statistics.median(waits):.0f} ms, longest {max(waits):.0f} ms",
        flush=True,
    )


def read(stack: Stack, path: str) -> tuple[int, int]:
    """How many lines and bytes came."""
    address = f"http://127.0.0.1:{stack.ports['system']}/api/v1/{path}"
    request = urllib.request.Request(address, headers={"Authorization": f"Bearer {stack.api_key}"})
    lines = size = 0
    with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request, timeout=600) as answer:
        while part := answer.read(READ_AT_ONCE):
            lines += part.count(b"\n")
            size += len(part)
    return lines, size


def web_process(stack: Stack) -> int:
    """gunicorn's only worker."""
    parent = stack.children["system"].pid
    (child,) = Path(f"/proc/{parent}/task/{parent}/children").read_text().split()
    return int(child)


def resident_mb(pid: int) -> float:
    status = Path(f"/proc/{pid}/status").read_text()
    return int(status.split("VmRSS:")[1].split()[0]) / 1024


if __name__ == "__main__":
    main()
