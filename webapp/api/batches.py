"""Up to 1,000 line items in one call, with an outcome for each: good rows count whatever the others are.

With `atomic` all count or none; with `dry_run` none does, and the answer says what the same call would do without it.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from flask import Response

from billing import money
from billing.bill import Bill
from billing.errors import BillClosed, BillClosing, BillingError
from billing.ledger.line_items import Accepted, Entry, Keeps, Outcome
from billing.ledger.repeats import identity, refuse_as_a_whole
from webapp import commands, queries
from webapp.api import render
from webapp.api.batch_rows import (
    Row,
    fingerprint_of,
    first_with_each_key,
    outcome_of,
    parse_rows,
    refused,
    without_withdrawn,
)
from webapp.api.bill_answer import bill_answer, bill_id_in, wanted_currency
from webapp.api.blueprint import api
from webapp.api.body import flag, json_object
from webapp.api.contract import fields
from webapp.api.contract.answers import BILL, OUTCOME, PREVIEW, Answer
from webapp.api.contract.fields import LONGEST_BATCH, Body
from webapp.api.contract.operation import operation
from webapp.api.contract.schemas import BOOLEAN, array, record
from webapp.api.errors import described
from webapp.api.negotiation import idempotency_key
from webapp.identity.access import allow
from webapp.identity.caller import origin
from webapp.identity.scopes import Scope
from webapp.system import System, system

THE_OUTCOMES = Answer(
    "The bill, and an outcome for each row.",
    record(
        {"data": BILL, "outcomes": array(OUTCOME)},
        {"dry_run": {**BOOLEAN, "description": "There when nothing was added."}, "preview": PREVIEW},
    ),
)


@dataclass(frozen=True, slots=True)
class Batch:
    """What a call asks for. `key` is its own, for all of it."""

    rows: Sequence[Row]
    atomic: bool
    dry_run: bool
    key: str | None
    fingerprint: bytes

    @property
    def ids(self) -> Collection[UUID]:
        """Of the items that it would make."""
        return {row.entry.id for row in self.rows if row.entry is not None}


@dataclass(frozen=True, slots=True)
class Result:
    """`bill` is the bill after the call, or, of a dry run, what it would be; outcomes are one for each row."""

    bill: Bill
    outcomes: Sequence[Outcome]
    replayed: bool


@api.post("/bills/<bill_id>/line-items/batch")
@allow(Scope.ITEMS_WRITE)
@operation(
    "Add many line items",
    query=(fields.SHOWN_IN,),
    body=Body((fields.ROWS, fields.ATOMIC, fields.DRY_RUN), longest=LONGEST_BATCH),
    answers={200: THE_OUTCOMES},
    is_idempotent=True,
    refusals=fields.TAKES_NO_CHANGES,
)
def add_batch(bill_id: str) -> Response:
    """Up to 1,000 in one call. Good rows count whatever the others are, unless it is `atomic`.

    With `dry_run` nothing is added: outcomes and `preview` say what would be.

    Each row may have a key of its own; a repeat of the call with its Idempotency-Key repeats all outcomes.
    """
    id_ = bill_id_in(bill_id)
    currency = wanted_currency(system(), id_)
    batch = _batch(system(), id_, json_object())
    result = _add(system(), id_, batch)
    imagined = batch.ids if batch.dry_run else ()
    texts = (_outcome_text(index, one, imagined) for index, one in enumerate(result.outcomes))
    beside = {"outcomes": render.array(texts)}
    if not batch.dry_run:
        return bill_answer(system(), result.bill, currency, beside=beside, replayed=result.replayed)
    beside |= {"dry_run": "true", "preview": render.to_json(_preview(result))}
    return bill_answer(system(), queries.bill(system(), id_), currency, beside=beside)


def _batch(system: System, bill_id: UUID, body: Mapping[str, Any]) -> Batch:
    atomic, dry_run = flag(body, "atomic"), flag(body, "dry_run")
    rows = parse_rows(body.get("line_items"), system.configured_currencies)
    print_ = fingerprint_of(rows, atomic=atomic)
    rows = list(without_withdrawn(system, bill_id, rows, print_))
    return Batch(rows, atomic, dry_run, idempotency_key(), fingerprint_of(rows, atomic=atomic))


def _add(system: System, bill_id: UUID, batch: Batch) -> Result:
    """Raises what refuses all of it."""
    firsts = first_with_each_key(batch.rows)
    asked = _asked(batch, firsts)
    if not asked:
        bill = queries.bill(system, bill_id)
        _refuse_closed(bill)
        result = Result(bill, [refused(row.refusal) for row in batch.rows], replayed=False)
    else:

        def result_of(accepted: Accepted) -> Result:
            decided = dict(zip((entry.id for entry in asked), accepted.outcomes, strict=True))
            outcomes = [outcome_of(row, firsts, decided) for row in batch.rows]
            return Result(accepted.bill, outcomes, accepted.replayed)

        keeps = _keeps(batch, lambda accepted: _is_whole(result_of(accepted).outcomes))
        call = (batch.key, batch.fingerprint) if batch.key is not None else None
        accepted = commands.add_line_items(system, origin(batch.key), bill_id, asked, call=call, keeps=keeps)
        refuse_as_a_whole(accepted.outcomes)
        result = result_of(accepted)
    if batch.atomic:
        _refuse_unless_whole(result.outcomes)
    return result


def _asked(batch: Batch, firsts: Mapping[str | UUID, Entry]) -> list[Entry]:
    """What the ledger is asked for: a row for each key, and nothing where that can't be all of an atomic call."""
    if batch.atomic and any(row.entry is None for row in batch.rows):
        return []
    return [row.entry for row in batch.rows if row.entry is not None and firsts[identity(row.entry)] is row.entry]


def _keeps(batch: Batch, is_whole: Keeps) -> Keeps | None:
    if batch.dry_run:
        return lambda _: False
    return is_whole if batch.atomic else None


def _is_whole(outcomes: Sequence[Outcome]) -> bool:
    return all(outcome.item is not None for outcome in outcomes)


def _refuse_unless_whole(outcomes: Sequence[Outcome]) -> None:
    """With the first refusal, which says which row it is of."""
    for index, outcome in enumerate(outcomes):
        if outcome.refusal is not None:
            raise _of_row(outcome.refusal, index)


def _of_row(refusal: BillingError, index: int) -> BillingError:
    row = f"line_items[{index}]"
    field = f"{row}.{refusal.field}" if refusal.field else row
    return type(refusal)(f"{row}: {refusal.message}", reason=refusal.reason, field=field)


def _refuse_closed(bill: Bill) -> None:
    if bill.is_closed:
        raise BillClosed
    if not bill.is_open:
        raise BillClosing


def _preview(result: Result) -> dict[str, Any]:
    """What the bill would have come to."""
    added = sum(outcome.item is not None and not outcome.replayed for outcome in result.outcomes)
    subtotals = {code: money.plain(amount) for code, amount in result.bill.subtotals}
    return {"added": added, "item_count": result.bill.item_count, "by_currency": subtotals}


def _outcome_text(index: int, outcome: Outcome, imagined: Collection[UUID]) -> str:
    """Items that were only `imagined`, in a dry run, have no id: nothing has it."""
    if outcome.item is None:
        assert outcome.refusal is not None
        return json.dumps({"index": index, "outcome": "rejected", "error": described(outcome.refusal)})
    word = "replayed" if outcome.replayed else "added"
    if outcome.item.id in imagined:
        return f'{{"index":{index},"outcome":"{word}","total":"{money.plain(outcome.item.total)}"}}'
    return f'{{"index":{index},"outcome":"{word}","line_item":{render.line_item(outcome.item)}}}'
