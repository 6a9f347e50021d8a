"""Closes raced against adds: what was acknowledged is in the total, and everything else was refused as documented.

Half of the races go through the API, as callers do it; the other half call the ledger's functions, which is where it is
decided, at a pace that HTTP does not reach.
"""

from __future__ import annotations

import json
import random
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from decimal import ROUND_HALF_UP, Decimal
from functools import partial
from typing import Any, Protocol
from uuid import UUID, uuid4

import requests
from sqlalchemy import text

from billing.bill import LineItemDraft
from billing.errors import BillingError
from billing.ledger import bills, closing, line_items
from billing.origin import BILLING_ACCOUNT, Actor, ActorKind, Origin
from billing.period import Period
from tests.chaos import report
from tests.chaos.report import Report
from tests.chaos.system import System
from tests.support.integrator import Integrator
from tests.support.stack import Stack

ADDERS = 5
# The close comes at another moment in each race: before, among and after the adds.
LATEST_CLOSE_S = {"HTTP": 0.03, "ledger": 0.008}
REFUSALS = {"bill_closing", "bill_closed"}
CLOSED_WITHIN_S = 120.0
OFFERED = ("GEL",)

# What came of one add: the amount that was acknowledged, or the reason of the refusal.
Outcome = Decimal | str


class Way(Protocol):
    """How a race's parties reach the system."""

    name: str

    def open(self) -> str:
        """The id of a new bill."""

    def add(self, bill_id: str, amount: str) -> Outcome:
        """What came of one item of this amount."""

    def close(self, bill_id: str) -> None:
        """Asks for it; whether it is closed yet is asked elsewhere."""


class OverHttp(Way):
    name = "HTTP"

    def __init__(self, system: System) -> None:
        self._caller = Integrator(system.stack.url, system.api_key)

    def open(self) -> str:
        return self._caller.opened()

    def add(self, bill_id: str, amount: str) -> Outcome:
        answer = self._caller.add(bill_id, quantity=1, unit_price=amount)
        if answer.status_code == 200:
            return Decimal(answer.json()["line_item"]["total"])
        return _reason(answer)

    def close(self, bill_id: str) -> None:
        answer = self._caller.asked_to_close(bill_id)
        assert answer.status_code in {200, 202}, answer.text


class ThroughTheLedger(Way):
    name = "ledger"

    def __init__(self, system: System) -> None:
        self._engine = system.stack.engine

    def open(self) -> str:
        now = datetime.now(UTC)
        period = Period(now, now + timedelta(days=30))
        return str(bills.open_bill(self._engine, _origin(), f"raced-{uuid4().hex[:8]}", period).bill.id)

    def add(self, bill_id: str, amount: str) -> Outcome:
        draft = LineItemDraft.parse("raced", "1", amount, "GEL", offered=OFFERED)
        try:
            return line_items.add(self._engine, _origin(), UUID(bill_id), draft)[1].total
        except BillingError as refusal:
            return refusal.reason

    def close(self, bill_id: str) -> None:
        bills.request_close(self._engine, _origin(), UUID(bill_id))
        closing.close_bill(self._engine, _origin(), UUID(bill_id), samples=True)


def raced(system: System, count: int, seed: int) -> Report:
    began, found = time.monotonic(), defaultdict[str, list[str]](list)
    outcomes: Counter[tuple[str, str]] = Counter()
    acknowledged: dict[str, Decimal] = {}
    ways: Sequence[tuple[Way, int]] = ((OverHttp(system), count - count // 2), (ThroughTheLedger(system), count // 2))
    with ThreadPoolExecutor(ADDERS + 1) as pool:
        for way, races in ways:
            chance = random.Random(f"{seed}/races/{way.name}")
            for _ in range(races):
                bill_id = way.open()
                got = list(_race(way, pool, chance, bill_id))
                acknowledged[bill_id] = sum((one for one in got if isinstance(one, Decimal)), Decimal(0))
                outcomes.update((way.name, _word(one)) for one in got)
                found[bill_id] += [
                    f"an add was answered {one}" for one in got if _word(one) not in {"added", *REFUSALS}
                ]
    raced_s = time.monotonic() - began
    found[""] += _without_race(outcomes, ways)
    for bill_id, sentence in _differing(system.stack, acknowledged):
        found[bill_id].append(sentence)
    facts = {
        "bills": f"{count:,}, each with a close among {ADDERS} adds",
        "time": f"{raced_s:.0f} s, and {time.monotonic() - began - raced_s:.0f} s until all were closed and compared",
        **report.place(),
    }
    differences = {bill_id: sentences for bill_id, sentences in found.items() if sentences}
    return Report(f"{count:,} closes raced against adds, seed {seed}", facts, [], outcomes, differences)


def _race(way: Way, pool: ThreadPoolExecutor, chance: random.Random, bill_id: str) -> Iterator[Outcome]:
    start, delay_s = threading.Barrier(ADDERS + 1), chance.uniform(0, LATEST_CLOSE_S[way.name])
    amounts = [f"{chance.randrange(1, 10**6)}.{n}" for n in range(ADDERS)]

    def at_once(work: Callable[[], Any]) -> Any:
        start.wait(30)
        return work()

    def close() -> None:
        time.sleep(delay_s)
        way.close(bill_id)

    adding = [pool.submit(at_once, partial(way.add, bill_id, amount)) for amount in amounts]
    pool.submit(at_once, close).result()
    yield from (add.result() for add in adding)


def _without_race(outcomes: Counter[tuple[str, str]], ways: Sequence[tuple[Way, int]]) -> Iterator[str]:
    """Where nothing was accepted, or nothing refused, nothing raced."""
    for way, races in ways:
        refused = sum(outcomes[way.name, reason] for reason in REFUSALS)
        if races >= 20 and not (outcomes[way.name, "added"] and refused):
            yield f"through {way.name} nothing raced: {dict(outcomes)}"


def _differing(stack: Stack, acknowledged: dict[str, Decimal]) -> Iterator[tuple[str, str]]:
    """Bills whose total is not what was acknowledged, or that are not closed."""
    deadline = time.monotonic() + CLOSED_WITHIN_S
    while _still_open(stack, list(acknowledged)) and time.monotonic() < deadline:
        time.sleep(0.2)
    query = """
        SELECT b.id, b.status, b.item_count, coalesce(s.subtotal, 0) AS subtotal, coalesce(s.payable, 0) AS payable,
               (SELECT coalesce(sum(total), 0) FROM line_items WHERE bill_id = b.id) AS items
        FROM bills b LEFT JOIN bill_subtotals s ON s.bill_id = b.id WHERE b.id = ANY(:ids)
    """
    with stack.engine.connect() as connection:
        rows = connection.execute(text(query), {"ids": [UUID(bill_id) for bill_id in acknowledged]}).all()
    if len(rows) != len(acknowledged):
        yield "", f"{len(acknowledged)} bills were raced, {len(rows)} are stored"
    for row in rows:
        wanted = acknowledged[str(row.id)]
        if row.status != "closed" or not row.subtotal == row.items == wanted:
            yield str(row.id), f"{row.status}; acknowledged {wanted}, subtotal {row.subtotal}, items {row.items}"
        if row.payable != row.subtotal.quantize(Decimal("0.01"), ROUND_HALF_UP):
            yield str(row.id), f"payable {row.payable} of {row.subtotal}"


def _still_open(stack: Stack, bill_ids: Sequence[str]) -> bool:
    query = text("SELECT EXISTS (SELECT FROM bills WHERE id = ANY(:ids) AND status <> 'closed')")
    with stack.engine.connect() as connection:
        return bool(connection.execute(query, {"ids": [UUID(bill_id) for bill_id in bill_ids]}).scalar_one())


def _reason(answer: requests.Response) -> str:
    try:
        error = answer.json()
        documented = (answer.status_code, error["code"]) == (400, "failed_precondition")
        return str(error["details"]["reason"]) if documented else f"{answer.status_code} {error['code']}"
    except (KeyError, json.JSONDecodeError):
        return f"{answer.status_code} {answer.text[:80]}"


def _word(outcome: Outcome) -> str:
    return outcome if isinstance(outcome, str) else "added"


def _origin() -> Origin:
    return Origin(Actor(ActorKind.API_KEY, "races", "races"), BILLING_ACCOUNT, "races", uuid4().hex)
