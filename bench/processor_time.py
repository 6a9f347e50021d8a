"""Processor time of one added item, in Python and in PostgreSQL, beside the floor's: what no waiting explains.

"counted" is the system with METRICS_PORT set.

    .venv/bin/python bench/processor_time.py

Both applications are called in this process, without a server or a network; Temporal is out of reach, so that telling
workflows costs nothing. PostgreSQL's part is that of its backends, which the system counts in hundredths of a second.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

import psycopg
from flask.testing import FlaskClient

PROJECT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(PROJECT))

from embedded.postgres import Postgres  # noqa: E402

BILLS = 60
ITEMS = 1_500
ROUNDS = 3
ITEM = {"description": "Card processing", "quantity": "12", "unit_price": "0.0125", "currency": "USD"}


def main() -> None:
    directory = Path(tempfile.mkdtemp(prefix="pave-billing-bench-"))
    directory.chmod(0o711)
    server = Postgres(directory)
    server.start()
    try:
        os.environ.update(DATABASE_URL=server.url(), SECRET_KEY=uuid.uuid4().hex, TEMPORAL_ADDRESS="127.0.0.1:1")
        subprocess.run([sys.executable, "-m", "alembic", "upgrade", "head"], cwd=PROJECT, check=True)
        with psycopg.connect(server.url(), autocommit=True) as connection:
            connection.execute("CREATE SEQUENCE bench_positions START 1000000")
            compare(connection)
    finally:
        server.stop()
        shutil.rmtree(directory, ignore_errors=True)
    sys.stdout.flush()
    os._exit(0)  # Temporal's client may abort in the interpreter's own end


def compare(connection: psycopg.Connection) -> None:
    from bench.support.floor import create_app as create_floor  # noqa: PLC0415 - reads the environment set above
    from webapp import metrics_files  # noqa: PLC0415

    # As in a web process with METRICS_PORT, before anything that counts is imported.
    shared = metrics_files.make_directory()
    metrics_files.take_slot(0)
    from webapp.app import create_app  # noqa: PLC0415
    from webapp.config import Config  # noqa: PLC0415
    from webapp.identity import api_keys  # noqa: PLC0415
    from webapp.identity.roles import Role  # noqa: PLC0415

    app, counting = create_app(), create_app(replace(Config.from_environment(), metrics=True))
    token = api_keys.create(app.extensions["pave"].engine, name="bench", role=Role.OPERATOR)
    system, floor, counted = app.test_client(), create_floor().test_client(), counting.test_client()
    headers = {"Authorization": f"Bearer {token}"}
    now = datetime.now(UTC)
    period = {"period_start": now.isoformat(), "period_end": (now + timedelta(days=9)).isoformat()}
    opened = [system.post("/api/v1/bills", json={"customer_id": "b", **period}, headers=headers) for _ in range(BILLS)]
    bills = [json.loads(answer.data)["data"]["id"] for answer in opened]

    def add(n: int, client: FlaskClient = system) -> int:
        key = {"Idempotency-Key": uuid.uuid4().hex}
        path = f"/api/v1/bills/{bills[n % BILLS]}/line-items"
        return client.post(path, json=ITEM, headers={**headers, **key}).status_code

    def add_to_the_floor(n: int) -> int:
        return floor.post(f"/bills/{bills[n % BILLS]}/line-items", json=ITEM).status_code

    for _ in range(ROUNDS):
        report("floor", add_to_the_floor, connection)
        report("system", add, connection)
        report("counted", partial(add, client=counted), connection)
    metrics_files.remove(shared)


def report(name: str, add: Callable[[int], int], connection: psycopg.Connection) -> None:
    for n in range(100):
        assert add(n) == 200
    python_s, postgres_s = time.process_time(), backends_s(connection)
    for n in range(ITEMS):
        add(n)
    python_ms = (time.process_time() - python_s) * 1000 / ITEMS
    postgres_ms = (backends_s(connection) - postgres_s) * 1000 / ITEMS
    print(f"{name:8} python {python_ms:.2f} ms   postgres {postgres_ms:.2f} ms", flush=True)


def backends_s(connection: psycopg.Connection) -> float:
    rows = connection.execute("SELECT pid FROM pg_stat_activity WHERE datname = current_database()").fetchall()
    ticks = 0
    for (pid,) in rows:
        fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
        ticks += int(fields[11]) + int(fields[12])
    return ticks / os.sysconf("SC_CLK_TCK")


if __name__ == "__main__":
    main()
