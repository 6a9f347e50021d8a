"""What sealing the event log costs, and how long verifying and reading it take.

    .venv/bin/python bench/sealing.py [adds] [indexes] [million] [pages]

A PostgreSQL of its own. Adds go straight to the ledger, by threads of another process than the one that seals; rounds
with and without sealing alternate, and so do adds with and without the indexes of the audit log. Processor time of a
backend is what the system counts, in hundredths of a second; what an add takes of it says the same whatever else the
machine does, where adds a second don't. Of rounds in pairs the median of the ratios counts, with its quartiles.
"""

from __future__ import annotations

import os
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID, uuid4

PROJECT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(PROJECT))

from sqlalchemy import Engine, text  # noqa: E402

from billing.bill import LineItemDraft  # noqa: E402
from billing.ledger import audit_log, bills, line_items, sealing, verification  # noqa: E402
from billing.ledger.audit_log import LogFilter, Place  # noqa: E402
from billing.ledger.database import transaction  # noqa: E402
from billing.ledger.engines import create_engine  # noqa: E402
from billing.origin import Actor, ActorKind, Origin  # noqa: E402
from billing.period import Period  # noqa: E402
from embedded.postgres import Postgres  # noqa: E402

CLIENTS = 4
ROUND_S = 2.0
ROUNDS = int(os.environ.get("ROUNDS", "24"))
ADDS = 2_000
SMALL, LARGE = 1_000_000, 5_000_000
DRAFT = LineItemDraft.parse("Card processing", "12", "0.0125", "USD", offered=("USD",))
ORIGIN = Origin(Actor(ActorKind.API_KEY, str(uuid4()), "ledger-sync"), uuid4(), "request")
INDEXES = {
    "ix_events_occurred_at_seq": "(occurred_at, seq)",
    "ix_events_actor_name_occurred_at_seq": "(actor_name, occurred_at, seq)",
    "ix_events_type_occurred_at_seq": "(type, occurred_at, seq) WHERE type <> 'line_items.added'",
}
FILL = """
    INSERT INTO events (subject_id, version, subject_type, type, actor_kind, actor_id, actor_name, request_id, data,
                        occurred_at)
    SELECT lpad(to_hex(n % 50000), 32, '0')::uuid, n, 'bill',
           CASE WHEN n % 1000 = 1 THEN 'bill.closed' ELSE 'line_items.added' END, 'api_key',
           '7d4dcd5c-9c62-4ba4-98cd-3f1d3b3a4a51',
           CASE WHEN n % 100000 = 7 THEN 'anna@example.com' WHEN n % 20 = 0 THEN 'erp' ELSE 'ledger-sync' END,
           '0199aa00-0000-7000-8000-000000000000',
           jsonb_build_object('totals', jsonb_build_object('USD', '0.15'), 'first_position', n, 'last_position', n),
           timestamptz '2024-01-01' + n * interval '10 seconds'
    FROM generate_series(CAST(:first AS bigint), CAST(:last AS bigint)) AS n
"""


def main() -> None:
    if sys.argv[1:2] == ["seal"]:
        seal_while(sys.argv[2], Path(sys.argv[3]))
    parts = sys.argv[1:] or ["adds", "indexes", "million", "pages"]
    directory = Path(tempfile.mkdtemp(prefix="pave-billing-bench-"))
    directory.chmod(0o711)
    server = Postgres(directory)
    server.start()
    try:
        environment = {**os.environ, "DATABASE_URL": server.url()}
        subprocess.run([sys.executable, "-m", "alembic", "upgrade", "head"], cwd=PROJECT, check=True, env=environment)
        engine = create_engine(server.url(), statement_timeout_s=0)
        print(f"load {os.getloadavg()[0]:.1f} at the beginning, {os.cpu_count()} processors")
        if "adds" in parts:
            beside_adds(engine, server.url())
        if "indexes" in parts:
            indexes(engine)
        if "million" in parts:
            fill(engine, 1, SMALL)
            seal_all(engine)
            verify(engine)
        if "pages" in parts:
            fill(engine, SMALL + 1 if "million" in parts else 1, LARGE)
            read(engine)
        print(f"load {os.getloadavg()[0]:.1f} at the end")
        engine.dispose()
    finally:
        server.stop()
        shutil.rmtree(directory, ignore_errors=True)


def seal_while(url: str, told: Path) -> None:
    """As long as that file is there; until it is ended."""
    engine = create_engine(url)
    while True:
        made = sealing.seal(engine) if told.exists() else None
        if made is None or made.count < sealing.BATCH:
            time.sleep(0.5)


def beside_adds(engine: Engine, url: str) -> None:
    opened = open_bills(engine, CLIENTS * 8)
    adds_a_second(engine, opened)
    backends = pids(engine)
    figures: dict[bool, list[tuple[float, float, float]]] = {False: [], True: []}
    with tempfile.TemporaryDirectory() as directory:
        told = Path(directory, "seal")
        told.touch()
        process = subprocess.Popen([sys.executable, __file__, "seal", url, str(told)])
        time.sleep(8)
        sealer = [process.pid, *set(pids(engine)).difference(backends)]
        for turn in range(ROUNDS):
            for sealed in (True, False) if turn % 2 else (False, True):
                if sealed:
                    told.touch()
                else:
                    told.unlink(missing_ok=True)
                time.sleep(0.5)
                before, of_sealer = sum(map(ticks, backends)), sum(map(ticks, sealer))
                rate = adds_a_second(engine, opened)
                used, of_sealer = sum(map(ticks, backends)) - before, sum(map(ticks, sealer)) - of_sealer
                an_add = 1e6 / (rate * ROUND_S)
                figures[sealed].append((rate, used * an_add, (used + of_sealer) * an_add))
        process.terminate()
        process.wait()
    print(f"{CLIENTS} clients, {ROUNDS} rounds of {ROUND_S:.0f} s each, with sealing twice a second and without")
    of_backends = "microseconds of the clients' backends an add"
    for n, what in enumerate(("adds a second", of_backends, f"{of_backends}, and of the sealer and its backend")):
        without, with_ = ([round_[n] for round_ in figures[sealed]] for sealed in (False, True))
        ratios = sorted(one / other for one, other in zip(with_, without, strict=True))
        low, middle, high = statistics.quantiles(ratios, n=4)
        print(
            f"{what}: {statistics.median(without):,.0f} without, {statistics.median(with_):,.0f} with; "
            f"ratio {middle:.3f}, quartiles {low:.3f} to {high:.3f}, all {ratios[0]:.3f} to {ratios[-1]:.3f}"
        )


def pids(engine: Engine) -> list[int]:
    """Of the backends that clients have so far."""
    found = "SELECT array_agg(pid) FROM pg_stat_activity WHERE backend_type = 'client backend'"
    return list(scalar(engine, found))


def open_bills(engine: Engine, count: int) -> list[UUID]:
    now = datetime.now(UTC)
    period = Period(now, now + timedelta(days=30))
    return [bills.open_bill(engine, ORIGIN, f"c-{uuid4()}", period).bill.id for _ in range(count)]


def adds_a_second(engine: Engine, opened: list[UUID]) -> float:
    until = time.monotonic() + ROUND_S

    def add(client: int) -> int:
        count = 0
        while time.monotonic() < until:
            line_items.add(engine, ORIGIN, opened[client * 8 + count % 8], DRAFT)
            count += 1
        return count

    with ThreadPoolExecutor(CLIENTS) as pool:
        return sum(pool.map(add, range(CLIENTS))) / ROUND_S


def indexes(engine: Engine) -> None:
    """One client, so that there is one backend."""
    opened = open_bills(engine, 8)
    figures: dict[bool, list[tuple[float, float]]] = {False: [], True: []}
    for turn in range(7):
        # The last ends with them.
        for there in (True, False) if turn % 2 else (False, True):
            for name, columns in INDEXES.items():
                change = (
                    f"CREATE INDEX IF NOT EXISTS {name} ON events {columns}"
                    if there
                    else f"DROP INDEX IF EXISTS {name}"
                )
                execute(engine, change)
            execute(engine, "CHECKPOINT")
            figures[there].append(cost_of_adds(engine, opened))
    for there, name in ((False, "without"), (True, "with")):
        cpu = statistics.median(cpu for cpu, _ in figures[there])
        wal = statistics.median(wal for _, wal in figures[there])
        print(f"an add {name} the indexes: {cpu:.0f} microseconds of its backend, {wal:,.0f} bytes of WAL")


def cost_of_adds(engine: Engine, opened: list[UUID]) -> tuple[float, float]:
    for n in range(200):
        line_items.add(engine, ORIGIN, opened[n % 8], DRAFT)
    pid = scalar(engine, "SELECT pg_backend_pid()")
    began, wal = ticks(pid), scalar(engine, "SELECT pg_current_wal_insert_lsn() - '0/0'")
    for n in range(ADDS):
        line_items.add(engine, ORIGIN, opened[n % 8], DRAFT)
    used = ticks(pid) - began
    written = scalar(engine, "SELECT pg_current_wal_insert_lsn() - '0/0'") - wal
    return used / ADDS * 1e6, float(written) / ADDS


def ticks(pid: int) -> float:
    """Seconds of processor time."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def fill(engine: Engine, first: int, last: int) -> None:
    for begin in range(first, last + 1, 250_000):
        with transaction(engine) as connection:
            connection.execute(text(FILL), {"first": begin, "last": min(begin + 249_999, last)})
    execute(engine, "VACUUM ANALYZE events")
    count = scalar(engine, "SELECT count(*) FROM events")
    size = scalar(engine, "SELECT pg_total_relation_size('events')")
    print(f"{count:,} events, {size / 1e6:,.0f} MB with their indexes")


def seal_all(engine: Engine) -> None:
    pid = scalar(engine, "SELECT pg_backend_pid()")
    began, here, there, count = time.monotonic(), time.process_time(), ticks(pid), 0
    while made := sealing.seal(engine):
        count += made.count
    took, python, postgres = time.monotonic() - began, time.process_time() - here, ticks(pid) - there
    print(
        f"sealed {count:,} events in {took:.1f} s; a thousand: {python / count * 1e6:.2f} ms of Python, "
        f"{postgres / count * 1e6:.2f} ms of PostgreSQL"
    )
    size = scalar(engine, "SELECT pg_total_relation_size('audit_seals')")
    print(f"seals take {size / count:.0f} bytes an event")


def verify(engine: Engine) -> None:
    pid = scalar(engine, "SELECT pg_backend_pid()")
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    began, here, there = time.monotonic(), time.process_time(), ticks(pid)
    verdict = verification.verify(engine)
    took, python, postgres = time.monotonic() - began, time.process_time() - here, ticks(pid) - there
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - memory
    assert verdict.flaw is None
    print(
        f"verified {verdict.events:,} events in {took:.1f} s ({python:.1f} s of Python, {postgres:.1f} s of "
        f"PostgreSQL); the process grew by {grown / 1024:.1f} MB"
    )


def read(engine: Engine) -> None:
    old = datetime(2024, 2, 1, tzinfo=UTC)
    wanted = {
        "newest": (LogFilter(), None),
        "from the middle on": (LogFilter(), Place(LARGE // 2, datetime(2024, 10, 1, tzinfo=UTC))),
        "a month two years ago": (LogFilter(since=old, before=old + timedelta(days=30)), None),
        "a frequent type": (LogFilter(type="line_items.added"), None),
        "a rare type": (LogFilter(type="bill.closed"), None),
        "a rare actor (50 events)": (LogFilter(actor="anna@example.com"), None),
        "nobody": (LogFilter(actor="nobody"), None),
        "one bill": (LogFilter(subject_id=UUID(int=7)), None),
        "a frequent actor's rare type": (LogFilter(actor="ledger-sync", type="bill.closed"), None),
        "two that never meet": (LogFilter(actor="erp", type="bill.closed"), None),
    }
    for name, (filter_, place) in wanted.items():
        print(
            f"page, {name}: {milliseconds(lambda f=filter_, p=place: audit_log.events(engine, f, limit=51, after=p))}"
        )
    print(f"names of actors: {milliseconds(lambda: audit_log.actors(engine, limit=200))}")
    print(f"standing, all but a million unsealed: {milliseconds(lambda: sealing.standing(engine))}")


def milliseconds(work: Callable[[], object]) -> str:
    times = []
    for _ in range(21):
        began = time.perf_counter()
        work()
        times.append((time.perf_counter() - began) * 1e3)
    return f"first {times[0]:.1f} ms, then {statistics.median(times[1:]):.2f} ms, at most {max(times[1:]):.2f}"


def scalar(engine: Engine, statement: str):
    with engine.connect() as connection:
        return connection.execute(text(statement)).scalar_one()


def execute(engine: Engine, statement: str) -> None:
    with engine.execution_options(isolation_level="AUTOCOMMIT").connect() as connection:
        connection.execute(text(statement))


if __name__ == "__main__":
    main()
