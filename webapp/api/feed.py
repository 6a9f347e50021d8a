"""Every public event of every bill, customer and rate, in the order of the log."""

from __future__ import annotations

import time
from collections.abc import Collection

from flask import Response

from billing.ledger import feed
from billing.ledger.events import LogPosition
from billing.ledger.feed import Page
from webapp.api import render
from webapp.api.blueprint import api
from webapp.api.contract.answers import PUBLIC_EVENT, Answer, data
from webapp.api.contract.fields import LIMIT, OF_TYPES, POSITION, WAIT
from webapp.api.contract.operation import operation
from webapp.api.contract.schemas import BOOLEAN, array, text
from webapp.api.parameters import limit, parameters, whole
from webapp.identity.access import admit_again, allow
from webapp.identity.caller import account_id
from webapp.identity.scopes import Scope
from webapp.system import System, system

A_PAGE = Answer(
    "Events, in the order of the log.",
    data(
        array(PUBLIC_EVENT),
        next_after=text("Where to go on, also when there is nothing yet.", examples=[feed.written(0, feed.BEGINNING)]),
        has_more={**BOOLEAN, "description": "Whether another page is there already."},
    ),
)


@api.get("/events")
@allow(Scope.EVENTS_READ)
@operation(
    "List the events of all bills, customers and rates", query=(POSITION, LIMIT, WAIT, OF_TYPES), answers={200: A_PAGE}
)
def list_all_events() -> Response:
    """Those after a position; `next_after` is where to go on, always. With `wait` an answer that would be empty comes
    as soon as there is an event, or after so many seconds; at once where too many wait already."""
    asked = parameters()
    epoch, after = feed.parse(asked.get("after"))
    types, size, wait_s = feed.parse_types(asked.get("type")), limit(asked), whole(asked, WAIT)
    page = feed.page(system().engine, epoch, after, types, limit=size)
    if wait_s and not page.events:
        page = _awaited(system(), page, types, size, until_s=time.monotonic() + wait_s)
    texts = (render.to_json(event) for event in page.events)
    return render.answer(
        {
            "data": render.array(texts),
            "next_after": render.to_json(page.next_after),
            "has_more": render.to_json(page.has_more),
        }
    )


def _awaited(system: System, page: Page, types: Collection[str], size: int, *, until_s: float) -> Page:
    def next_page(after: LogPosition) -> Page:
        return feed.page(system.engine, page.epoch, after, types, limit=size)

    with system.log_watch.place(account_id()) as has_place:
        if not has_place:
            return page
        while not page.events and (page.has_more or system.log_watch.wait_beyond(page.reached, until_s)):
            page = next_page(page.reached)
            if time.monotonic() >= until_s:
                break
    # A key may have been revoked meanwhile.
    admit_again()
    return page
