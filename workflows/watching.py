"""The continuous comparison of workflows with rows: a few bills a round, what differs is kept for staff to see.

One worker does each round. What it costs is bounded by the number of bills in it, however many there are; a lap
through all bills takes as long as it takes.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from datetime import timedelta
from uuid import UUID

from sqlalchemy import Engine
from temporalio.client import Client

from billing.bill import Bill
from billing.ledger import consistency, epochs, findings, rounds
from billing.ledger.consistency import OF_ROWS, OF_THE_LEDGER, OF_WORKFLOWS, Difference, Kind
from workflows.reconciling import Looked, Reconciler, Suspect
from workflows.threads import in_thread

ROUND_EVERY = timedelta(seconds=15)
# It reads every bill's number.
LEDGER_EVERY = timedelta(minutes=10)
ROLLING = 20
URGENT = 20
STRANGERS = 200
# What the sweep or a signal under way makes good by itself isn't worth anybody's attention before.
PATIENCE_S = 60.0
PASSES = frozenset({Kind.NO_WORKFLOW, Kind.BEHIND, Kind.UNFINISHED, Kind.SILENT})
MOST_REMEMBERED = 10_000


class Watch:
    """Remembers since when it has seen what usually passes."""

    def __init__(self, engine: Engine, task_queue: str):
        self._engine = engine
        self._task_queue = task_queue
        # And which version of the bill was stored then.
        self._since: dict[tuple[UUID | None, Kind], tuple[float, int]] = {}

    async def round(self, client: Client | None) -> None:
        """Without Temporal the rows are compared all the same."""
        claimed = await in_thread(
            rounds.claim, self._engine, every=ROUND_EVERY, ledger_every=LEDGER_EVERY, rolling=ROLLING, urgent=URGENT
        )
        if claimed is None:
            return
        await in_thread(self._look_at_rows, claimed.bills)
        reconciler = Reconciler(client, self._engine, self._task_queue) if client else None
        if reconciler:
            looked = await reconciler.look(claimed.bills)
            await in_thread(self._note_workflows, claimed.bills, looked)
        if claimed.of_the_ledger:
            await in_thread(self._look_at_the_ledger)
            if reconciler:
                await self._look_at_strangers(reconciler)

    def _look_at_rows(self, bills: Sequence[Bill]) -> None:
        note_rows(self._engine, [bill.id for bill in bills])

    def _note_workflows(self, bills: Sequence[Bill], looked: Looked) -> None:
        if _nobody_answers(bills, looked):
            return
        ids = [bill.id for bill in bills]
        known = findings.open_of(self._engine, ids)
        self._forget_what_passed(ids, looked)
        note_workflows(self._engine, ids, [suspect for suspect in looked.suspects if self._lasts(suspect, known)])
        if looked.highest_number > epochs.last_number(self._engine):
            sentence = f"a workflow knows of bill number {looked.highest_number}, which was not given"
            findings.note(self._engine, [Difference(None, sentence, Kind.NUMBERS)], kinds=(), bill_ids=None)

    def _forget_what_passed(self, ids: Sequence[UUID], looked: Looked) -> None:
        suspected = {(suspect.difference.bill_id, suspect.kind) for suspect in looked.suspects}
        for about in [(bill_id, kind) for bill_id in ids for kind in PASSES]:
            if about not in suspected:
                self._since.pop(about, None)

    def _lasts(self, suspect: Suspect, known: set[tuple[UUID, Kind]]) -> bool:
        about = (suspect.difference.bill_id, suspect.kind)
        if suspect.kind not in PASSES or suspect.bill is None:
            return True
        if len(self._since) > MOST_REMEMBERED:
            self._since.clear()
        now, stored = time.monotonic(), suspect.bill.version
        since, lacked = self._since.setdefault(about, (now, stored))
        if suspect.kind is Kind.BEHIND and suspect.said.figures and suspect.said.figures.version >= lacked:
            # What it had not heard then it has heard since: it follows a bill that many add to.
            self._since[about] = now, stored
            return False
        return about in known or now - since >= PATIENCE_S

    def _look_at_the_ledger(self) -> None:
        found = consistency.ledger_differences(self._engine)
        findings.note(self._engine, found, kinds=OF_THE_LEDGER, bill_ids=None)
        findings.forget_old(self._engine)

    async def _look_at_strangers(self, reconciler: Reconciler) -> None:
        looked = await reconciler.strangers(most=STRANGERS)
        found = [suspect.difference for suspect in looked.suspects]
        ids = [difference.bill_id for difference in found if difference.bill_id]
        known = await in_thread(findings.bills_of_kind, self._engine, Kind.NO_BILL)
        still = await reconciler.look_at_strangers([bill_id for bill_id in known if bill_id not in ids])
        found += [suspect.difference for suspect in still.suspects]
        await in_thread(findings.note, self._engine, found, kinds=(Kind.NO_BILL,), bill_ids=[*ids, *known])


def _nobody_answers(bills: Sequence[Bill], looked: Looked) -> bool:
    """It is the worker or Temporal then, which is said elsewhere; no bill is to blame, and nothing is better either."""
    silent = sum(suspect.kind is Kind.SILENT for suspect in looked.suspects)
    return silent == len(bills) > 1


def note_rows(engine: Engine, bill_ids: Sequence[UUID]) -> None:
    findings.note(engine, consistency.differences(engine, bill_ids), kinds=OF_ROWS, bill_ids=bill_ids)


def note_workflows(engine: Engine, bill_ids: Sequence[UUID], suspects: Sequence[Suspect]) -> None:
    found = [suspect.difference for suspect in suspects]
    findings.note(engine, found, kinds=OF_WORKFLOWS, bill_ids=bill_ids)
