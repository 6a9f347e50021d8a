"""One thread looks and speaks for all that watch, and only while somebody does."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from uuid import UUID, uuid4

import pytest

from billing.errors import BillNotFound, Unavailable
from billing.ledger.standings import Standing
from webapp.live.bell import Neighbours
from webapp.live.hub import Hub, TooManyStreams
from webapp.live.outlets import MOST_WAITING_BYTES, Listening
from webapp.live.views import News, Shown
from webapp.live.watches import Link, Viewer, Watch

SOON_S = 10.0


@dataclass(frozen=True)
class Plain:
    """A view that shows the version alone."""

    bill_id: UUID

    def shown(self, standing: Standing) -> Shown:
        return Shown(f"v{standing.version}", standing.version, 0, 0)

    def news(self, since: Shown, read: dict) -> News:
        version = since.version + 1
        return News(Shown(f"v{version}", version, 0, 0), ["<template>news</template>", "<template>same</template>"])


class Bills:
    """What there is to read, how often it was read, and who may go on watching."""

    def __init__(self) -> None:
        self.versions: dict[UUID, int] = {}
        self.reads: list[set[UUID]] = []
        self.fails = False
        self.refused: set[Viewer] = set()

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

    def admit(self, viewers: Collection[Viewer]) -> Collection[Viewer]:
        return set(viewers) - self.refused


@pytest.fixture
def bills() -> Bills:
    return Bills()


@pytest.fixture
def hub(bills: Bills) -> Hub:
    return Hub(bills.read, bills.admit, most=8, most_threads=8)


VIEWERS: dict[str, Viewer] = {}


def viewer(name: str) -> Viewer:
    return VIEWERS.setdefault(name, Link(uuid4()))


def watched(hub: Hub, bill_id: UUID, name: str = "a", *, per_viewer: int = 8) -> tuple[Watch, Listening]:
    watch, outlet = (
        hub.watch(Plain(bill_id), viewer=viewer(name), per_viewer=per_viewer, holds_thread=True),
        Listening(),
    )
    hub.listen(watch, outlet)
    return watch, outlet


def heard(outlet: Listening) -> str:
    """What is said next, but for heartbeats that repeat it; empty once nothing more will be."""
    words = outlet.heard(SOON_S)
    assert words != b"", "nothing was said"
    return (words or b"").decode()


def until(true: Callable[[], bool]) -> None:
    deadline_s = time.monotonic() + SOON_S
    while not true():
        assert time.monotonic() < deadline_s
        time.sleep(0.02)


def readers() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == "live"]


def test_the_thread_comes_with_the_first_that_watches_and_goes_with_the_last(hub: Hub, bills: Bills):
    until(lambda: readers() == [])
    (first, _), (second, still) = (watched(hub, bills.new()) for _ in range(2))
    assert len(readers()) == 1
    hub.end(first)
    assert '"seen":"v1"' in heard(still)
    assert len(readers()) == 1
    hub.end(second)
    until(lambda: readers() == [])
    third, outlet = watched(hub, bills.new())
    assert '"seen":"v1"' in heard(outlet)
    hub.end(third)
    until(lambda: readers() == [])


def test_all_bills_are_read_at_once(hub: Hub, bills: Bills):
    wanted = {bills.new() for _ in range(5)}
    watches = [watched(hub, bill_id)[0] for bill_id in wanted]
    until(lambda: wanted in bills.reads)
    del bills.reads[:]
    until(lambda: len(bills.reads) > 2)
    assert all(read == wanted for read in bills.reads)
    for watch in watches:
        hub.end(watch)


def test_a_page_is_greeted_with_how_the_bill_stands_and_told_from_what_to_what_it_changed(hub: Hub, bills: Bills):
    bill_id = bills.new()
    watch, outlet = watched(hub, bill_id)
    assert heard(outlet) == 'event: alive\ndata: {"seen":"v1","version":1,"told":1}\n\n'
    bills.versions[bill_id] = 2
    assert heard(outlet) == (
        'event: news\ndata: {"seen":"v2","version":2,"told":2,"from":"v1",'
        '"html":"<template>news</template><template>same</template>"}\n\n'
    )
    hub.end(watch)


def test_pages_that_show_the_same_hear_the_same_words(hub: Hub, bills: Bills):
    bill_id = bills.new()
    all_ = [watched(hub, bill_id, str(n)) for n in range(5)]
    assert len({heard(outlet) for _, outlet in all_}) == 1
    bills.versions[bill_id] = 2
    assert len({heard(outlet) for _, outlet in all_}) == 1
    for watch, _ in all_:
        hub.end(watch)


def test_a_piece_that_is_as_it_was_is_not_sent_again(hub: Hub, bills: Bills):
    bill_id = bills.new()
    watch, outlet = watched(hub, bill_id)
    heard(outlet)
    bills.versions[bill_id] = 2
    heard(outlet)
    bills.versions[bill_id] = 3
    assert '"html":""' in heard(outlet)
    hub.end(watch)


def test_a_failure_ends_every_stream_so_that_no_page_is_live_without_cause(hub: Hub, bills: Bills):
    outlets = [watched(hub, bills.new())[1] for _ in range(3)]
    assert all(heard(outlet) for outlet in outlets)
    bills.fails = True
    assert [heard(outlet) for outlet in outlets] == [""] * 3
    assert hub.count() == 0
    bills.fails = False
    watch, outlet = watched(hub, bills.new())
    assert heard(outlet)
    hub.end(watch)


def test_a_page_that_cannot_be_rendered_asks_for_itself_and_ends_no_other_stream(hub: Hub, bills: Bills):
    class Broken(Plain):
        def news(self, since: Shown, read: dict) -> News:
            raise ZeroDivisionError

    bill_id = bills.new()
    (first, well), broken = (
        watched(hub, bill_id),
        hub.watch(Broken(bill_id), viewer=viewer("b"), per_viewer=8, holds_thread=True),
    )
    outlet = Listening()
    hub.listen(broken, outlet)
    assert heard(well)
    assert heard(outlet)
    bills.versions[bill_id] = 2
    assert '"within":' in heard(outlet)
    assert '"html":' in heard(well)
    for watch in (first, broken):
        hub.end(watch)


def test_without_a_thread_to_be_had_no_place_is_taken(hub: Hub, bills: Bills, monkeypatch):
    def start(thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    bill_id = bills.new()
    with monkeypatch.context() as full:
        full.setattr(threading.Thread, "start", start)
        with pytest.raises(RuntimeError):
            watched(hub, bill_id)
    assert hub.count() == 0
    watch, outlet = watched(hub, bill_id)
    assert heard(outlet)
    hub.end(watch)


def test_who_comes_as_the_thread_fails_has_nothing_to_do_with_those_that_it_left(hub: Hub, bills: Bills, monkeypatch):
    left, outlet = watched(hub, bills.new())
    heard(outlet)
    failed, came = hub.failed, []

    def fail(speaker) -> list[Watch]:
        found = failed(speaker)
        bills.fails = False
        came.append(watched(hub, bills.new(), "b"))
        assert hub.watches() == [came[0][0]]
        return found

    monkeypatch.setattr(hub, "failed", fail)
    bills.fails = True
    assert heard(outlet) == ""
    ((watch, next_outlet),) = came
    assert heard(next_outlet)
    assert (left in hub.watches(), watch in hub.watches()) == (False, True)
    hub.end(watch)


def test_once_it_is_closed_nothing_is_read_any_more(hub: Hub, bills: Bills, monkeypatch):
    began, read = threading.Event(), bills.read

    def read_slowly(bill_ids: Collection[UUID]) -> Mapping[UUID, Standing]:
        began.set()
        time.sleep(0.3)
        return read(bill_ids)

    monkeypatch.setattr(hub, "read", read_slowly)
    _, outlet = watched(hub, bills.new())
    assert began.wait(SOON_S)
    hub.close()
    assert readers() == []
    assert hub.count() == 0
    assert heard(outlet) in {"", 'event: alive\ndata: {"seen":"v1","version":1,"told":1}\n\n'}


def test_the_holder_of_a_revoked_link_hears_nothing_that_came_after(hub: Hub, bills: Bills, monkeypatch):
    bill_id = bills.new()
    (_, gone), (stays, still) = watched(hub, bill_id, "revoked"), watched(hub, bill_id, "stays")
    heard(gone), heard(still)
    read = bills.read

    def with_links(bill_ids: Collection[UUID]) -> Mapping[UUID, Standing]:
        return {one: replace(standing, links=1) for one, standing in read(bill_ids).items()}

    bills.refused = {viewer("revoked")}
    bills.versions[bill_id] = 2
    monkeypatch.setattr(hub, "read", with_links)
    assert '"version":2' in heard(still)
    assert heard(gone) == ""
    hub.end(stays)


def test_a_thread_that_passes_nothing_on_is_given_up_before_much_waits_for_it():
    outlet = Listening()
    outlet.say(b"x" * MOST_WAITING_BYTES)
    assert not outlet.is_over
    assert outlet.heard(0) == b"x" * MOST_WAITING_BYTES
    outlet.say(b"x" * MOST_WAITING_BYTES)
    assert not outlet.is_over
    outlet.say(b"x")
    assert outlet.is_over


def test_when_the_server_stops_streams_end_and_none_begins(hub: Hub, bills: Bills):
    _, outlet = watched(hub, bills.new())
    heard(outlet)
    hub.stop_when(lambda: True)
    assert heard(outlet) == ""
    with pytest.raises(TooManyStreams):
        watched(hub, bills.new())


def test_who_may_no_longer_watch_is_found_by_one_question_for_all(hub: Hub, bills: Bills, monkeypatch):
    monkeypatch.setattr("webapp.live.speaker.ADMIT_EVERY_S", 0.1)
    asked = []
    monkeypatch.setattr(hub, "admit", lambda viewers: asked.append(viewers) or bills.admit(viewers))
    bill_id = bills.new()
    (_, gone), (stays, _) = watched(hub, bill_id, "gone"), watched(hub, bill_id, "stays")
    heard(gone)
    bills.refused = {viewer("gone")}
    assert heard(gone) == ""
    assert {viewer("gone"), viewer("stays")} in asked
    assert hub.watches() == [stays]
    hub.end(stays)


def test_places_are_counted_exactly_however_many_come_at_once(hub: Hub, bills: Bills):
    bill_id, start, got = bills.new(), threading.Barrier(40), []

    def come(n: int) -> None:
        start.wait()
        try:
            got.append(watched(hub, bill_id, str(n % 20), per_viewer=1)[0])
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
        hub.end(watch)
        hub.end(watch)
    assert hub.count() == 0


def test_streams_that_hold_a_thread_have_a_bound_of_their_own(bills: Bills):
    hub, bill_id = Hub(bills.read, bills.admit, most=8, most_threads=2), bills.new()
    view = Plain(bill_id)
    held = [hub.watch(view, viewer=viewer("a"), per_viewer=8, holds_thread=True) for _ in range(2)]
    with pytest.raises(TooManyStreams):
        hub.watch(view, viewer=viewer("a"), per_viewer=8, holds_thread=True)
    held += [hub.watch(view, viewer=viewer("a"), per_viewer=8, holds_thread=False) for _ in range(6)]
    with pytest.raises(TooManyStreams):
        hub.watch(view, viewer=viewer("b"), per_viewer=8, holds_thread=False)
    for watch in held:
        hub.end(watch)


def test_a_process_is_rung_by_its_neighbours_for_the_bills_that_it_watches_alone(bills: Bills):
    neighbours = Neighbours(2)
    here, beside = (Hub(bills.read, bills.admit, most=8, most_threads=8) for _ in range(2))
    for place, hub in enumerate((here, beside)):
        hub.live_beside(neighbours, place)
    bill_id = bills.new()
    watch, outlet = watched(here, bill_id)
    heard(outlet)
    rung = []
    here.pace.hurry = lambda: rung.append(True)  # type: ignore[method-assign]
    beside.changed(UUID(int=bill_id.int ^ 1))
    beside.changed(bill_id)
    until(lambda: rung == [True])
    here.end(watch)


def test_who_asks_about_a_watched_bill_costs_nothing_unless_they_know_better(hub: Hub, bills: Bills, monkeypatch):
    monkeypatch.setattr("webapp.live.hub.FRESH_FOR_S", 60)
    bill_id = bills.new()
    watch, outlet = watched(hub, bill_id)
    heard(outlet)
    alone = {bill_id}
    asked = threading.current_thread()
    reads, read = [], bills.read
    monkeypatch.setattr(hub, "read", lambda ids: reads.append(threading.current_thread() is asked) or read(ids))
    assert hub.standing(bill_id).version == 1
    assert True not in reads
    bills.versions[bill_id] = 2
    assert hub.standing(bill_id, at_least=2).version == 2
    assert bills.reads[-1] == alone
    hub.end(watch)


def test_of_a_bill_that_nobody_watches_the_database_is_asked(hub: Hub, bills: Bills):
    bill_id = bills.new()
    assert hub.standing(bill_id).version == 1
    bills.versions[bill_id] = 2
    assert hub.standing(bill_id).version == 2
    assert len(bills.reads) == 2
    with pytest.raises(BillNotFound):
        hub.standing(uuid4())
