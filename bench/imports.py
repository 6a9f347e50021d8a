"""What importing 100,000 rows takes, beside a loop of batches of 1,000 in the same run: time, and memory of web and
worker.

    .venv/bin/python bench/imports.py [rows]

One web process, one worker. Somebody else adds a line to another bill meanwhile: what that waits is said too.
"""

from __future__ import annotations

import json
import statistics
import sys
import threading
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

PROJECT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(PROJECT))

from bench.exports import resident_mb, web_process  # noqa: E402
from bench.support.bills import SystemBills, item  # noqa: E402
from bench.support.stack import Stack  # noqa: E402

ROWS = 100_000
BATCH = 1_000
NAMES = ("description", "quantity", "unit_price", "currency", "key")


def main() -> None:
    rows = int(sys.argv[1]) if len(sys.argv) > 1 else ROWS
    with Stack(environment={"WEB_CONCURRENCY": "1"}) as stack:
        bills = SystemBills(stack)
        *wanted, neighbour = bills.opened(6)
        import_rows(stack, wanted[4], ndjson(1_000), "application/x-ndjson", 1_000)
        print(f"{rows:,} rows; load of the machine {load()}", flush=True)
        ways: dict[str, Callable[[], str]] = {
            "batches of 1,000": lambda: in_batches(stack, wanted[0], rows, keyed=False),
            "batches of 1,000, with keys": lambda: in_batches(stack, wanted[1], rows, keyed=True),
            "NDJSON": lambda: import_rows(stack, wanted[2], ndjson(rows), "application/x-ndjson", rows),
            "CSV, with keys": lambda: import_rows(stack, wanted[3], csv(rows), "text/csv", rows),
        }
        for name, run in ways.items():
            measure(stack, name, run, rows, neighbour)
        print(f"load of the machine {load()}", flush=True)


def measure(stack: Stack, name: str, run: Callable[[], str], rows: int, neighbour: str) -> None:
    watched = {"web": web_process(stack), "worker": stack.children["worker"].pid}
    before = {part: resident_mb(pid) for part, pid in watched.items()}
    most, waits, over = dict(before), [], threading.Event()

    def watch() -> None:
        while not over.wait(0.05):
            for part, pid in watched.items():
                most[part] = max(most[part], resident_mb(pid))

    def add() -> None:
        while not over.wait(0.1):
            began = time.monotonic()
            call(stack, f"bills/{neighbour}/line-items", json.dumps(item(1)).encode())
            waits.append(1_000 * (time.monotonic() - began))

    beside = [threading.Thread(target=each) for each in (watch, add)]
    for thread in beside:
        thread.start()
    began = time.monotonic()
    said = run()
    took = time.monotonic() - began
    over.set()
    for thread in beside:
        thread.join()
    memory = ", ".join(f"{part} {before[part]:.0f} MiB before, {most[part]:.0f} at most" for part in watched)
    print(
        f"{name:28} {took:6.1f} s {rows / took:8,.0f} rows a second{said}   {memory}   "
        f"a line meanwhile p50 {statistics.median(waits):.0f} ms, longest {max(waits):.0f} ms",
        flush=True,
    )


def in_batches(stack: Stack, bill: str, rows: int, *, keyed: bool) -> str:
    for first in range(0, rows, BATCH):
        numbers = range(first, first + BATCH)
        batch = [{**item(n), **({"key": f"row-{n}"} if keyed else {})} for n in numbers]
        call(stack, f"bills/{bill}/line-items/batch", json.dumps({"line_items": batch}).encode())
    return ""


def import_rows(stack: Stack, bill: str, content: bytes, media: str, rows: int) -> str:
    began = time.monotonic()
    made = call(stack, f"imports?bill_id={bill}", content, media)["data"]
    stored = time.monotonic() - began
    while made["state"] != "done":
        time.sleep(0.2)
        made = call(stack, f"imports/{made['id']}")["data"]
    assert made["added"] == rows, made
    return f", stored after {stored:.1f} s"


def ndjson(rows: int) -> bytes:
    return b"".join(json.dumps(item(n)).encode() + b"\n" for n in range(rows))


def csv(rows: int) -> bytes:
    lines = (",".join((*item(n).values(), f"row-{n}")) for n in range(rows))
    return "\r\n".join([",".join(NAMES), *lines]).encode()


def call(stack: Stack, path: str, body: bytes | None = None, media: str = "application/json") -> Any:
    address = f"http://127.0.0.1:{stack.ports['system']}/api/v1/{path}"
    headers = {"Authorization": f"Bearer {stack.api_key}", "Content-Type": media}
    request = urllib.request.Request(address, body, headers)
    with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request, timeout=120) as answer:
        return json.load(answer)


def load() -> str:
    return Path("/proc/loadavg").read_text().split()[0]


if __name__ == "__main__":
    main()
