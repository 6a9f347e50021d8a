"""The first of the four views: what the clients' record says of a bill, worked out by hand.

Every acknowledged item exactly once, everything refused absent; what got no answer was repeated until it was decided.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal, localcontext
from typing import Any

from tests.chaos.model import added_up
from tests.chaos.record import Request

DIGITS = 60
ACCRUING = {"bill_closing", "bill_closed", "period_ended"}
# What each call may be refused for, whatever the run brings; anything else is a difference.
REFUSALS: Mapping[str, set[str]] = {
    # An end that has passed by the time somebody gets through.
    "open": {"invalid_value"},
    "add": ACCRUING,
    "batch": ACCRUING,
    "ask": ACCRUING,
    "reverse": ACCRUING | {"already_reversed"},
    "extend": ACCRUING | {"version_conflict", "invalid_value"},
    "close": {"version_conflict"},
    "read": set(),
    "repeat": set(),
    "repeat otherwise": {"idempotency_key_reused"},
    "outcome": set(),
}


@dataclass(frozen=True, slots=True)
class Item:
    description: str
    currency: str
    total: Decimal


@dataclass
class Expected:
    """`items` by id. `adds` are the requests that put some on the bill: each makes one event. `reverses` is which item
    takes back which."""

    bill: int
    bill_id: str
    items: dict[str, Item] = field(default_factory=dict)
    adds: int = 0
    extensions: int = 0
    is_to_close: bool = False
    reverses: dict[str, str] = field(default_factory=dict)
    differences: list[str] = field(default_factory=list)

    @property
    def sums(self) -> dict[str, Decimal]:
        return dict(added_up((item.currency, item.total) for item in self.items.values()))

    def differs(self, request: Request, sentence: str) -> None:
        self.differences.append(f"{request.what['do']} {request.what['wish']}: {sentence}")


def expected(bill_id: str, requests: Sequence[Request]) -> Expected:
    """Of the bill that these requests are about."""
    found = Expected(requests[0].what.get("bill", -1), bill_id)
    by_wish = {request.what["wish"]: request for request in requests}
    items_of = {wish: tuple(item[0] for item in _items(request)) for wish, request in by_wish.items()}
    rejected = {request.what["of"] for request in requests if _stored_state(request) == "rejected"}
    for request in requests:
        do = request.what["do"]
        # What was stored and then rejected gives its key free: only success is remembered.
        is_free = request.what.get("of") in rejected and do.startswith("repeat")
        _undocumented(found, request, REFUSALS[do] | (ACCRUING if is_free else set()))
        if do == "open" or (is_free and request.reason in ACCRUING):
            continue
        if do == "repeat":
            _repeat(found, request, by_wish, items_of)
        elif do == "repeat otherwise":
            if request.succeeded:
                found.differs(request, "the key was taken with other values")
        elif do == "outcome":
            _outcome(found, request, by_wish)
        elif request.succeeded:
            _take(found, request)
    for request in requests:
        if request.what["do"] == "reverse" and request.succeeded:
            _negates(found, request)
    return found


def _stored_state(request: Request) -> str | None:
    """What became of a request that was stored, where this one asked for it."""
    state: str | None = (request.last.answer.get("request") or {}).get("state")
    return state if request.what["do"] == "outcome" else None


def _undocumented(found: Expected, request: Request, refusals: set[str]) -> None:
    """Every answer is one that the API's contract has for this call."""
    for attempt in request.attempts:
        status, reason = attempt.status, str(attempt.answer.get("reason", ""))
        if status is None or status in {200, 202, 503}:
            continue
        if status >= 500 or reason not in refusals | {"idempotency_in_progress"}:
            found.differs(request, f"answered {status} {reason}")
    if not request.is_decided and request.what["do"] not in {"read", "outcome"}:
        found.differs(request, f"never decided in {len(request.attempts)} attempts")


def _take(found: Expected, request: Request) -> None:
    do = request.what["do"]
    found.is_to_close = found.is_to_close or do == "close"
    found.extensions += do == "extend"
    if do not in {"add", "batch", "reverse"}:
        return
    found.adds += 1
    items = _items(request)
    if do == "reverse":
        _put(found, request, items)
        return
    rows = request.what["body"].get("line_items") or [request.what["body"]]
    asked = [(row["description"], row["currency"], product(row)) for row in rows]
    answered = [(item[2], item[3], Decimal(item[4])) for item in items]
    if asked != answered:
        found.differs(request, f"asked for {len(asked)} items, answered with others: {answered[:3]}")
    _put(found, request, items)


def _put(found: Expected, request: Request, items: Sequence[Any]) -> None:
    for id_, _, description, currency, total in items:
        if id_ in found.items:
            found.differs(request, f"item {id_} was acknowledged to another request too")
        found.items[id_] = Item(description, currency, Decimal(total))


def _negates(found: Expected, request: Request) -> None:
    (reversing,) = _items(request)
    reversed_ = request.what["path"].split("/")[4]
    found.reverses[reversing[0]] = reversed_
    first, second = found.items.get(reversed_), found.items[reversing[0]]
    if first is None or (first.description, first.currency, -first.total) != (
        second.description,
        second.currency,
        second.total,
    ):
        found.differs(request, f"{second} does not take back {first}")


def _outcome(found: Expected, request: Request, by_wish: Mapping[str, Request]) -> None:
    told, asked = request.last.answer.get("request") or {}, by_wish[request.what["of"]].what["body"]
    if told.get("state") == "added":
        found.adds += 1
        found.items[told["line_item_id"]] = Item(asked["description"], asked["currency"], product(asked))
    elif told.get("state") != "rejected" or told.get("reason") not in ACCRUING:
        found.differs(request, f"what was stored ended as {told}")


def _repeat(
    found: Expected, request: Request, by_wish: Mapping[str, Request], items_of: Mapping[str, tuple[str, ...]]
) -> None:
    """The same key and values repeat the outcome, whatever the bill's state is by now."""
    if not request.succeeded:
        found.differs(request, f"a repeat was refused: {request.reason}")
    elif not request.last.answer.get("replayed"):
        found.differs(request, "a repeat was not marked as one")
    elif items_of[request.what["wish"]] != items_of[request.what["of"]]:
        found.differs(request, f"a repeat of {request.what['of']} answered with other items")
    assert request.what["of"] in by_wish


def _items(request: Request) -> Sequence[Any]:
    items: Sequence[Any] = request.last.answer.get("items", [])
    return items


def product(row: Mapping[str, str]) -> Decimal:
    """Exact, by rules of arithmetic that are not the system's."""
    with localcontext() as context:
        context.prec = DIGITS
        return Decimal(row["quantity"]) * Decimal(row["unit_price"])


def outcomes(requests: Iterator[Request]) -> Counter[tuple[str, str]]:
    """How often each call ended how, for people: every attempt counts."""
    counted: Counter[tuple[str, str]] = Counter()
    for request in requests:
        for attempt in request.attempts:
            counted[request.what["do"], _word(attempt.answer)] += 1
    return counted


def _word(answer: Mapping[str, Any]) -> str:
    status = answer.get("status")
    if status is None:
        return "no answer"
    if status >= 400:
        return f"{status} {answer.get('reason')}"
    return f"{status} repeated" if answer.get("replayed") else str(status)
