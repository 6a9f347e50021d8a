"""One thread looks for all that watch, and only while somebody does."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Collection, Mapping
from datetime import UTC, datetime
from uuid import UUID, uuid4

import pytest

from billing.errors import BillNotFound, Unavailable
from billing.ledger.standings import Standing
from webapp.live.hub import Hub, TooManyStreams

SOON_S = 2.0


class Bills:
    """What there is to read, and how often it was read."""

    def __init__(self) -> None:
        self.versions: dict[UUID, int] = {}
        self.reads: list[set[UUID]] = []
        self.fails = False

    def new(self) -> UUID:
        bill_id = uuid4()
        self.versions[bill_id] = 1
        return bill_id

    def read(self, bill_ids: Collection[UUID]) -> Mapping[UUID, Standing]:
        self.reads.append(set(bill_ids))
        if self.fails:
            raise Unavailable
        known = {bill_id: self.versions[bill_id] for bill_id in bill_ids if bill_id in self.versions}
        return {bill_id: Standing(version, "open", datetime.now(UTC), None, 0) for bill_id, version in known.items()}


@pytest.fixture
def bills() -> Bills:
    return Bills()


@pytest.fixture
def hub(bills: Bills) -> Hub:
    return Hub(bills.read, most=8)


def until(true: Callable[[], bool]) -> None:
    deadline_s = time.monotonic() + SOON_S
    while not true():
        assert time.monotonic() < deadline_s
        time.sleep(0.02)


def readers() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == "live"]


def test_the_thread_comes_with_the_first_that_watches_and_goes_with_the_last(hub: Hub, bills: Bills):
    assert readers() == []
    first, second = (hub.watch(bills.new(), viewer="a", per_viewer=2) for _ in range(2))
    assert len(readers()) == 1
    first.end()
    time.sleep(0.6)
    assert len(readers()) == 1
    second.end()
    until(lambda: readers() == [])
    third = hub.watch(bills.new(), viewer="a", per_viewer=2)
    assert third.next(SOON_S) is not None
    third.end()
    until(lambda: readers() == [])


def test_all_bills_are_read_at_once_a_few_times_a_second(hub: Hub, bills: Bills):
    watched = {bills.new() for _ in range(5)}
    watches = [hub.watch(bill_id, viewer="a", per_viewer=5) for bill_id in watched]
    until(lambda: watched in bills.reads)
    del bills.reads[:]
    time.sleep(1.0)
    assert 2 <= len(bills.reads) <= 5
    assert all(read == watched for read in bills.reads)
    for watch in watches:
        watch.end()


def test_many_changes_between_two_looks_are_told_as_one(hub: Hub, bills: Bills):
    bill_id = bills.new()
    watch = hub.watch(bill_id, viewer="a", per_viewer=1)
    assert watch.next(SOON_S).version == 1
    bills.versions[bill_id] = 40
    assert watch.next(SOON_S).version == 40
    assert watch.next(0.6) is None
    watch.end()


def test_a_failure_ends_every_stream_so_that_no_page_is_live_without_cause(hub: Hub, bills: Bills):
    watches = [hub.watch(bills.new(), viewer="a", per_viewer=3) for _ in range(3)]
    assert all(watch.next(SOON_S) for watch in watches)
    bills.fails = True
    until(lambda: all(watch.ended for watch in watches))
    assert hub.count() == 0
    bills.fails = False
    again = hub.watch(bills.new(), viewer="a", per_viewer=3)
    assert again.next(SOON_S) is not None
    again.end()


def test_when_the_server_stops_streams_end_and_none_begins(hub: Hub, bills: Bills):
    watch = hub.watch(bills.new(), viewer="a", per_viewer=2)
    hub.stop_when(lambda: True)
    until(lambda: watch.ended)
    with pytest.raises(TooManyStreams):
        hub.watch(bills.new(), viewer="a", per_viewer=2)


def test_places_are_counted_exactly_however_many_come_at_once(hub: Hub, bills: Bills):
    bill_id, start, got = bills.new(), threading.Barrier(40), []

    def come(n: int) -> None:
        start.wait()
        try:
            got.append(hub.watch(bill_id, viewer=str(n % 20), per_viewer=1))
        except TooManyStreams:
            got.append(None)

    threads = [threading.Thread(target=come, args=(n,)) for n in range(40)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    watches = [watch for watch in got if watch]
    assert len(watches) == len({watch.viewer for watch in watches}) == 8
    for watch in watches:
        watch.end()
        watch.end()
    assert hub.count() == 0


def test_who_asks_about_a_watched_bill_costs_nothing_unless_they_know_better(hub: Hub, bills: Bills):
    bill_id = bills.new()
    watch = hub.watch(bill_id, viewer="a", per_viewer=1)
    assert watch.next(SOON_S) is not None
    alone = [{bill_id}]
    bills.reads = []
    assert hub.standing(bill_id).version == 1
    assert len(bills.reads) <= 1
    bills.versions[bill_id] = 2
    assert hub.standing(bill_id, at_least=2).version == 2
    assert bills.reads[-1:] == alone
    watch.end()


def test_of_a_bill_that_nobody_watches_the_database_is_asked(hub: Hub, bills: Bills):
    bill_id = bills.new()
    assert hub.standing(bill_id).version == 1
    bills.versions[bill_id] = 2
    assert hub.standing(bill_id).version == 2
    assert len(bills.reads) == 2
    with pytest.raises(BillNotFound):
        hub.standing(uuid4())
