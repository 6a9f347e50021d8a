"""A bill's part of the record as a history for the checker."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal
from typing import Any

from tests.chaos.model import NEVER, REFUSED_BY, Kind, Operation, Seen, Sums, added_up
from tests.chaos.record import Attempt, Request

# By which the machine's clock may have been adjusted against the one that the record is kept by.
DRIFT_S = 3.0
KINDS = {"add": Kind.ADD, "batch": Kind.ADD, "reverse": Kind.ADD, "extend": Kind.EXTEND, "close": Kind.CLOSE}


def history(requests: Sequence[Request], positions: Mapping[str, int], ended_at: float | None) -> list[Operation]:
    """`positions` of items by id, for those added later than they were asked for. `ended_at`: when the period ended by
    itself, by the record's clock; None for a bill that is open or was closed by hand before."""
    by_wish = {request.what["wish"]: request for request in requests}
    found = [operation for request in requests for operation in _operations(request, by_wish, positions)]
    began = min((operation.asked for operation in found), default=0.0)
    if ended_at is not None:
        found.append(Operation(Kind.END, ended_at - DRIFT_S, name="the period's end"))
    return [*found, Operation(Kind.FINISH, began, name="the system's close")]


def _operations(request: Request, by_wish: Mapping[str, Request], positions: Mapping[str, int]) -> Iterator[Operation]:
    do = request.what["do"]
    if do in KINDS:
        yield from _change(request, KINDS[do])
    elif do == "outcome":
        yield from _stored(request, by_wish[request.what["of"]], positions)
    # Every answer that shows the bill, but for those that show it right after the change that they answer.
    for attempt in request.attempts:
        if "bill" in attempt.answer and not _is_own_change(request, attempt):
            yield _read(request, attempt)


def _change(request: Request, kind: Kind) -> Iterator[Operation]:
    last = request.last
    name = f"{request.what['do']} {request.what['wish']}"
    asked, answered = request.attempts[0].asked_at, last.answered_at
    if not request.is_decided or answered is None:
        yield Operation(kind, asked, NEVER, name=name)
        return
    if not request.succeeded:
        reason = request.reason if request.reason in REFUSED_BY else ""
        yield Operation(kind, asked, answered, refusal=reason, name=name)
        return
    items = last.answer.get("items", [])
    seen = _seen(last.answer["bill"]) if _is_own_change(request, last) else None
    position = min((item[1] for item in items), default=None)
    yield Operation(kind, asked, answered, len(items), _sums(items), position, seen=seen, name=name)


def _is_own_change(request: Request, attempt: Attempt) -> bool:
    """Of a close the bill is read afterwards; a repeat shows the bill as it stands by then."""
    changes = request.what["do"] in {"add", "batch", "reverse", "extend"}
    return changes and not attempt.answer.get("replayed") and attempt is request.last


def _stored(request: Request, asked: Request, positions: Mapping[str, int]) -> Iterator[Operation]:
    told = request.last.answer.get("request") or {}
    item = str(told.get("line_item_id"))
    if told.get("state") == "added" and item in positions:
        body = asked.what["body"]
        total = Decimal(body["quantity"]) * Decimal(body["unit_price"])
        sums, answered = ((body["currency"], total),), request.last.answered_at or NEVER
        name = f"stored {asked.what['wish']}"
        yield Operation(Kind.ADD, asked.attempts[0].asked_at, answered, 1, sums, positions[item], name=name)


def _read(request: Request, attempt: Attempt) -> Operation:
    name = f"{request.what['do']} {request.what['wish']} (the bill it showed)"
    answered = NEVER if attempt.answered_at is None else attempt.answered_at
    return Operation(Kind.READ, attempt.asked_at, answered, seen=_seen(attempt.answer["bill"]), name=name)


def _seen(bill: Mapping[str, Any]) -> Seen:
    sums = added_up((code, Decimal(amount)) for code, amount in bill["sums"].items())
    return Seen(bill["status"], bill["item_count"], sums, bill["version"])


def _sums(items: Sequence[Any]) -> Sums:
    return added_up((item[3], Decimal(item[4])) for item in items)
