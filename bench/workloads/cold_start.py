"""bin/dev on a set-up checkout: how soon it is there, what it takes, and how soon again after a part was killed."""

from __future__ import annotations

import http.client
import itertools
import json
import os
import signal
import statistics
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

from bench.support.dev_run import PARTS, DevRun, memory_mb
from bench.support.figures import Figure, Plan, no_more_than
from bench.support.insistent import Insistent
from bench.support.load import LOOPBACK
from bench.support.stack import Stack

TITLE = "10: Cold start of bin/dev, and parts killed"

STARTED_WITHIN_S = no_more_than(5)
BACK_WITHIN_S = no_more_than(2)
KILLED_WORKER = "one of two workers"
STOPPED_WITHIN_S = no_more_than(10)
GIVEN_UP_S = 60.0
# Of load before a kill, and for what was killed to be whole again afterwards.
CLOSE_AGAIN_S = 0.25
SETTLING_S = 3.0
# What was measured with the stack's own environment would belong to it.
OURS = ("DATABASE_URL", "TEMPORAL_ADDRESS", "SECRET_KEY", "PORT", "DATA_DIR")


def measure(stack: Stack, plan: Plan) -> list[Figure]:
    environment = {name: value for name, value in os.environ.items() if name not in OURS}
    # What runs beside it is only to hold the directory.
    for child in stack.children.values():
        child.stop()
    empty = [_started_s(stack, environment, f"dev{number}") for number in range(plan.rounds(3))]
    existing = [_started_s(stack, environment, "dev0") for _ in range(plan.rounds(5))]
    return [
        _median("existing data: command to /readyz", existing),
        _median("empty data directory: command to /readyz", empty),
        *_with_it(DevRun(stack.directory / "dev0", environment), plan),
    ]


def _median(what: str, seconds: list[float]) -> Figure:
    return Figure(what, statistics.median(seconds), "s", aim=STARTED_WITHIN_S)


def _started_s(stack: Stack, environment: dict[str, str], name: str) -> float:
    """The first run with a name makes its data and a way to sign in; it is there once that is kept."""
    run = DevRun(_directory(stack.directory / name), environment)
    with run.running() as (_, seconds):
        run.wait_until_ready("/readyz?strict=1")
        _api_key(run)
    return seconds


def _with_it(run: DevRun, plan: Plan) -> list[Figure]:
    found: list[Figure] = []
    with run.running(until="/readyz?strict=1") as (program, _):
        run.wait_until_whole()
        time.sleep(SETTLING_S)
        found += _memory(run)
        found += _deaths(run, plan)
        began = time.monotonic()
        program.send_signal(signal.SIGINT)
        program.wait(GIVEN_UP_S)
        found.append(Figure("Ctrl-C to gone", time.monotonic() - began, "s", aim=STOPPED_WITHIN_S))
    return found


def _memory(run: DevRun) -> list[Figure]:
    """After a first page of everything was asked for."""
    figures = []
    for part in PARTS:
        rss, pss = memory_mb(run.processes(part))
        what = f"memory of {part}, {len(run.processes(part))} processes, resident"
        figures.append(Figure(what, rss, "MB", "shared pages divided", pss))
    return figures


def _deaths(run: DevRun, plan: Plan) -> list[Figure]:
    key = _api_key(run)
    killed = {
        "a web process": lambda: run.processes("web")[1],
        "the web server's master": lambda: run.leader("web"),
        KILLED_WORKER: lambda: run.leader("worker"),
    }
    figures = []
    for what, pid in killed.items():
        took = [_back_s(run, key, what, pid()) for _ in range(plan.rounds(3))]
        answer = "close of a new bill" if what == KILLED_WORKER else "add of every client"
        said = f"kill -9 of {what} under load: first good {answer}"
        figures.append(Figure(said, max(took), "s", aim=BACK_WITHIN_S))
    return figures


def _back_s(run: DevRun, key: str, what: str, pid: int) -> float:
    with Insistent(run.port, key, lambda: _opened(run, key)) as clients:
        to_close = [_opened(run, key) for _ in range(50)]
        time.sleep(SETTLING_S)
        os.kill(pid, signal.SIGKILL)
        killed_at = time.monotonic()
        if what == KILLED_WORKER:
            took = _closed_after_s(run, key, killed_at, to_close)
        else:
            took = clients.all_answered_after(killed_at, GIVEN_UP_S)
        time.sleep(SETTLING_S)
    run.wait_until_ready("/readyz?strict=1")
    return took


def _closed_after_s(run: DevRun, key: str, killed_at: float, bills: list[str]) -> float:
    """Until a close is answered as done: 202, closing, is what is said when nobody carries it out at once."""
    for bill in itertools.chain(bills):
        status, _ = _post(run, key, f"/api/v1/bills/{bill}/close", {})
        if status == http.HTTPStatus.OK:
            return time.monotonic() - killed_at
        # Web leaves Temporal alone for some seconds after a call that failed, and answers 202 at once meanwhile.
        time.sleep(CLOSE_AGAIN_S)
    raise RuntimeError("no close was answered as done")


def _opened(run: DevRun, key: str) -> str:
    start = datetime.now(UTC)
    period = {"period_start": start.isoformat(), "period_end": (start + timedelta(days=30)).isoformat()}
    status, answer = _post(run, key, "/api/v1/bills", {"customer_id": "cold", **period})
    if status != http.HTTPStatus.OK:
        raise RuntimeError(f"no bill could be opened: {status} {answer}")
    return str(answer["data"]["id"])


def _post(run: DevRun, key: str, path: str, body: dict[str, str]) -> tuple[int, dict[str, dict[str, str]]]:
    connection = http.client.HTTPConnection(LOOPBACK, run.port, timeout=GIVEN_UP_S)
    try:
        headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}
        connection.request("POST", path, json.dumps(body), headers)
        answer = connection.getresponse()
        return answer.status, json.loads(answer.read())
    finally:
        connection.close()


def _api_key(run: DevRun) -> str:
    """Of the way in that bin/dev makes and keeps, once it has."""
    file = run.data_dir / "credentials.json"
    deadline = time.monotonic() + GIVEN_UP_S
    while not file.exists():
        if time.monotonic() > deadline:
            raise RuntimeError("bin/dev made no way to sign in")
        time.sleep(0.1)
    return str(json.loads(file.read_text())["api_key"])


def _directory(path: Path) -> Path:
    if not path.exists():
        path.mkdir()
        # PostgreSQL's user, should root run this, must pass through.
        path.chmod(0o711)
    return path
