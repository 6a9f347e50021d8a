"""A reader of the whole log misses nothing, whoever writes beside it and however long they take."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from uuid import UUID

from sqlalchemy import Engine, text

from billing.ledger import bills, events, line_items
from billing.ledger.database import transaction
from billing.origin import Origin
from tests.support.ledger import OpenBill, draft


def read_on(engine: Engine, after: events.LogPosition) -> list[events.Event]:
    return list(events.read_log(engine, after, limit=37))


def test_beside_sixteen_writers_every_event_appears_once(engine: Engine, origin: Origin, open_bill: OpenBill) -> None:
    opened = [open_bill().id for _ in range(16)]
    seen: list[tuple[UUID, int]] = []
    done = threading.Event()

    def read() -> None:
        position = events.LogPosition()
        while True:
            finished = done.is_set()
            page = read_on(engine, position)
            seen.extend((event.subject_id, event.version) for event in page)
            position = page[-1].position if page else position
            if finished and not page:
                return

    def write(n: int) -> None:
        for _ in range(40):
            line_items.add(engine, origin, opened[n], draft())
            with transaction(engine) as connection:
                # A transaction that takes long over its commit: its number is old when it appears.
                bills.locked(connection, opened[n])
                connection.execute(text("SELECT pg_sleep(0.002)"))

    reader = threading.Thread(target=read)
    reader.start()
    with ThreadPoolExecutor(16) as pool:
        list(pool.map(write, range(16)))
    done.set()
    reader.join(120)
    assert not reader.is_alive()
    assert len(seen) == len(set(seen))
    assert {key for key in seen if key[0] in opened} == {(bill, version) for bill in opened for version in range(1, 42)}


def test_an_event_is_not_passed_over_by_younger_ones(engine: Engine, origin: Origin, open_bill: OpenBill) -> None:
    """While an older transaction runs, younger events wait for it rather than make the reader miss it."""
    slow, quick = open_bill(), open_bill()
    position = events.LogPosition()
    while page := read_on(engine, position):
        position = page[-1].position
    with transaction(engine) as connection:
        instant = connection.execute(text("SELECT billing_now()")).scalar_one()
        events.append(connection, origin, "test", ("bill", slow.id), 2, instant)
        line_items.add(engine, origin, quick.id, draft())
        assert read_on(engine, position) == []
    found = [(event.subject_id, event.version) for event in read_on(engine, position)]
    assert found == [(slow.id, 2), (quick.id, 2)]
