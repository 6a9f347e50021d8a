"""`pave reconcile` as its users run it, beside a real Temporal with a real worker."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest
from sqlalchemy import Engine, text

from billing.bill import Bill, LineItemDraft
from billing.ledger import bills, closing, line_items, progress, reads
from billing.origin import Origin, by_the_system
from billing.period import Period
from billing.settings import DEFAULT_CURRENCIES, Settings
from embedded.temporal import Temporal
from tests.support.serving import worker_without_sweep
from workflows.connection import connect
from workflows.messages import figures_of
from workflows.telling import start

OpenBill = Callable[[], Bill]
Pave = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def settings(database_url: str, temporal: Temporal) -> Settings:
    queue = f"reconcile-{uuid4().hex}"
    return Settings(database_url=database_url, temporal_address=temporal.address, temporal_task_queue=queue)


@pytest.fixture(autouse=True)
def _worker(settings: Settings, engine: Engine) -> Iterator[None]:
    with worker_without_sweep(settings, engine):
        yield


@pytest.fixture
def pave(settings: Settings) -> Pave:
    def pave(*arguments: str, temporal: str = "") -> subprocess.CompletedProcess[str]:
        given = {
            "PATH": os.environ["PATH"],
            "DATABASE_URL": settings.database_url,
            "TEMPORAL_ADDRESS": temporal or settings.temporal_address,
            "TEMPORAL_TASK_QUEUE": settings.temporal_task_queue,
        }
        command = [sys.executable, "-m", "cli.main", *arguments]
        return subprocess.run(command, text=True, capture_output=True, env=given, timeout=100, check=False)

    return pave


@pytest.fixture
def reconcile(pave: Pave) -> Pave:
    def reconcile(*arguments: str, wait_s: float = 0, temporal: str = "") -> subprocess.CompletedProcess[str]:
        return pave("reconcile", "--wait", str(wait_s), *arguments, temporal=temporal)

    return reconcile


@pytest.fixture(autouse=True)
def _only_this_tests_bills(engine: Engine) -> Iterator[None]:
    yield
    with engine.begin() as connection:
        connection.execute(
            text(
                "TRUNCATE bills, events, line_items, bill_subtotals, bill_workflows, ledger_epochs,"
                " line_item_references CASCADE"
            )
        )
        connection.execute(text("UPDATE counters SET last_value = 0"))


@pytest.fixture
def open_bill(engine: Engine, origin: Origin) -> OpenBill:
    """Makes bills with 3.6 GEL on them."""

    def open_bill() -> Bill:
        now = datetime.now(UTC)
        period = Period(now, now + timedelta(days=30))
        return add(engine, origin, bills.open_bill(engine, origin, f"customer-{uuid4().hex}", period).bill)

    return open_bill


@pytest.fixture
def bill(open_bill: OpenBill) -> Bill:
    return open_bill()


def add(engine: Engine, origin: Origin, bill: Bill) -> Bill:
    draft = LineItemDraft.parse("hung", "6", "0.6", "GEL", offered=DEFAULT_CURRENCIES)
    return line_items.add(engine, origin, bill.id, draft)[0]


def run_workflow(settings: Settings, bill: Bill) -> None:
    """As of this bill."""

    async def run() -> None:
        await start(await connect(settings), settings.temporal_task_queue, figures_of(bill))

    asyncio.run(run())


def close(engine: Engine, origin: Origin, bill: Bill) -> Bill:
    bills.request_close(engine, origin, bill.id)
    closed = closing.close_bill(engine, by_the_system("test"), bill.id, samples=True)
    assert isinstance(closed, Bill)
    return closed


def change(engine: Engine, statement: str, bill: Bill) -> None:
    """What no part of the system would do."""
    with engine.begin() as connection:
        connection.execute(text(statement), {"id": bill.id})


def test_agreement_is_said_in_one_line(reconcile: Pave, settings: Settings, bill: Bill) -> None:
    run_workflow(settings, bill)

    done = reconcile(wait_s=10)

    assert (done.stdout, done.stderr) == ("1 bill compared, 0 differences\n", "")
    assert done.returncode == 0


def test_a_bill_without_a_workflow_is_found_and_gets_one(reconcile: Pave, engine: Engine, bill: Bill) -> None:
    found = reconcile()
    repaired = reconcile("--repair")

    assert f"bill-{bill.id}  workflow: Temporal knows none" in found.stdout
    assert "1 bill compared, 1 difference\n" in found.stdout
    assert found.returncode == 1
    assert (repaired.returncode, repaired.stdout) == (0, "1 bill compared, 0 differences\n")
    assert progress.heard(engine, bill.id).version == bill.version


def test_a_workflow_that_missed_changes_is_found_and_told(
    reconcile: Pave, engine: Engine, origin: Origin, settings: Settings, bill: Bill
) -> None:
    run_workflow(settings, bill)
    assert reconcile(wait_s=10).returncode == 0
    add(engine, origin, bill)

    found, repaired = reconcile(), reconcile("--repair")

    assert f"bill-{bill.id}  workflow: it has heard of version 2, stored is 3" in found.stdout
    assert (found.returncode, repaired.returncode) == (1, 0)


def test_a_workflow_that_was_stopped_from_outside_is_found_and_started_again(
    reconcile: Pave, settings: Settings, bill: Bill
) -> None:
    run_workflow(settings, bill)

    async def terminate() -> None:
        await (await connect(settings)).get_workflow_handle(bill.workflow_id).terminate()

    asyncio.run(terminate())
    found, repaired = reconcile(), reconcile("--repair")

    assert "workflow: it ended as terminated" in found.stdout
    assert (found.returncode, repaired.returncode) == (1, 0)


def test_a_bill_that_closed_unheard_is_found_and_its_workflow_finishes(
    reconcile: Pave, engine: Engine, origin: Origin, settings: Settings, bill: Bill
) -> None:
    run_workflow(settings, bill)
    assert reconcile(wait_s=10).returncode == 0
    closed = close(engine, origin, bill)

    found, repaired = reconcile(), reconcile("--repair")

    assert f"it has heard of version {bill.version}, stored is {closed.version}" in found.stdout
    assert (found.returncode, repaired.returncode) == (1, 0)
    assert progress.heard(engine, bill.id) == progress.Heard(closed.version, finished=True)
    assert reconcile().stdout == "0 bills compared, 0 differences\n"
    assert reconcile("--all").stdout == "1 bill compared, 0 differences\n"


def test_what_is_due_is_closed_on_request(reconcile: Pave, engine: Engine, settings: Settings, bill: Bill) -> None:
    run_workflow(settings, bill)
    ended = "period_start = now() - interval '2 minutes', period_end = now() - interval '1 minute'"
    change(engine, f"UPDATE bills SET {ended} WHERE id = :id", bill)

    repaired = reconcile("--repair")

    assert "closed, being due: 1 bill\n" in repaired.stderr
    assert reads.bill(engine, bill.id).is_closed
    assert progress.heard(engine, bill.id).finished
    assert repaired.returncode == 0, repaired.stdout


TAKEN = "SELECT fingerprint FROM line_item_references WHERE bill_id = :id"


@pytest.fixture
def referenced(engine: Engine, origin: Origin, settings: Settings, reconcile: Pave, open_bill: OpenBill) -> Bill:
    """A bill on which an item has a reference, and which agrees with its workflow."""
    bill = open_bill()
    draft = LineItemDraft.parse(
        "hung", "2", "0.6", "GEL", offered=DEFAULT_CURRENCIES, source="shop", reference="order-1"
    )
    added = line_items.add(engine, origin, bill.id, draft)[0]
    run_workflow(settings, added)
    assert reconcile(wait_s=10).returncode == 0
    return added


def fingerprints(engine: Engine, bill: Bill) -> list[bytes]:
    with engine.connect() as connection:
        return list(connection.execute(text(TAKEN), {"id": bill.id}).scalars())


def test_a_reference_that_an_item_has_and_nobody_took_is_found_and_taken_as_it_was(
    reconcile: Pave, engine: Engine, origin: Origin, referenced: Bill
) -> None:
    before = fingerprints(engine, referenced)
    change(engine, "DELETE FROM line_item_references WHERE bill_id = :id", referenced)
    found, repaired = reconcile("--all"), reconcile("--all", "--repair")
    sentence = f"bill-{referenced.id}  items whose reference isn't taken: 1, the first at position 2"
    assert (found.returncode, sentence in found.stdout) == (1, True), found.stdout
    assert (repaired.returncode, "taken again: 1 reference\n" in repaired.stdout) == (0, True), repaired.stdout
    assert len(before) == 1
    assert fingerprints(engine, referenced) == before


def test_a_reference_without_its_item_and_one_of_another_item_are_found_and_stay(
    reconcile: Pave, engine: Engine, referenced: Bill
) -> None:
    change(engine, "UPDATE line_item_references SET item_id = uuidv7() WHERE bill_id = :id", referenced)
    found, repaired = reconcile("--all"), reconcile("--all", "--repair")
    for done in (found, repaired):
        assert done.returncode == 1
        assert f"bill-{referenced.id}  references whose item isn't on the bill: 1\n" in done.stdout
        assert f"bill-{referenced.id}  items whose reference another item has: 1, the first" in done.stdout
    assert "taken again" not in repaired.stdout
    assert len(fingerprints(engine, referenced)) == 1


CONTRADICTIONS = {
    "UPDATE bill_subtotals SET subtotal = 7.2 WHERE bill_id = :id": "GEL items add up to 3.6, the subtotal is 7.2",
    "DELETE FROM bill_subtotals WHERE bill_id = :id": "GEL items add up to 3.6, the subtotal is none",
    "UPDATE bills SET item_count = 2 WHERE id = :id": "items: 1, last position: 1, the bill counts 2",
    "UPDATE line_items SET position = 2 WHERE bill_id = :id": "items: 1, last position: 2, the bill counts 1",
    "UPDATE bills SET version = 3 WHERE id = :id": "events: 2, last version: 2, the bill is at version 3",
    "UPDATE bill_subtotals SET payable = 3.60, rounding = 0, minor_units = 2 WHERE bill_id = :id": (
        "GEL payable 3.6 and rounding 0 are stored, right are none and none"
    ),
    "UPDATE bill_workflows SET heard_version = 9 WHERE bill_id = :id": (
        "its workflow heard of version 9, the bill is at version 2"
    ),
    "UPDATE bill_workflows SET finished_at = now() WHERE bill_id = :id": (
        "its workflow is recorded as finished, the bill is open"
    ),
    "DELETE FROM bill_workflows WHERE bill_id = :id": "there is no record of what its workflow has heard",
}


def test_rows_that_contradict_each_other_are_found_and_left_alone(
    reconcile: Pave, engine: Engine, open_bill: OpenBill
) -> None:
    expected = []
    for statement, sentence in CONTRADICTIONS.items():
        bill = open_bill()
        change(engine, statement, bill)
        expected.append(f"bill-{bill.id}  {sentence}")

    found = reconcile("--all")

    said = [line for line in found.stdout.splitlines() if line.startswith("bill-") and "  workflow: " not in line]
    assert sorted(said) == sorted(expected)
    assert found.returncode == 1


def test_figures_that_differ_at_one_version_are_named(
    reconcile: Pave, engine: Engine, settings: Settings, bill: Bill
) -> None:
    run_workflow(settings, bill)
    assert reconcile(wait_s=10).returncode == 0
    change(engine, "UPDATE bill_subtotals SET subtotal = 3.7 WHERE bill_id = :id", bill)

    found = reconcile()

    assert "workflow: totals is {'GEL': '3.6'}, stored is {'GEL': '3.7'}" in found.stdout


def test_a_gap_in_the_bill_numbers_is_found(reconcile: Pave, engine: Engine, origin: Origin, bill: Bill) -> None:
    close(engine, origin, bill)
    change(engine, "UPDATE bills SET number = 2 WHERE id = :id", bill)

    found = reconcile("--all")

    assert "ledger  bill numbers given: 1, bills that have one: 1, highest: 2\n" in found.stdout


def test_a_payable_that_is_wrong_for_its_currency_is_found(
    reconcile: Pave, engine: Engine, origin: Origin, bill: Bill
) -> None:
    close(engine, origin, bill)
    change(engine, "UPDATE bill_subtotals SET payable = 4, rounding = 0.4, minor_units = 0 WHERE bill_id = :id", bill)

    found = reconcile("--all")

    assert "GEL payable 4 and rounding 0.4 are stored, right are 3.6 and 0\n" in found.stdout


def test_without_temporal_the_rows_are_compared_all_the_same(reconcile: Pave, engine: Engine, bill: Bill) -> None:
    change(engine, "UPDATE bills SET item_count = 2 WHERE id = :id", bill)

    found = reconcile(temporal="127.0.0.1:1")

    assert "the bill counts 2" in found.stdout
    assert "Temporal can't be reached at 127.0.0.1:1" in found.stdout
    assert (found.returncode, "Traceback" in found.stderr) == (1, False)


def test_a_restored_ledger_outranks_what_workflows_know_and_never_gives_a_number_twice(
    pave: Pave, reconcile: Pave, engine: Engine, origin: Origin, settings: Settings, open_bill: OpenBill
) -> None:
    bill, other = open_bill(), open_bill()
    closed = close(engine, origin, bill)
    run_workflow(settings, other)
    run_workflow(settings, closed)
    assert reconcile("--all", wait_s=10).returncode == 0
    change(engine, RESTORED_BILL, bill)
    change(engine, "DELETE FROM events WHERE subject_id = :id AND version > 2", bill)
    change(engine, "UPDATE bill_workflows SET heard_version = 2, finished_at = NULL WHERE bill_id = :id", bill)
    change(
        engine,
        "UPDATE bill_subtotals SET payable = NULL, rounding = NULL, minor_units = NULL WHERE bill_id = :id",
        bill,
    )
    change(engine, "UPDATE counters SET last_value = 0", bill)

    found, repaired, again = reconcile("--all"), reconcile("--all", "--repair"), reconcile("--all")

    lost = (
        f"missing  bill-{bill.id}  acknowledged: version 4, 1 item, GEL 3.6, closed as No. 1; stored: version 2, 1 item"
    )
    assert f"bill-{bill.id}  workflow: it has ended; it has heard of version 4, stored is 2\n" in found.stdout
    assert lost in found.stdout
    assert "ledger  workflows know of bill numbers up to 1, given are those up to 0\n" in found.stdout
    assert "epoch 1 of the ledger begins\nbill numbers set aside, being given before: 1 to 1\n" in repaired.stdout
    assert (repaired.returncode, again.stdout) == (0, "2 bills compared, 0 differences\n"), repaired.stdout
    # The list stays, whatever becomes of the bill.
    (listed,) = [line for line in repaired.stdout.splitlines() if line.startswith(lost)]
    kept = pave("losses")
    assert (kept.returncode, kept.stdout) == (0, f"{listed}\n")
    assert close(engine, origin, bill).number == 2
    assert reconcile("--all", "--repair", wait_s=10).returncode == 0


def test_numbers_that_are_known_to_be_given_stay_given_and_a_lower_one_changes_nothing(
    pave: Pave, reconcile: Pave, engine: Engine, origin: Origin, settings: Settings, bill: Bill
) -> None:
    """A document with No. 7 has left the house, of which neither the ledger nor any workflow knows."""
    run_workflow(settings, bill)

    repaired = reconcile("--repair", "--last-number", "7", wait_s=10)
    lower = reconcile("--repair", "--last-number", "6", wait_s=10)

    begun = "epoch 1 of the ledger begins\nbill numbers set aside, being given before: 1 to 7\n"
    assert (repaired.returncode, repaired.stdout) == (0, f"{begun}1 bill compared, 0 differences\n"), repaired.stderr
    assert (lower.returncode, lower.stdout) == (0, "1 bill compared, 0 differences\n")
    assert close(engine, origin, bill).number == 8
    nothing_lost = pave("losses")
    assert (nothing_lost.returncode, nothing_lost.stdout) == (0, "")


RESTORED_BILL = """
    UPDATE bills SET status = 'open', version = 2, close_requested_at = NULL, effective_at = NULL, closed_at = NULL,
                     close_reason = NULL, number = NULL, billed_customer = NULL, seller = NULL WHERE id = :id
"""


def test_the_log_of_another_server_is_found_and_put_in_order(
    reconcile: Pave, engine: Engine, settings: Settings, bill: Bill
) -> None:
    run_workflow(settings, bill)
    change(engine, "UPDATE events SET xid = '99999999999' WHERE subject_id = :id", bill)

    found, repaired = reconcile(wait_s=10), reconcile("--repair", wait_s=10)

    assert "ledger  the log's last transaction is 99999999999, the server is at " in found.stdout
    assert (found.returncode, repaired.returncode) == (1, 0)
    assert "the log is in order again; counted anew: 3 events\n" in repaired.stdout
