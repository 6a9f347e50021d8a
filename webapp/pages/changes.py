"""What changed on a bill since a page was rendered: the fragments that bring the page up to date.

An open page hears it from its stream (webapp/pages/streams.py), or asks every second without one; every answer to a
change made on the page brings the same, so that there is one way in which a page follows its bill.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from flask import Response, request
from flask.typing import ResponseReturnValue

from billing.bill import Bill, LineItem
from billing.ledger import following, timeline
from billing.ledger.events import Event
from billing.ledger.following import Additions
from billing.ledger.timeline import Place
from webapp import queries
from webapp.identity.access import allow, asked_by_itself
from webapp.identity.roles import Role
from webapp.live.seen import seen_of
from webapp.pages.blueprint import pages
from webapp.pages.ids import parse_bill_id
from webapp.pages.inputs import position
from webapp.pages.rendering import render
from webapp.pages.shown import (
    EVENTS_SHOWN,
    ITEMS_SHOWN,
    ShownBill,
    reversed_items,
    shown_additions,
    shown_bill,
    shown_events,
    shown_items,
)
from webapp.system import System, system


@dataclass(frozen=True, slots=True)
class PageState:
    """What the asking page shows: items from `oldest` to `newest`, events up to `version`, and so many of `links`.
    `told`: how many changes its stream told it of, which another process may have heard of later."""

    seen: str
    newest: int
    oldest: int
    version: int
    links: int
    told: int
    currency: str | None

    @classmethod
    def of_request(cls) -> PageState:
        values = request.values
        return cls(
            values.get("seen", ""),
            position(values, "newest") or 0,
            position(values, "oldest") or 0,
            position(values, "version") or 0,
            position(values, "links") or 0,
            position(values, "told") or 0,
            values.get("shown_currency") or None,
        )


@pages.get("/bills/<bill_id>/changes")
@allow(Role.VIEWER)
@asked_by_itself
def show_changes(bill_id: str) -> ResponseReturnValue:
    state, bill_uuid = PageState.of_request(), parse_bill_id(bill_id)
    if _is_seen(system(), bill_uuid, state):
        return Response(status=204)
    return render("bills/changes.html", **changes_since(system(), bill_uuid, state))


def _is_seen(system: System, bill_id: UUID, state: PageState) -> bool:
    """Asked once a second for each open page: costs one small query, or none where a stream of the bill is open."""
    standing = system.live.standing(bill_id, at_least=max(state.version + state.links, state.told))
    return state.seen == seen_of(standing, queries.current_rates(system), state.currency or "")


def changes_since(system: System, bill_id: UUID, state: PageState) -> dict[str, Any]:
    """For `bills/changes.html` and `line_items/added.html`: the page has all of it after the swap, nothing twice.

    Mostly lines were added and nothing else, which is read in one round trip. Raises BillNotFound.
    """
    found = following.additions(system.engine, bill_id, items=state.newest, version=state.version, most=ITEMS_SHOWN)
    if found.is_all and found.links == state.links:
        return changes_of_additions(system, found, state)
    return changes(system, queries.bill(system, bill_id), state)


def changes(system: System, bill: Bill, state: PageState) -> dict[str, Any]:
    """The same, where more may have happened than that."""
    items, items_swap = _new_items(system, bill, state)
    # Before the events: of links made in between the page hears twice, and its script keeps one.
    shown = shown_bill(system, bill, state.currency)
    events, older_events, events_swap = _new_events(system, shown, state)
    on_page = [item for item in items if item.reverses is not None] if items_swap == "afterbegin" else []
    return {
        "shown": shown,
        "new_items": shown_items(system, items, fresh_after=state.newest),
        "items_swap": items_swap,
        "taken_back": _on_page(reversed_items(system, bill.id, on_page), state),
        "new_events": events,
        "older_events": older_events,
        "events_swap": events_swap,
    }


def changes_of_additions(system: System, found: Additions, state: PageState) -> dict[str, Any]:
    """The same, where nothing was taken back and nothing shared."""
    bill = found.bill
    lacks_more = bill.item_count - state.newest > ITEMS_SHOWN
    many_events = bill.version - state.version > EVENTS_SHOWN
    shown = shown_bill(system, bill, state.currency, links=found.links)
    events, older = shown_events(system, bill) if many_events else (found.events, None)
    return {
        "shown": shown,
        "new_items": shown_additions(system, found, fresh_after=state.newest),
        "items_swap": "innerHTML" if lacks_more else "afterbegin",
        "taken_back": [],
        "new_events": events,
        "older_events": older,
        "events_swap": "innerHTML" if many_events else "afterbegin",
    }


def _new_items(system: System, bill: Bill, state: PageState) -> tuple[Sequence[LineItem], str]:
    """Those that the page lacks; all that a page shows, in their stead, when it lacks more than that."""
    if bill.item_count - state.newest > ITEMS_SHOWN:
        _, newest = queries.bill_with_items(system, bill.id, limit=ITEMS_SHOWN, before=bill.item_count + 1)
        return newest, "innerHTML"
    if bill.item_count <= state.newest:
        return (), "afterbegin"
    found = queries.line_items(system, bill.id, after=state.newest, limit=bill.item_count - state.newest)
    return found, "afterbegin"


def _new_events(system: System, shown: ShownBill, state: PageState) -> tuple[Sequence[Event], Place | None, str]:
    """Newest first, as the page has them; and where older ones go on, when they come in the stead of all."""
    bill = shown.bill
    of_bill, of_links = max(0, bill.version - state.version), max(0, shown.links - state.links)
    if of_bill + of_links > EVENTS_SHOWN:
        return *shown_events(system, bill), "innerHTML"
    own: Sequence[Event] = ()
    if of_bill:
        own = queries.bill_events(system, bill.id, after_version=state.version, limit=of_bill)[::-1]
    links = timeline.of_links(system.engine, bill.id, after=state.links, limit=of_links) if of_links else ()
    return timeline.merged(own, links), None, "afterbegin"


def _on_page(items: Sequence[Any], state: PageState) -> list[Any]:
    """New ones come with their marks; of the others only those that the page shows are swapped."""
    return [shown for shown in items if state.oldest <= shown.item.position <= state.newest]
