"""PostgreSQL or Temporal restored from a backup that was taken under load, while the other one went on.

Everything is compared with what the callers were told: the list of what is missing names each bill with the version,
count and totals that were acknowledged, nothing from before the backup is missing, and no bill number comes twice.
"""

from __future__ import annotations

import asyncio
import re
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
import requests
from sqlalchemy import text

from billing.ledger import consistency, epochs
from embedded.postgres import Postgres
from embedded.temporal import Temporal
from tests.conftest import migrate
from tests.support.backups import PostgresBackup, TemporalBackup
from tests.support.integrator import Integrator
from tests.support.stack import Stack
from tests.system.conftest import assert_reconciled
from webapp.identity import api_keys
from webapp.identity.roles import Role
from workflows.connection import connect
from workflows.messages import figures_of
from workflows.news import Notice
from workflows.telling import tell

CLIENTS = 4
ROUNDS = 10
HEARD_WITHIN_S = 90


@dataclass
class CallersLog:
    """What callers were told of each bill: the newest answer, all items, and every bill number."""

    caller: Integrator
    newest: dict[str, dict[str, Any]] = field(default_factory=dict)
    numbers: dict[str, int] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def told(self, answer: requests.Response) -> dict[str, Any]:
        assert answer.status_code in {200, 202}, answer.text
        bill: dict[str, Any] = answer.json()["data"]
        with self._lock:
            known = self.newest.get(bill["id"])
            if known is None or known["version"] <= bill["version"]:
                self.newest[bill["id"]] = bill
            if "number" in bill:
                assert self.numbers.setdefault(bill["id"], bill["number"]) == bill["number"]
        return bill

    def opened(self) -> str:
        bill_id = self.caller.opened()
        self.told(self.caller.get(f"/bills/{bill_id}"))
        return bill_id

    def add(self, bill_id: str, **values: Any) -> None:
        self.told(self.caller.add(bill_id, **values))

    def close(self, bill_id: str) -> None:
        self.caller.asked_to_close(bill_id)
        self.caller.bill_when(bill_id, "closed", within_s=60)
        self.told(self.caller.get(f"/bills/{bill_id}"))

    def items(self) -> dict[str, set[str]]:
        """What was acknowledged so far; others may go on adding meanwhile."""
        return {bill_id: {item["id"] for item in items} for bill_id, items in list(self.caller.acknowledged.items())}

    def wait_for_items_of(self, *bill_ids: str) -> None:
        deadline = time.monotonic() + 60
        while not self.items().keys() >= set(bill_ids):
            assert time.monotonic() < deadline, "clients don't add"
            time.sleep(0.01)

    def standing(self, bill_id: str) -> str:
        bill = self.newest[bill_id]
        number = f", closed as No. {bill['number']}" if "number" in bill else ""
        return f"{standing(bill['version'], bill['item_count'], bill['total']['by_currency'])}{number}"


def standing(version: int, item_count: int, totals: dict[str, str]) -> str:
    amounts = "".join(f", {code} {amount}" for code, amount in sorted(totals.items()))
    return f"version {version}, {item_count} {'item' if item_count == 1 else 'items'}{amounts}"


@dataclass
class Whole:
    """A system on servers of its own, which others don't miss while they are restored."""

    stack: Stack
    postgres: PostgresBackup
    temporal: TemporalBackup

    def reconcile(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "cli.main", "reconcile", "--all", *arguments]
        return subprocess.run(
            command, env=self.stack.environment, text=True, capture_output=True, timeout=200, check=False
        )

    def stop(self) -> None:
        self.stack.web.stop()
        self.stack.worker.stop()

    def stored(self, bill_id: str) -> str | None:
        query = """
            SELECT version, item_count, (SELECT coalesce(jsonb_object_agg(currency, trim_scale(subtotal)::text), '{}')
                                         FROM bill_subtotals WHERE bill_id = id) AS totals
            FROM bills WHERE id = :id
        """
        with self.stack.engine.connect() as connection:
            row = connection.execute(text(query), {"id": bill_id}).one_or_none()
        return standing(row.version, row.item_count, row.totals) if row else None

    def stored_items(self, bill_id: str) -> set[str]:
        with self.stack.engine.connect() as connection:
            query = text("SELECT id::text FROM line_items WHERE bill_id = :id")
            return set(connection.execute(query, {"id": bill_id}).scalars())


@pytest.fixture(scope="module")
def whole(run_dir: Path) -> Iterator[Whole]:
    directory = run_dir / f"restored-{uuid4().hex[:8]}"
    directory.mkdir()
    directory.chmod(0o711)
    postgres, temporal = Postgres(directory, tell=lambda _: None), Temporal(directory)
    postgres.start()
    temporal.start()
    url = postgres.url()
    migrate(url)
    with Stack(directory / f"stack-{uuid4().hex[:8]}", url, temporal) as stack:
        stack.start()
        yield Whole(
            stack,
            PostgresBackup(directory, postgres, directory / "backup"),
            TemporalBackup(directory, temporal, directory / "temporal.copy"),
        )
    temporal.stop()
    postgres.stop()


@pytest.fixture
def log(whole: Whole) -> Iterator[CallersLog]:
    for program in (whole.stack.worker, whole.stack.web):
        if not program.child.running:
            program.start()
    caller = Integrator(whole.stack.url, api_keys.create(whole.stack.engine, name=uuid4().hex, role=Role.OPERATOR))
    yield CallersLog(caller)
    caller.close()


def under_load(log: CallersLog, bill_ids: list[str], meanwhile: Callable[[], None]) -> None:
    """Clients add to these bills before, during and after what is done `meanwhile`."""
    done = threading.Event()

    def add(number: int) -> None:
        rounds = 0
        while rounds < ROUNDS or not done.is_set():
            code = ("GEL", "USD", "JPY")[rounds % 3]
            log.add(bill_ids[(number + rounds) % len(bill_ids)], currency=code)
            rounds += 1
        for _ in range(ROUNDS):
            log.add(bill_ids[number % len(bill_ids)])

    with ThreadPoolExecutor(CLIENTS) as pool:
        adding = [pool.submit(add, number) for number in range(CLIENTS)]
        try:
            meanwhile()
        finally:
            done.set()
        for added in adding:
            added.result()


def all_is_heard(stack: Stack) -> None:
    """By the workflows, which then know what callers were told. Told by hand, since the sweep lets signals go first."""
    asyncio.run(_tell_all(stack))
    query = """
        SELECT count(*) FROM bills b JOIN bill_workflows w ON w.bill_id = b.id
        WHERE w.heard_version <> b.version OR (b.status = 'closed') <> (w.finished_at IS NOT NULL)
    """
    deadline = time.monotonic() + HEARD_WITHIN_S
    while True:
        with stack.engine.connect() as connection:
            if connection.execute(text(query)).scalar_one() == 0:
                return
        assert time.monotonic() < deadline, "workflows are behind"
        time.sleep(0.2)


async def _tell_all(stack: Stack) -> None:
    client, epoch = await connect(stack.settings), epochs.current(stack.engine)
    for bill in consistency.bills_to_compare(stack.engine, every=False, after=None, limit=100):
        notice = Notice(str(bill.id), figures_of(bill, epoch), start=True)
        await tell(client, stack.settings.temporal_task_queue, notice)


def missing(output: str) -> dict[str, str]:
    return dict(re.findall(r"^missing  bill-(\S+)  (.*)$", output, re.MULTILINE))


def test_postgresql_restored_from_a_backup_that_was_taken_under_load(whole: Whole, log: CallersLog) -> None:
    bill_ids = [log.opened() for _ in range(5)]
    log.close(bill_ids[4])
    before: dict[str, set[str]] = {}

    def back_up() -> None:
        log.wait_for_items_of(*bill_ids[:4])
        before.update(log.items())
        whole.postgres.take()

    under_load(log, bill_ids[:4], back_up)
    numbers_before = dict(log.numbers)
    log.close(bill_ids[0])
    opened_since = [log.opened() for _ in range(2)]
    for bill_id in opened_since:
        log.add(bill_id)
    log.close(opened_since[1])
    all_is_heard(whole.stack)

    whole.stop()
    whole.postgres.restore()
    whole.stack.engine.dispose()

    found = whole.reconcile("--alone", "--wait", "0")

    stored = {bill_id: whole.stored(bill_id) for bill_id in log.newest}
    lost = {bill_id for bill_id in log.newest if stored[bill_id] != log.standing(bill_id).split(", closed")[0]}
    expected = {
        bill_id: f"acknowledged: {log.standing(bill_id)}; stored: {stored[bill_id] or 'nothing'}" for bill_id in lost
    }
    assert found.returncode == 1
    assert lost == {*bill_ids[:4], *opened_since}
    assert missing(found.stdout) == expected, found.stdout
    assert "workflows know of bill numbers up to 3, given are those up to 1" in found.stdout
    assert "The ledger was restored from before" in found.stdout
    # Some of each was acknowledged before the backup, and more after it: neither is empty, so both say something.
    for bill_id in bill_ids[:4]:
        assert before[bill_id]
        assert before[bill_id] <= whole.stored_items(bill_id) < log.items()[bill_id]

    repaired = whole.reconcile("--alone", "--repair", "--wait", "0")
    again = whole.reconcile("--alone")

    assert repaired.returncode == 0, repaired.stdout + repaired.stderr
    assert "epoch 1 of the ledger begins\nbill numbers set aside, being given before: 2 to 3\n" in repaired.stdout
    assert missing(repaired.stdout) == expected
    assert (again.returncode, again.stdout) == (0, "5 bills compared, 0 differences\n")

    whole.stack.start()
    since = Integrator(whole.stack.url, log.caller.headers["Authorization"].removeprefix("Bearer "))
    anew = CallersLog(since)
    for bill_id in bill_ids[:4]:
        anew.add(bill_id)
        anew.close(bill_id)
    assert sorted(anew.numbers.values()) == [4, 5, 6, 7]
    assert numbers_before == {bill_ids[4]: 1}
    since.close()
    assert_reconciled(whole.stack)


def test_temporal_restored_and_emptied_while_postgresql_went_on(whole: Whole, log: CallersLog) -> None:
    bill_ids = [log.opened() for _ in range(4)]

    def back_up() -> None:
        log.wait_for_items_of(*bill_ids)
        whole.temporal.take()

    under_load(log, bill_ids, back_up)
    log.close(bill_ids[0])
    opened_since = log.opened()
    log.add(opened_since)
    all_is_heard(whole.stack)

    # Web has news left to tell, which would put some of it right before anybody looks.
    whole.stack.web.stop()
    for lose in (whole.temporal.restore, whole.temporal.empty):
        whole.stack.worker.stop()
        lose()
        whole.stack.worker.start()
        assert_found_and_aligned(whole, {*bill_ids[1:], opened_since})
        for bill_id in (*bill_ids, opened_since):
            assert whole.stored(bill_id) == log.standing(bill_id).split(", closed")[0]
    whole.stack.web.start()
    log.close(opened_since)
    assert_reconciled(whole.stack)


def assert_found_and_aligned(whole: Whole, wanted: set[str]) -> None:
    """Nothing is missing: every bill is as it was; the workflows of bills that aren't closed are told how they stand.
    Temporal has forgotten those of closed ones, as it does by itself in time."""
    found = whole.reconcile("--wait", "0")
    repaired = whole.reconcile("--repair", "--wait", "0")
    again = whole.reconcile()

    assert found.returncode == 1
    assert set(re.findall(r"^bill-(\S+)  workflow: ", found.stdout, re.MULTILINE)) >= wanted, found.stdout
    assert missing(found.stdout) == {}
    assert "epoch" not in repaired.stdout
    assert repaired.returncode == 0, repaired.stdout + repaired.stderr
    assert (again.returncode, "0 differences" in again.stdout) == (0, True), again.stdout
