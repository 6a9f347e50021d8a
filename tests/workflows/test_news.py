"""What workflows are told is merged and rationed; the newest version always wins."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime

import pytest

from workflows import news
from workflows.messages import BillFigures
from workflows.news import News, Notice


def figures(bill: str, version: int) -> BillFigures:
    return BillFigures(bill, "customer", "open", version, version, {}, datetime.now(UTC))


def notice(bill: str, version: int, **more: bool) -> Notice:
    return Notice(bill, figures(bill, version), **more)


@pytest.fixture(autouse=True)
def short_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(news, "SECONDS_BETWEEN_SIGNALS_OF_A_BILL", 0.4)
    monkeypatch.setattr(news, "SECONDS_BETWEEN_URGENT_SIGNALS_OF_A_BILL", 0.05)
    monkeypatch.setattr(news, "SIGNALS_PER_S", 50)


def taken(waiting: News, count: int, within_s: float = 30) -> list[Notice]:
    async def take() -> list[Notice]:
        return [await waiting.next() for _ in range(count)]

    return asyncio.run(asyncio.wait_for(take(), within_s))


def test_the_newest_version_of_a_bill_wins_whatever_the_order() -> None:
    waiting = News()
    for version in (2, 5, 3):
        waiting.put(notice("a", version))
    (told,) = taken(waiting, 1)
    assert told.figures
    assert told.figures.version == 5
    assert waiting.lag_s() == 0


def test_a_start_a_new_end_and_requests_survive_the_merging() -> None:
    waiting = News()
    waiting.put(notice("a", 1, start=True, just_opened=True))
    waiting.put(notice("a", 2, period_changed=True))
    waiting.put(Notice("a", None, request_ids=("r1",)))
    waiting.put(Notice("a", None, request_ids=("r2",)))
    (told,) = taken(waiting, 1)
    assert (told.start, told.period_changed, told.request_ids) == (True, True, ("r1", "r2"))
    assert told.figures
    assert told.figures.version == 2


def test_a_quiet_bill_is_told_at_once_and_a_busy_one_after_a_while(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(news, "SECONDS_BETWEEN_SIGNALS_OF_A_BILL", 3_600)
    waiting = News()
    waiting.put(notice("a", 1))
    taken(waiting, 1)
    waiting.put(notice("a", 2))
    waiting.put(notice("b", 1))
    (other,) = taken(waiting, 1)
    assert other.bill_id == "b"
    with pytest.raises(TimeoutError):
        taken(waiting, 1, within_s=0.1)
    monkeypatch.setattr(news, "SECONDS_BETWEEN_SIGNALS_OF_A_BILL", 0.1)
    (later,) = taken(waiting, 1)
    assert later.bill_id == "a"


def test_what_somebody_waits_for_does_not_wait_that_long(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(news, "SECONDS_BETWEEN_SIGNALS_OF_A_BILL", 3_600)
    waiting = News()
    waiting.put(notice("a", 1))
    taken(waiting, 1)
    waiting.put(Notice("a", None, request_ids=("r1",)))
    taken(waiting, 1)


def test_a_process_stays_within_its_budget() -> None:
    waiting = News()
    for n in range(30):
        waiting.put(notice(f"bill-{n}", 1))

    async def take_for(seconds: float) -> int:
        count = 0
        try:
            async with asyncio.timeout(seconds):
                while True:
                    await waiting.next()
                    count += 1
        except TimeoutError:
            return count

    assert asyncio.run(take_for(0.3)) <= 17


def test_too_many_bills_waiting_leave_the_oldest_to_the_sweep(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(news, "MOST_BILLS_WAITING", 3)
    waiting = News()
    for n in range(5):
        waiting.put(notice(f"bill-{n}", 1))
    assert [told.bill_id for told in taken(waiting, 3)] == ["bill-2", "bill-3", "bill-4"]
