"""The record and the rows are compared to the last digit: every planted difference is told."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from tests.chaos import linearizability
from tests.chaos.expected import Expected, Item, expected
from tests.chaos.histories import history
from tests.chaos.record import Record, requests_in
from tests.chaos.stored import Stored, differences
from tests.chaos.views import plain

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
BILL = "01a20000-0000-7000-8000-000000000001"
ROW = {"description": "1-1-0", "quantity": "6", "unit_price": "0.6", "currency": "GEL"}
ITEM = ["item-1", 1, "1-1-0", "GEL", "3.6"]


def shown(version: int, items: int, sums: str | None, status: str = "open") -> dict[str, Any]:
    return {"status": status, "version": version, "item_count": items, "sums": {"GEL": sums} if sums else {}}


class Told:
    """A record written by hand: `wish` asks, and is answered at once."""

    def __init__(self, directory: Path) -> None:
        self.record = Record(directory / "record.jsonl")

    def wish(self, wish: str, do: str, body: Any, *answers: dict[str, Any], **about: Any) -> None:
        for answer in answers:
            number, at = self.record.asked(
                wish=wish, do=do, body=body, bill_id=BILL, bill=1, **{"path": f"/bills/{BILL}", **about}
            )
            definite = answer.get("status") not in {None, 503}
            self.record.answered(number, at, **{"definite": definite, **answer})

    def expected(self) -> Expected:
        return expected(BILL, requests_in(self.record.file)[BILL])

    def linearizable(self) -> bool:
        return bool(linearizability.check(history(requests_in(self.record.file)[BILL], {}, None)))


@pytest.fixture
def told(tmp_path: Path) -> Any:
    with (one := Told(tmp_path)).record:
        yield one


def test_what_timed_out_counts_once_when_a_repeat_was_acknowledged(told: Told) -> None:
    replay = {"status": 200, "replayed": True, "items": [ITEM], "bill": shown(2, 1, "3.6")}
    told.wish("1/1", "add", ROW, {"status": None, "failed": "TimeoutError"}, {"status": 503}, replay)

    found = told.expected()
    assert found.items == {"item-1": Item("1-1-0", "GEL", Decimal("3.6"))}
    assert (found.adds, found.differences) == (1, [])
    assert told.linearizable()


def test_what_was_refused_is_absent(told: Told) -> None:
    told.wish("1/1", "add", ROW, {"status": 400, "reason": "bill_closing"})
    assert told.expected() == Expected(1, BILL)


@pytest.mark.parametrize(
    ("do", "answer", "sentence"),
    [
        ("add", {"status": 500, "reason": "internal"}, "answered 500 internal"),
        ("add", {"status": 400, "reason": "invalid_value"}, "answered 400 invalid_value"),
        ("add", {"status": None, "failed": "TimeoutError"}, "never decided in 1 attempts"),
        ("add", {"status": 200, "items": [["item-1", 1, "1-1-0", "GEL", "3.61"]]}, "answered with others"),
        ("repeat", {"status": 200, "items": [ITEM]}, "not marked as one"),
        ("repeat", {"status": 200, "replayed": True, "items": [["other", *ITEM[1:]]]}, "answered with other items"),
        ("repeat", {"status": 400, "reason": "bill_closed"}, "a repeat was refused"),
        ("repeat otherwise", {"status": 200, "items": [ITEM]}, "taken with other values"),
    ],
)
def test_an_answer_that_the_contract_does_not_have_is_a_difference(
    told: Told, do: str, answer: dict[str, Any], sentence: str
) -> None:
    if do.startswith("repeat"):
        told.wish("1/1", "add", ROW, {"status": 200, "items": [ITEM], "bill": shown(2, 1, "3.6")})
    told.wish("1/2", do, ROW, answer, of="1/1")

    assert any(sentence in difference for difference in told.expected().differences)


@pytest.mark.parametrize("repeats", ["repeat", "repeat otherwise"])
def test_what_was_stored_and_then_rejected_gives_its_key_free(told: Told, repeats: str) -> None:
    stored = {"id": "request-1", "state": "rejected", "line_item_id": None, "reason": "bill_closed"}
    told.wish("1/1", "ask", ROW, {"status": 202, "request": {**stored, "state": "pending"}})
    told.wish("1/2", repeats, ROW, {"status": 400, "reason": "bill_closed"}, of="1/1")
    told.wish("1/1/outcome", "outcome", None, {"status": 200, "request": stored}, of="1/1")
    assert told.expected() == Expected(1, BILL)


def test_an_item_that_two_requests_were_given_is_a_difference(told: Told) -> None:
    for wish in ("1/1", "1/2"):
        told.wish(wish, "add", ROW, {"status": 200, "items": [ITEM], "bill": shown(2, 1, "3.6")})
    assert "acknowledged to another request too" in told.expected().differences[0]
    assert not told.linearizable()


def test_which_item_takes_back_which_is_in_the_record(told: Told) -> None:
    told.wish("1/1", "add", ROW, {"status": 200, "items": [ITEM], "bill": shown(2, 1, "3.6")})
    back = ["item-2", 2, "1-1-0", "GEL", "-3.6"]
    path = f"/bills/{BILL}/line-items/item-1/reversal"
    told.wish("1/2", "reverse", {}, {"status": 200, "items": [back], "bill": shown(3, 2, "0")}, path=path)

    found = told.expected()
    assert (found.reverses, found.differences) == ({"item-2": "item-1"}, [])


def test_a_read_that_misses_what_was_acknowledged_has_no_order(told: Told) -> None:
    told.wish("1/1", "add", ROW, {"status": 200, "items": [ITEM], "bill": shown(2, 1, "3.6")})
    told.wish("reader/1", "read", None, {"status": 200, "bill": shown(1, 0, None)})
    assert not told.linearizable()


def test_a_close_that_is_read_open_afterwards_has_no_order(told: Told) -> None:
    told.wish("1/1", "close", None, {"status": 202, "bill": shown(2, 0, None, "closing")})
    told.wish("reader/1", "read", None, {"status": 200, "bill": shown(3, 0, None, "closed")})
    assert told.linearizable()
    told.wish("reader/2", "read", None, {"status": 200, "bill": shown(3, 0, None, "open")})
    assert not told.linearizable()


def closed_bill() -> tuple[Expected, Stored]:
    """What both say of a bill of one item that was closed by hand."""
    item = Item("1-1-0", "GEL", Decimal("3.6"))
    row = SimpleNamespace(
        status="closed", version=4, item_count=1, close_reason="manual", number=1, period_end=NOW + timedelta(days=1),
        close_requested_at=NOW, effective_at=NOW, closed_at=NOW + timedelta(seconds=1),
    )  # fmt: skip
    types = ("bill.created", "line_items.added", "bill.close_requested", "bill.closed")
    events = [SimpleNamespace(version=n + 1, type=type_) for n, type_ in enumerate(types)]
    subtotals = {"GEL": SimpleNamespace(subtotal=Decimal("3.60"), payable=Decimal("3.60"))}
    times = [NOW - timedelta(seconds=1)]
    stored = Stored(row, {"item-1": item}, {"item-1": 1}, times, subtotals, events)
    return Expected(1, BILL, {"item-1": item}, adds=1, is_to_close=True), stored


def lost(stored: Stored) -> None:
    stored.items.clear()


def doubled(stored: Stored) -> None:
    stored.items["item-2"] = stored.items["item-1"]
    stored.positions["item-2"] = 2


def taken_back(stored: Stored) -> None:
    stored.reverses["item-1"] = "item-0"


def another_total(stored: Stored) -> None:
    stored.items["item-1"] = replace(stored.items["item-1"], total=Decimal("3.6000001"))


def another_subtotal(stored: Stored) -> None:
    stored.subtotals["GEL"].subtotal += Decimal("1e-12")


def gap(stored: Stored) -> None:
    stored.positions["item-1"] = 2


def event_lost(stored: Stored) -> None:
    del stored.events[1]


def event_twice(stored: Stored) -> None:
    stored.events.insert(1, stored.events[1])


def never_closed(stored: Stored) -> None:
    stored.row.status, stored.row.close_reason = "closing", None


def added_after_the_cut_off(stored: Stored) -> None:
    stored.times[0] = NOW


def closed_early(stored: Stored) -> None:
    stored.row.close_reason = "period_end"


PLANTED = [
    lost, doubled, taken_back, another_total, another_subtotal, gap, event_lost, event_twice, never_closed,
    added_after_the_cut_off, closed_early,
]  # fmt: skip


def test_a_record_and_rows_that_say_the_same_have_no_difference() -> None:
    assert list(differences(*closed_bill())) == []


@pytest.mark.parametrize("plant", PLANTED)
def test_every_difference_between_record_and_rows_is_told(plant: Callable[[Stored], None]) -> None:
    wanted, stored = closed_bill()
    plant(stored)
    assert list(differences(wanted, stored))


@pytest.mark.parametrize(
    ("amount", "text"), [("3.60", "3.6"), ("0E-12", "0"), ("1E+3", "1000"), ("-0.50", "-0.5"), ("100", "100")]
)
def test_exact_figures_have_no_zeros_at_their_end(amount: str, text: str) -> None:
    assert plain(Decimal(amount)) == text
