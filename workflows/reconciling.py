"""Each bill's workflow against its rows, and what can be done about a difference. Rows are never rewritten.

`pave reconcile` and the continuous comparison (workflows/watching.py) use the same.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import TypeVar
from uuid import UUID

from sqlalchemy import Engine
from temporalio.client import Client
from temporalio.common import WorkflowIDConflictPolicy

from billing.bill import Bill
from billing.errors import BillNotFound
from billing.ledger import consistency, epochs, progress, reads
from billing.ledger.consistency import Difference, Kind
from billing.ledger.epochs import Acknowledged, Epoch
from workflows import causes
from workflows.asking import ANSWER_WAIT_S, UNKNOWN, Said, ask
from workflows.bill import BillWorkflow
from workflows.messages import BillFigures, figures_of, new_life
from workflows.news import Notice
from workflows.telling import tell
from workflows.threads import in_thread

ASKED_AT_ONCE = 8
LISTED_AT_ONCE = 500
# What a restored ledger has to say is said under an epoch of its own.
NEEDS_AN_EPOCH = frozenset({Kind.AHEAD, Kind.CONTRADICTS, Kind.NO_BILL})
TOLD_IS_ENOUGH = frozenset({Kind.NO_WORKFLOW, Kind.BEHIND, Kind.UNFINISHED, Kind.ENDED, Kind.AHEAD, Kind.CONTRADICTS})
STARTED_ANEW = frozenset({Kind.WEDGED})
MAY_START_ANEW = STARTED_ANEW | {Kind.SILENT, Kind.FAILING}
REPAIRABLE = NEEDS_AN_EPOCH | TOLD_IS_ENOUGH | MAY_START_ANEW
PREFIX = "bill-"

Done = TypeVar("Done")
Of = TypeVar("Of")


@dataclass(frozen=True, slots=True)
class Suspect:
    """A bill whose workflow says something else, or a workflow whose bill (None) isn't there."""

    bill: Bill | None
    difference: Difference
    said: Said

    @property
    def kind(self) -> Kind:
        return self.difference.kind

    @property
    def acknowledged(self) -> Acknowledged | None:
        """What it knows, when that isn't known to be stored."""
        return _acknowledged(self.said.figures) if self.said.figures and self.kind in NEEDS_AN_EPOCH else None


@dataclass(frozen=True, slots=True)
class Looked:
    """`highest_number` is the highest bill number that these workflows know of."""

    suspects: Sequence[Suspect]
    highest_number: int = 0


class Reconciler:
    """Bound to one client and one engine."""

    def __init__(self, client: Client, engine: Engine, task_queue: str):
        self._client = client
        self._engine = engine
        self._task_queue = task_queue

    async def look(self, bills: Sequence[Bill]) -> Looked:
        """At these bills' workflows. What changed since a bill was read, its workflow need not know yet."""

        async def look(bill: Bill) -> tuple[Said, Difference | None]:
            said = await ask(self._client, bill.workflow_id)
            return said, await in_thread(self._difference, bill, said)

        answers = await some_at_once(look, bills)
        found = [
            Suspect(bill, difference, said)
            for bill, (said, difference) in zip(bills, answers, strict=True)
            if difference is not None
        ]
        return Looked(found, _highest([said for said, _ in answers]))

    async def look_again(self, suspects: Sequence[Suspect]) -> Sequence[Suspect]:
        """Those that still differ, as they stand now."""
        looked = await self.look([suspect.bill for suspect in suspects if suspect.bill])
        strangers = await self.look_at_strangers([s.difference.bill_id for s in suspects if not s.bill])
        return [*looked.suspects, *strangers.suspects]

    async def strangers(self, most: int | None = None) -> Looked:
        """Workflows whose bill isn't in the ledger: it was opened after the backup that was restored.

        `most`: only so many that run, those that were started last.
        """
        found, highest = list[Suspect](), 0
        async for page in self._listed(most):
            looked = await self.look_at_strangers(page)
            found += looked.suspects
            highest = max(highest, looked.highest_number)
        return Looked(found, highest)

    async def look_at_strangers(self, ids: Sequence[UUID | None]) -> Looked:
        wanted = [bill_id for bill_id in ids if bill_id is not None]
        without = await in_thread(consistency.without_a_bill, self._engine, wanted)
        answers = await some_at_once(self._ask, without)
        losses = await in_thread(epochs.losses, self._engine) if without else []
        kept = {(loss.acknowledged.bill_id, loss.acknowledged.version) for loss in losses}
        found = [
            Suspect(None, Difference(bill_id, _stranger(said), Kind.NO_BILL), said)
            for bill_id, said in zip(without, answers, strict=True)
            # One that has ended, and whose knowledge is kept, is done with.
            if said.is_running or (said.figures and (bill_id, said.figures.version) not in kept)
        ]
        return Looked(found, _highest(answers))

    async def begin_epoch(self, suspects: Sequence[Suspect], by: str, *, last_number: int = 0) -> Epoch:
        """Lets the ledger as it is stored outrank what these have heard. Numbers up to `last_number` stay given."""
        known = [suspect.acknowledged for suspect in suspects if suspect.acknowledged]
        heard = max((suspect.said.figures.epoch for suspect in suspects if suspect.said.figures), default=0)
        numbers = max([last_number, *(bill.number or 0 for bill in known)])
        return await in_thread(epochs.begin, self._engine, by, known, heard_epoch=heard, last_number=numbers)

    async def repair(self, suspects: Sequence[Suspect], *, anew: Collection[Kind] = STARTED_ANEW) -> list[str]:
        """Tells workflows how their bills stand, starting those that don't run; ends those that have no bill, and
        starts those `anew` that can't be told. Sentences about what couldn't be done."""
        epoch = await in_thread(epochs.current, self._engine)

        async def repair(suspect: Suspect) -> str | None:
            try:
                await asyncio.wait_for(self._repair(suspect, epoch, anew), ANSWER_WAIT_S)
            except Exception as error:  # one that can't be repaired keeps none of the others waiting
                return f"{PREFIX}{suspect.difference.bill_id} was not repaired: {type(error).__name__}"
            return None

        return [sentence for sentence in await some_at_once(repair, suspects) if sentence]

    async def _repair(self, suspect: Suspect, epoch: int, anew: Collection[Kind]) -> None:
        if suspect.bill is None:
            await self._end(suspect)
        elif suspect.kind in anew:
            await self._start_anew(await self._figures(suspect.bill.id, epoch))
        else:
            figures = await self._figures(suspect.bill.id, epoch)
            await tell(
                self._client, self._task_queue, Notice(figures.bill_id, figures, start=True, cause=causes.current())
            )

    async def _figures(self, bill_id: UUID, epoch: int) -> BillFigures:
        return figures_of(await in_thread(reads.bill, self._engine, bill_id), epoch)

    async def _end(self, suspect: Suspect) -> None:
        if suspect.said.is_running:
            handle = self._client.get_workflow_handle(f"{PREFIX}{suspect.difference.bill_id}")
            await handle.terminate(reason="its bill isn't in the ledger, which was restored from before it was opened")

    async def _start_anew(self, figures: BillFigures) -> None:
        """In one step: what ran under this id ends. It decides nothing, so nothing is lost with it."""
        await self._client.start_workflow(
            BillWorkflow.run,
            new_life(figures),
            id=f"{PREFIX}{figures.bill_id}",
            task_queue=self._task_queue,
            id_conflict_policy=WorkflowIDConflictPolicy.TERMINATE_EXISTING,
        )

    def _difference(self, first_seen: Bill, said: Said) -> Difference | None:
        try:
            stored = reads.bill(self._engine, first_seen.id)
        except BillNotFound:
            return None
        # As the bill, after the workflow was asked: an epoch that began meanwhile puts no workflow ahead.
        epoch = epochs.current(self._engine)
        heard = progress.heard(self._engine, first_seen.id)
        # Temporal forgets workflows that have ended; the record of how it ended stays.
        if heard.finished and said.why == UNKNOWN:
            return None
        found = _disagreement(said, first_seen, figures_of(stored, epoch), finished=heard.finished)
        return Difference(first_seen.id, f"workflow: {found[1]}", found[0]) if found else None

    async def _ask(self, bill_id: UUID) -> Said:
        return await ask(self._client, f"{PREFIX}{bill_id}")

    async def _listed(self, most: int | None) -> AsyncIterator[list[UUID]]:
        """Ids of bills that workflows of this system are named for."""
        query = f"WorkflowType = 'BillWorkflow' AND TaskQueue = '{self._task_queue}'"
        query += " AND ExecutionStatus = 'Running'" if most else ""
        page: dict[UUID, None] = {}
        async for execution in self._client.list_workflows(query, limit=most):
            with suppress(ValueError):  # anybody may start anything under any name
                page[UUID(execution.id.removeprefix(PREFIX))] = None
            if len(page) == LISTED_AT_ONCE:
                yield list(page)
                page = {}
        yield list(page)


def _disagreement(said: Said, first_seen: Bill, stored: BillFigures, *, finished: bool) -> tuple[Kind, str] | None:
    figures = said.figures
    if figures is not None:
        heard = f"it has heard of version {figures.version}, stored is {stored.version}"
        if figures.version > stored.version or figures.epoch > stored.epoch:
            ended = "" if said.is_running else "it has ended; "
            later = f"it has heard of epoch {figures.epoch}, the ledger's is {stored.epoch}; "
            return Kind.AHEAD, f"{ended}{later if figures.epoch > stored.epoch else ''}{heard}"
        if said.kind is None and figures.version < first_seen.version:
            return Kind.BEHIND, heard
        contradiction = _contradiction(figures, stored) if figures.version == stored.version else None
        if contradiction:
            return Kind.CONTRADICTS, contradiction
    if said.kind is None and stored.is_closed and not finished:
        return Kind.UNFINISHED, "it has not finished, and the bill is closed"
    return (said.kind, said.why) if said.kind is not None else None


def _contradiction(said: BillFigures, stored: BillFigures) -> str | None:
    """At one version everything must be the same."""
    names = ("status", "item_count", "totals", "period_end", "customer_id")
    parts = [
        f"{name} is {getattr(said, name)}, stored is {getattr(stored, name)}"
        for name in names
        if getattr(said, name) != getattr(stored, name)
    ]
    # Workflows of before numbers were told to them know none.
    if said.number is not None and said.number != stored.number:
        parts.append(f"number is {said.number}, stored is {stored.number}")
    return "; ".join(parts) or None


def _stranger(said: Said) -> str:
    state = "it runs" if said.is_running else "it has ended"
    heard = f", having heard of version {said.figures.version}" if said.figures else f"; {said.why}"
    return f"workflow: its bill isn't in the ledger; {state}{heard}"


def _acknowledged(figures: BillFigures) -> Acknowledged:
    bill_id = UUID(figures.bill_id)
    return Acknowledged(bill_id, figures.status, figures.version, figures.item_count, figures.totals, figures.number)


def _highest(answers: Sequence[Said]) -> int:
    return max((said.figures.number or 0 for said in answers if said.figures), default=0)


async def some_at_once(work: Callable[[Of], Awaitable[Done]], things: Sequence[Of]) -> list[Done]:
    """What came of each, in order."""
    free = asyncio.Semaphore(ASKED_AT_ONCE)

    async def one(thing: Of) -> Done:
        async with free:
            return await work(thing)

    return await asyncio.gather(*(one(thing) for thing in things))
