"""Closing many bills at once: each is a wish of its own, with the version that was looked at."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from uuid import UUID

from billing import money
from billing.bill import Bill
from billing.errors import Aborted, BillNotFound, IdempotencyInProgress, VersionConflict
from billing.ledger import bills, reads
from billing.ledger.database import snapshot
from billing.origin import Origin
from webapp.system import System

MOST_AT_ONCE = 100

CHANGED = "Changed meanwhile; not closed. Look at it again."
BUSY = "Somebody else was at work on it; not closed. Try again."
UNKNOWN = "There is no such bill."
IS_CLOSING = "Is closing already."


@dataclass(frozen=True, slots=True)
class CurrencyTotal:
    """What these bills come to in one currency: exact, and as it is payable bill by bill."""

    code: str
    bill_count: int
    subtotal: Decimal
    rounding: Decimal
    payable: Decimal


@dataclass(frozen=True, slots=True)
class Refused:
    """A bill that isn't closed, and why; `bill` is None when there is none."""

    bill: Bill | None
    reason: str


@dataclass(frozen=True, slots=True)
class Preview:
    closable: Sequence[Bill]
    refused: Sequence[Refused]
    totals: Sequence[CurrencyTotal]


@dataclass(frozen=True, slots=True)
class Outcome:
    """`wished` bills take no more lines and finish by themselves, or have done so."""

    wished: Sequence[Bill]
    refused: Sequence[Refused]


def preview(system: System, ids: Sequence[UUID]) -> Preview:
    """How these bills stand at one instant: those that can be closed, in the order asked for, and those that can't."""
    with snapshot(system.engine) as connection:
        found = {bill.id: bill for bill in reads.bills_by_id(connection, ids)}
    closable = [found[id_] for id_ in ids if id_ in found and found[id_].is_open]
    refused = [_not_open(found.get(id_)) for id_ in ids if id_ not in found or not found[id_].is_open]
    return Preview(closable, refused, _totals(closable))


def close(system: System, origin: Origin, versions: Mapping[UUID, int]) -> Outcome:
    """Commits a wish for each bill that still has the version given; their workflows are told in the background.

    Repeated with its key, it says the same: who was wished closed stays so, what had changed is not closed.
    """
    wished, refused = [], []
    for bill_id, version in versions.items():
        try:
            written = bills.request_close(system.engine, origin, bill_id, expected_version=version)
        except BillNotFound:
            refused.append(Refused(None, UNKNOWN))
        except (VersionConflict, IdempotencyInProgress) as refusal:
            refused.append(Refused(reads.bill(system.engine, bill_id), _sentence(refusal)))
        else:
            wished.append(written.bill)
            if not written.bill.is_closed:
                system.workflows.changed(written.bill)
    return Outcome(wished, refused)


def _sentence(refusal: Aborted) -> str:
    return CHANGED if isinstance(refusal, VersionConflict) else BUSY


def _not_open(bill: Bill | None) -> Refused:
    if bill is None:
        return Refused(None, UNKNOWN)
    return Refused(bill, f"Is closed, No. {bill.printed_number}." if bill.is_closed else IS_CLOSING)


def _totals(closable: Sequence[Bill]) -> list[CurrencyTotal]:
    payables = [payable for bill in closable for payable in bill.payables]
    by_code: dict[str, list[money.Payable]] = {}
    for payable in payables:
        by_code.setdefault(payable.currency.code, []).append(payable)
    return [_total(code, by_code[code]) for code in sorted(by_code)]


def _total(code: str, payables: Sequence[money.Payable]) -> CurrencyTotal:
    return CurrencyTotal(
        code,
        len(payables),
        money.exact_sum(payable.subtotal for payable in payables),
        money.exact_sum(payable.rounding for payable in payables),
        money.exact_sum(payable.amount for payable in payables),
    )
