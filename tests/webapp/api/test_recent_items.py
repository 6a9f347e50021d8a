from __future__ import annotations

import json
from collections.abc import Callable

import pytest
from sqlalchemy import Engine

from billing.bill import RECENT_ITEMS, Bill, LineItem
from billing.ledger import line_items, reads
from billing.origin import Origin
from tests.support.ledger import OpenBill, draft
from webapp.api import recent_items, render
from webapp.api.recent_items import RecentItems


@pytest.fixture
def grown(engine: Engine, origin: Origin, open_bill: OpenBill) -> Callable[[int], list[tuple[Bill, LineItem]]]:
    bill = open_bill()
    return lambda count: [line_items.add(engine, origin, bill.id, draft(f"line {n}"))[:2] for n in range(count)]


@pytest.fixture
def reads_counted(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    limits: list[int] = []
    newest = reads.newest_items

    def counted(engine: Engine, bill: Bill, *, limit: int) -> list[LineItem]:
        limits.append(limit)
        return newest(engine, bill, limit=limit)

    monkeypatch.setattr(recent_items.reads, "newest_items", counted)
    return limits


def texts(*items: LineItem) -> tuple[str, ...]:
    return tuple(render.line_item(item) for item in items)


def test_what_is_at_hand_is_not_read(engine: Engine, grown, reads_counted: list[int]):
    steps, kept = grown(4), RecentItems()
    bills, items = zip(*steps, strict=True)
    assert kept.of(engine, bills[0], items[:1]) == texts(*items[:1])
    assert kept.of(engine, bills[3], items[1:]) == texts(*items)
    assert reads_counted == []


def test_what_another_process_added_is_read_once(engine: Engine, grown, reads_counted: list[int]):
    bills, items = zip(*grown(5), strict=True)
    kept = RecentItems()
    kept.of(engine, bills[0], items[:1])
    assert kept.of(engine, bills[3], items[3:4]) == texts(*items[:4])
    assert kept.of(engine, bills[4], items[3:5]) == texts(*items)
    assert reads_counted == [3]


def test_those_who_added_together_ask_in_any_order(engine: Engine, grown, reads_counted: list[int]):
    bills, items = zip(*grown(RECENT_ITEMS + 20), strict=True)
    kept = RecentItems()
    kept.of(engine, bills[-1], items[-1:])
    assert reads_counted == [RECENT_ITEMS]
    for n in range(RECENT_ITEMS + 19, RECENT_ITEMS + 9, -1):
        assert kept.of(engine, bills[n], items[n : n + 1]) == texts(*items[n + 1 - RECENT_ITEMS : n + 1])


@pytest.mark.parametrize("description", ['a "quoted" word', "back\\slash and\ttab", "Ünïcödé \U0001f9fe", "</script>"])
def test_an_items_text_is_json_of_what_people_wrote(
    engine: Engine, origin: Origin, open_bill: OpenBill, description: str
):
    bill = open_bill()
    _, item, _ = line_items.add(engine, origin, bill.id, draft(description))
    _, reversing, _ = line_items.reverse(engine, origin, bill.id, item.id, description)
    assert json.loads(render.line_item(item))["description"] == description
    found = json.loads(render.line_item(reversing))
    assert (found["reverses"], found["reason"], found["quantity"]) == (str(item.id), description, "-6")
    assert render.line_item(reversing) == render.to_json(found)
