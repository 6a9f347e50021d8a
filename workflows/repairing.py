"""The repair of one finding, as administrators ask for it on the page; `pave reconcile --repair` does so for all."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from uuid import UUID

from sqlalchemy import Engine
from temporalio.client import Client

from billing.errors import BillNotFound
from billing.ledger import findings, reads
from billing.ledger.consistency import Kind
from workflows import causes
from workflows.reconciling import MAY_START_ANEW, NEEDS_AN_EPOCH, Looked, Reconciler
from workflows.watching import note_workflows

REPAIRED_WITHIN_S = 5.0
LOOK_AGAIN_S = 0.3


async def repair_bill(client: Client, engine: Engine, task_queue: str, bill_id: UUID, by: str) -> bool:
    """Whatever is wrong with this bill's workflow by now; whether all is well a moment later.

    Repeated, it finds nothing to do. Raises what Temporal raises when it is out of reach.
    """
    with causes.acting_for(causes.of_this_request()):
        return await _repaired(client, engine, task_queue, bill_id, by)


async def _repaired(client: Client, engine: Engine, task_queue: str, bill_id: UUID, by: str) -> bool:
    reconciler = Reconciler(client, engine, task_queue)
    looked = await _look(reconciler, engine, bill_id)
    if any(suspect.kind in NEEDS_AN_EPOCH for suspect in looked.suspects):
        await reconciler.begin_epoch(looked.suspects, by, last_number=looked.highest_number)
    if looked.suspects:
        await reconciler.repair(looked.suspects, anew=MAY_START_ANEW)
    deadline = time.monotonic() + REPAIRED_WITHIN_S
    while looked.suspects and time.monotonic() < deadline:
        await asyncio.sleep(LOOK_AGAIN_S)
        looked = await _look(reconciler, engine, bill_id)
    await asyncio.to_thread(_note, engine, bill_id, looked)
    return not looked.suspects


async def _look(reconciler: Reconciler, engine: Engine, bill_id: UUID) -> Looked:
    try:
        bill = await asyncio.to_thread(reads.bill, engine, bill_id)
    except BillNotFound:
        return await reconciler.look_at_strangers([bill_id])
    return await reconciler.look([bill])


def _note(engine: Engine, bill_id: UUID, looked: Looked) -> None:
    of_workflows: Sequence[UUID] = [bill_id]
    note_workflows(engine, of_workflows, [suspect for suspect in looked.suspects if suspect.bill])
    strangers = [suspect.difference for suspect in looked.suspects if not suspect.bill]
    findings.note(engine, strangers, kinds=(Kind.NO_BILL,), bill_ids=[bill_id])
