"""`pave reconcile`: each bill's workflow against its rows, and the rows against each other."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TypeVar
from uuid import UUID

import click
from temporalio.client import Client, WorkflowExecutionStatus, WorkflowHandle, WorkflowQueryFailedError
from temporalio.service import RPCError, RPCStatusCode

from billing.bill import Bill
from billing.ledger import closing, consistency, progress, reads
from billing.ledger.consistency import Difference
from billing.origin import by_the_system
from cli.environment import engine, settings
from workflows.bill import BillWorkflow
from workflows.connection import connect
from workflows.messages import BillFigures, figures_of
from workflows.news import Notice
from workflows.telling import tell, translated

PAGE = 500
ASKED_AT_ONCE = 8
CONNECT_WAIT_S = 5.0
ANSWER_WAIT_S = 5.0
LOOK_AGAIN_S = 0.5
# What a workflow was told now it agrees with within a minute.
REPAIRED_WITHIN_S = 60.0
REQUEST = "pave-reconcile"

Handle = WorkflowHandle[BillWorkflow, BillFigures]
Done = TypeVar("Done")


@click.command()
@click.option("--all", "every", is_flag=True, help="Bills whose workflow has finished too.")
@click.option("--repair", is_flag=True, help="Tell workflows what they have not heard, close what is due, look again.")
@click.option("--wait", "wait_s", default=30.0, show_default=True, help="Seconds in which workflows may catch up.")
@click.pass_context
def reconcile(context: click.Context, every: bool, repair: bool, wait_s: float) -> None:
    """Compares each bill's workflow with its rows, and the rows with each other; exits with 1 on a difference.

    Rows are never rewritten.
    """
    compared, left = asyncio.run(_reconcile(every=every, repair=repair, wait_s=wait_s))
    for difference in left:
        about = f"bill-{difference.bill_id}" if difference.bill_id else "ledger"
        click.echo(f"{about}  {difference.sentence}")
    click.echo(f"{_counted(compared, 'bill')} compared, {_counted(len(left), 'difference')}")
    if left:
        context.exit(1)


def _counted(count: int, noun: str) -> str:
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


async def _reconcile(*, every: bool, repair: bool, wait_s: float) -> tuple[int, list[Difference]]:
    """How many bills were compared, and the differences that stay."""
    client, out_of_reach = await _client()
    workflows = _Workflows(client) if client else None
    compared, of_rows, suspects = 0, list[Difference](), list[Suspect]()
    for page in _pages(every=every):
        compared += len(page)
        of_rows += consistency.differences(engine(), [bill.id for bill in page])
        suspects += await workflows.differing(page) if workflows else []
    if repair:
        _close_what_is_due()
    if workflows is None:
        return compared, [*of_rows, *consistency.number_differences(engine()), out_of_reach]
    suspects = await workflows.still_differing(suspects, wait_s)
    if repair:
        await workflows.tell([reads.bill(engine(), bill.id) for bill, _ in suspects])
        suspects = await workflows.still_differing(suspects, REPAIRED_WITHIN_S)
    of_workflows = (difference for _, difference in suspects)
    return compared, [*of_rows, *consistency.number_differences(engine()), *of_workflows]


async def _client() -> tuple[Client | None, Difference]:
    """None, and the sentence that says so, when Temporal doesn't answer: the rows are compared all the same."""
    address = settings().temporal_address
    nobody = Difference(None, f"Temporal can't be reached at {address}; no workflow was asked")
    try:
        return await asyncio.wait_for(connect(settings()), CONNECT_WAIT_S), nobody
    except (RuntimeError, TimeoutError):
        return None, nobody


def _pages(*, every: bool) -> Iterator[Sequence[Bill]]:
    after: UUID | None = None
    while page := consistency.bills_to_compare(engine(), every=every, after=after, limit=PAGE):
        yield page
        after = page[-1].id


def _close_what_is_due() -> None:
    origin, samples = by_the_system(REQUEST), settings().sample_rates
    while closed := closing.close_due(engine(), origin, limit=PAGE, samples=samples):
        click.echo(f"closed, being due: {_counted(len(closed), 'bill')}", err=True)


Suspect = tuple[Bill, Difference]


@dataclass(frozen=True, slots=True)
class _Workflows:
    client: Client

    async def differing(self, bills: Sequence[Bill]) -> list[Suspect]:
        """Those whose workflow says something else."""
        sentences = await _some_at_once(self._difference, bills)
        return [
            (bill, Difference(bill.id, f"workflow: {sentence}"))
            for bill, sentence in zip(bills, sentences, strict=True)
            if sentence is not None
        ]

    async def still_differing(self, suspects: list[Suspect], wait_s: float) -> list[Suspect]:
        """Those that don't agree within `wait_s`: signals take their time."""
        deadline = time.monotonic() + wait_s
        while suspects and time.monotonic() < deadline:
            await asyncio.sleep(LOOK_AGAIN_S)
            suspects = await self.differing([bill for bill, _ in suspects])
        return suspects

    async def tell(self, bills: Sequence[Bill]) -> None:
        """As the sweep does: starts the workflow where none runs."""
        await _some_at_once(self._tell, bills)

    async def _tell(self, bill: Bill) -> None:
        notice = Notice(str(bill.id), figures_of(bill), start=True)
        try:
            await asyncio.wait_for(tell(self.client, settings().temporal_task_queue, notice), ANSWER_WAIT_S)
        except (RPCError, TimeoutError) as error:
            click.echo(f"{bill.workflow_id} was not told: {translated(error)}", err=True)

    async def _difference(self, first_seen: Bill) -> str | None:
        """A sentence about it. What changed since a bill was first seen, its workflow need not know yet."""
        handle: Handle = self.client.get_workflow_handle_for(BillWorkflow.run, first_seen.workflow_id)
        try:
            said = await asyncio.wait_for(_said_by(handle), ANSWER_WAIT_S)
        except (RPCError, WorkflowQueryFailedError, TimeoutError) as error:
            said = _why_silent(error)
        stored, heard = reads.bill(engine(), first_seen.id), progress.heard(engine(), first_seen.id)
        if isinstance(said, str):
            # Temporal forgets workflows that have ended; the record of how it ended stays.
            return None if heard.finished and said == UNKNOWN else said
        if said.version < first_seen.version:
            return f"it has heard of version {said.version}, stored is {stored.version}"
        if stored.is_closed and not heard.finished:
            return "it has not finished, and the bill is closed"
        return _contradiction(said, figures_of(stored))


UNKNOWN = "Temporal knows none"


async def _said_by(handle: Handle) -> BillFigures | str:
    """The figures of a workflow that runs, or the result of one that has finished."""
    status = (await handle.describe()).status
    if status is WorkflowExecutionStatus.RUNNING:
        return (await handle.query(BillWorkflow.bill)).figures
    if status is WorkflowExecutionStatus.COMPLETED:
        return await handle.result()
    return f"it ended as {status.name.lower()}" if status else "it has no status"


def _why_silent(error: Exception) -> str:
    if isinstance(error, RPCError) and error.status is RPCStatusCode.NOT_FOUND:
        return UNKNOWN
    return f"it doesn't answer ({translated(error)})"


def _contradiction(said: BillFigures, stored: BillFigures) -> str | None:
    """At one version everything must be the same; an older one that was new enough a moment ago is fine."""
    if said.version > stored.version:
        return f"it has heard of version {said.version}, stored is {stored.version}"
    if said.version < stored.version:
        return None
    names = ("status", "item_count", "totals", "period_end", "customer_id")
    parts = [
        f"{name} is {getattr(said, name)}, stored is {getattr(stored, name)}"
        for name in names
        if getattr(said, name) != getattr(stored, name)
    ]
    return "; ".join(parts) or None


async def _some_at_once(work: Callable[[Bill], Awaitable[Done]], bills: Sequence[Bill]) -> list[Done]:
    """What came of each, in order."""
    free = asyncio.Semaphore(ASKED_AT_ONCE)

    async def one(bill: Bill) -> Done:
        async with free:
            return await work(bill)

    return await asyncio.gather(*(one(bill) for bill in bills))
