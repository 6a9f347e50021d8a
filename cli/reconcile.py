"""`pave reconcile`: each bill's workflow against its rows, and the rows against each other."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Collection, Iterator, Sequence
from contextlib import AbstractAsyncContextManager, nullcontext
from dataclasses import dataclass, field
from uuid import UUID

import click
from temporalio.client import Client
from temporalio.worker import Worker

from billing.bill import Bill
from billing.ledger import closing, consistency, epochs, references, rollups
from billing.ledger.consistency import Difference, Kind
from billing.ledger.epochs import Epoch, Loss
from billing.origin import by_the_system
from cli.environment import engine, settings
from workflows.bill import BillWorkflow
from workflows.connection import connect
from workflows.explanations import EXPLANATIONS
from workflows.reconciling import NEEDS_AN_EPOCH, STARTED_ANEW, Reconciler, Suspect
from workflows.worker import bill_worker

PAGE = 500
CONNECT_WAIT_S = 5.0
LOOK_AGAIN_S = 0.5
# What a workflow was told now it agrees with within a minute.
REPAIRED_WITHIN_S = 60.0
REQUEST = "pave-reconcile"


@dataclass
class Findings:
    """Of one pass over the bills. `highest_number` is the highest bill number that a workflow knows of."""

    compared: int = 0
    of_rows: list[Difference] = field(default_factory=list)
    suspects: Sequence[Suspect] = ()
    highest_number: int = 0

    @property
    def differences(self) -> list[Difference]:
        return [*self.of_rows, *(suspect.difference for suspect in self.suspects)]

    @property
    def missing(self) -> Sequence[Loss]:
        known = [suspect.acknowledged for suspect in self.suspects if suspect.acknowledged]
        return epochs.missing(engine(), known) if known else ()


@click.command()
@click.option(
    "--all", "every", is_flag=True, help="Bills whose workflow has finished too, and workflows without a bill."
)
@click.option("--repair", is_flag=True, help="Align workflows with what is stored, close what is due, look again.")
@click.option("--wait", "wait_s", default=30.0, show_default=True, help="Seconds in which workflows may catch up.")
@click.option("--alone", is_flag=True, help="No worker runs: answer for the workflows here, as after a restore.")
@click.option("--last-number", default=0, help="With --repair: the highest bill number known to have been given.")
@click.pass_context
def reconcile(context: click.Context, every: bool, repair: bool, wait_s: float, alone: bool, last_number: int) -> None:
    """Compares each bill's workflow with its rows, and the rows with each other; exits with 1 on a difference.

    Rows are never rewritten; --repair adds references that items have and that aren't taken. After a restore, what
    workflows know beyond what is stored is listed bill by bill; with --repair a new epoch of the ledger begins, which
    outranks it.
    """
    left = asyncio.run(_reconcile(every, repair, wait_s, alone, last_number))
    for difference in left.differences:
        about = f"bill-{difference.bill_id}" if difference.bill_id else "ledger"
        click.echo(f"{about}  {difference.sentence}")
    _list_missing(left.missing)
    _explain(left.differences)
    click.echo(f"{_counted(left.compared, 'bill')} compared, {_counted(len(left.differences), 'difference')}")
    if left.differences:
        context.exit(1)


@click.command()
def losses() -> None:
    """What was acknowledged and is missing since the ledger was restored, as workflows knew it; all epochs."""
    _list_missing(epochs.losses(engine()))


def _counted(count: int, noun: str) -> str:
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def _list_missing(losses: Sequence[Loss]) -> None:
    for loss in losses:
        click.echo(f"missing  bill-{loss.acknowledged.bill_id}  {loss.sentence}")


def _explain(differences: Sequence[Difference]) -> None:
    kinds = dict.fromkeys(difference.kind for difference in differences)
    for kind in kinds:
        explained = EXPLANATIONS[kind]
        repair = f" Repair: {explained.repair}" if explained.repair else ""
        click.echo(f"{explained.title}: {explained.meaning}{repair}")


async def _reconcile(every: bool, repair: bool, wait_s: float, alone: bool, last_number: int) -> Findings:
    """The differences that stay."""
    client, out_of_reach = await _client()
    if client is None:
        found = Findings(of_rows=[*_of_the_ledger(0), *references.without_an_item(engine()), out_of_reach])
        for page in _pages(every=every):
            found.compared += len(page)
            found.of_rows += consistency.differences(engine(), [bill.id for bill in page])
        return found
    reconciler = Reconciler(client, engine(), settings().temporal_task_queue)
    async with _reading(client, alone=alone):
        found = await _look(reconciler, every=every)
        found.suspects = await _still_differing(
            reconciler, found.suspects, wait_s, unless=NEEDS_AN_EPOCH | STARTED_ANEW
        )
    if not repair:
        found.of_rows += [*_of_the_ledger(found.highest_number), *references.without_an_item(engine())]
        return found
    return await _repair(reconciler, client, found, alone=alone, last_number=last_number, every=every)


async def _repair(
    reconciler: Reconciler, client: Client, found: Findings, *, alone: bool, last_number: int, every: bool
) -> Findings:
    """Numbers first: nothing may close before those that were given are known to have been."""
    last_number = max(last_number, found.highest_number)
    if last_number > epochs.last_number(engine()) or any(s.kind in NEEDS_AN_EPOCH for s in found.suspects):
        _tell_of(await reconciler.begin_epoch(found.suspects, REQUEST, last_number=last_number))
    if any(difference.kind is Kind.LOG for difference in consistency.ledger_differences(engine())):
        epochs.adopt_log(engine())
        click.echo(f"the log is in order again; counted anew: {_counted(rollups.rebuild(engine()), 'event')}")
    async with _serving(client, alone=alone):
        _close_what_is_due()
        for sentence in await reconciler.repair(found.suspects):
            click.echo(sentence, err=True)
        found.suspects = await _still_differing(reconciler, found.suspects, REPAIRED_WITHIN_S)
    _take_references(found)
    ids = list({difference.bill_id for difference in found.of_rows if difference.bill_id})
    found.of_rows = [
        *consistency.differences(engine(), ids), *_of_the_ledger(0), *references.without_an_item(engine())
    ]  # fmt: skip
    return found


def _take_references(found: Findings) -> None:
    about = [one.bill_id for one in found.of_rows if one.kind is Kind.REFERENCES and one.bill_id]
    if about and (count := references.take_again(engine(), about)):
        click.echo(f"taken again: {_counted(count, 'reference')}")


def _tell_of(epoch: Epoch) -> None:
    click.echo(f"epoch {epoch.epoch} of the ledger begins")
    if epoch.numbers:
        click.echo(f"bill numbers set aside, being given before: {epoch.numbers[0]} to {epoch.numbers[1]}")
    _list_missing(epoch.losses)


async def _look(reconciler: Reconciler, *, every: bool) -> Findings:
    found, suspects = Findings(), list[Suspect]()
    for page in _pages(every=every):
        found.compared += len(page)
        found.of_rows += consistency.differences(engine(), [bill.id for bill in page])
        looked = await reconciler.look(page)
        suspects += looked.suspects
        found.highest_number = max(found.highest_number, looked.highest_number)
    if every:
        strangers = await reconciler.strangers()
        suspects += strangers.suspects
        found.highest_number = max(found.highest_number, strangers.highest_number)
    found.suspects = suspects
    return found


async def _still_differing(
    reconciler: Reconciler, suspects: Sequence[Suspect], wait_s: float, *, unless: Collection[Kind] = ()
) -> Sequence[Suspect]:
    """Those that don't agree within `wait_s`: signals take their time. When all are of kinds that no time cures, it
    isn't waited."""
    deadline = time.monotonic() + wait_s
    while any(suspect.kind not in unless for suspect in suspects) and time.monotonic() < deadline:
        await asyncio.sleep(LOOK_AGAIN_S)
        suspects = await reconciler.look_again(suspects)
    return suspects


def _of_the_ledger(highest_number: int) -> Iterator[Difference]:
    yield from consistency.ledger_differences(engine())
    given = epochs.last_number(engine())
    if highest_number > given:
        sentence = f"workflows know of bill numbers up to {highest_number}, given are those up to {given}"
        yield Difference(None, sentence, Kind.NUMBERS)


def _reading(client: Client, *, alone: bool) -> AbstractAsyncContextManager[object]:
    """Answers queries, and carries out nothing: no activity runs, so nothing closes."""
    queue = settings().temporal_task_queue
    return (
        Worker(client, task_queue=queue, workflows=[BillWorkflow], max_cached_workflows=0) if alone else nullcontext()
    )


def _serving(client: Client, *, alone: bool) -> AbstractAsyncContextManager[object]:
    return bill_worker(client, settings(), engine()) if alone else nullcontext()


async def _client() -> tuple[Client | None, Difference]:
    """None, and the sentence that says so, when Temporal doesn't answer: the rows are compared all the same."""
    address = settings().temporal_address
    nobody = Difference(None, f"Temporal can't be reached at {address}; no workflow was asked", Kind.TEMPORAL)
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
