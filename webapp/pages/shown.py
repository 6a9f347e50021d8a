"""What the bill's templates are given: everything computed, nothing left for a template to work out."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from billing.bill import Bill, LineItem
from billing.ledger import bill_lines, following, timeline
from billing.ledger.events import Event
from billing.ledger.following import Additions
from billing.ledger.timeline import Place
from billing.money import Payable
from billing.origin import Actor
from billing.rates import Conversion, Leg
from webapp import queries
from webapp.live.seen import closes_in, seen
from webapp.rates import RatesInUse
from webapp.system import System

ITEMS_SHOWN = 50
LONGEST_SEARCH = 100
EVENTS_SHOWN = 8


@dataclass(frozen=True, slots=True)
class ShownItem:
    """A line item with the one that took it back, if any. `fresh`: it has just arrived."""

    item: LineItem
    reversal: LineItem | None
    author: Actor | None
    fresh: bool = False

    @property
    def is_reversal(self) -> bool:
        return self.item.reverses is not None

    @property
    def is_reversible(self) -> bool:
        return self.reversal is None and not self.is_reversal


@dataclass(frozen=True, slots=True)
class OpenedBill:
    """A bill with the lines and events of a page that opens, newest first each. `links` as `ShownBill` has them."""

    bill: Bill
    items: Sequence[ShownItem]
    events: Sequence[Event]
    older_events: Place | None
    links: int | None


@dataclass(frozen=True, slots=True)
class ShownSearch:
    """Lines that have the words of `text`. `older`: the position before which to go on, if there may be more."""

    text: str
    items: Sequence[ShownItem] = ()
    older: int | None = None


@dataclass(frozen=True, slots=True)
class TotalsLine:
    """One currency: what accrued, what is payable, and that payable in the currency of the whole."""

    payable: Payable
    leg: Leg | None


@dataclass(frozen=True, slots=True)
class ShownTotals:
    bill: Bill
    rates: RatesInUse
    conversion: Conversion
    lines: tuple[TotalsLine, ...]

    @property
    def needs_rates(self) -> bool:
        """Whether the figure of the whole depends on any rate."""
        return bool(set(self.bill.currencies) - {self.conversion.to.code})


@dataclass(frozen=True, slots=True)
class ShownBill:
    """`seen` stands for everything on an open page that may change by itself, but for items and events. `links`: how
    many of the bill's events are of its links."""

    bill: Bill
    totals: ShownTotals
    now: datetime
    links: int

    @property
    def is_accruing(self) -> bool:
        return self.bill.is_open and self.now < self.bill.period.end

    @property
    def closes_in(self) -> str | None:
        """None once the end has passed."""
        return closes_in(self.bill.status, self.bill.period.end, self.now)

    @property
    def elapsed_percent(self) -> int:
        period = self.bill.period
        share = (self.now - period.start) / (period.end - period.start)
        return min(100, max(0, int(share * 100)))

    @property
    def seen(self) -> str:
        return seen(self.bill.version, self.links, self.totals.rates, self.closes_in, self.totals.conversion.to.code)


def shown_bill(system: System, bill: Bill, currency: str | None, *, links: int | None = None) -> ShownBill:
    """`links`, if that is known. Raises UnsupportedCurrency for one that is neither offered nor on the bill."""
    totals = shown_totals(system, bill, currency)
    links = timeline.links_count(system.engine, bill.id) if links is None else links
    return ShownBill(bill, totals, bill.by_its_clock(queries.current_rates(system).as_of), links)


def shown_totals(system: System, bill: Bill, currency: str | None) -> ShownTotals:
    wanted = queries.wanted_currency(system, bill, currency or None) or usual_currency(system, bill)
    rates, conversion = queries.in_currency(system, bill, wanted)
    legs = {leg.payable.currency.code: leg for leg in conversion.legs}
    lines = tuple(TotalsLine(payable, legs.get(payable.currency.code)) for payable in bill.payables)
    return ShownTotals(bill, rates, conversion, lines)


def usual_currency(system: System, bill: Bill) -> str:
    """In which a bill is shown when nobody asks for another: its only currency, else the first offered."""
    return bill.currencies[0] if len(bill.currencies) == 1 else system.supported_currencies[0]


def offered_currencies(system: System, bill: Bill) -> Sequence[str]:
    """In which the whole bill can be shown: the bill's own first."""
    return tuple(dict.fromkeys((*bill.currencies, *system.supported_currencies)))


def shown_items(system: System, items: Sequence[LineItem], *, fresh_after: int | None = None) -> list[ShownItem]:
    """Newest first. Those after the position `fresh_after` are marked as just arrived."""
    reversals, authors = queries.reversals(system, items), bill_lines.authors(system.engine, items)
    return _shown(reversed(items), reversals, authors, fresh_after)


def _shown(
    newest_first: Iterable[LineItem],
    reversals: Mapping[UUID, LineItem],
    authors: Mapping[int, Actor],
    fresh_after: int | None,
) -> list[ShownItem]:
    return [
        ShownItem(
            item,
            reversals.get(item.id),
            authors.get(item.added_in_version),
            fresh=fresh_after is not None and item.position > fresh_after,
        )
        for item in newest_first
    ]


def opened(system: System, bill_id: UUID, *, before: int | None = None, fresh_after: int | None = None) -> OpenedBill:
    """With the newest lines, or those before a position. Raises BillNotFound.

    A page that opens lacks everything: its newest is read as what an open page lacks, in one round trip.
    """
    if before is not None:
        bill, items = queries.bill_with_items(system, bill_id, limit=ITEMS_SHOWN, before=before)
        shown = shown_items(system, items, fresh_after=fresh_after)
        return OpenedBill(bill, shown, *shown_events(system, bill), links=None)
    found = following.additions(system.engine, bill_id, items=0, version=0, most=ITEMS_SHOWN)
    # Closed, nothing of it changes any more; what is payable for good stands beside it.
    bill = queries.bill(system, bill_id) if found.bill.is_closed else found.bill
    return OpenedBill(
        bill,
        shown_additions(system, found, fresh_after=fresh_after),
        *_newest_events(system, bill, found),
        links=found.links,
    )


def _newest_events(system: System, bill: Bill, found: Additions) -> tuple[Sequence[Event], Place | None]:
    """As `shown_events`, of which those of the bill alone were read."""
    skipped = max(0, found.links - EVENTS_SHOWN - 1)
    limit = found.links - skipped
    of_links = timeline.of_links(system.engine, bill.id, after=skipped, limit=limit) if limit else ()
    both = timeline.merged(found.events, of_links)
    shown = both[:EVENTS_SHOWN]
    own = sum(event.subject_id == bill.id for event in shown)
    version = found.events[own].version + 1 if own < len(found.events) else 1
    older = Place(version, found.links - (len(shown) - own))
    return shown, older if len(both) > EVENTS_SHOWN else None


def shown_additions(system: System, found: Additions, *, fresh_after: int | None = None) -> list[ShownItem]:
    """The newest lines of a bill, of which none was taken back by one that isn't among them: it would be newer."""
    reversals = {item.reverses: item for item in found.items if item.reverses is not None}
    authors = found.authors
    of_older_events = [item for item in found.items if item.added_in_version not in authors]
    authors = {**authors, **bill_lines.authors(system.engine, of_older_events)}
    return _shown(found.items, reversals, authors, fresh_after)


def shown_search(system: System, bill_id: UUID, text: str, *, before: int | None = None) -> ShownSearch:
    """Without words, nothing is searched for. What PostgreSQL can't store is found nowhere."""
    text = text.replace("\0", "\N{REPLACEMENT CHARACTER}").strip()[:LONGEST_SEARCH]
    if not text:
        return ShownSearch("")
    found = bill_lines.search(system.engine, bill_id, text, limit=ITEMS_SHOWN, before=before)
    return ShownSearch(text, shown_items(system, found.items[::-1]), found.older)


def reversed_items(system: System, bill_id: UUID, reversing: Sequence[LineItem]) -> list[ShownItem]:
    """The items that these took back, as they look from now on."""
    taken_back = [queries.line_item(system, bill_id, item.reverses) for item in reversing if item.reverses is not None]
    return shown_items(system, taken_back)


def shown_events(system: System, bill: Bill, *, before: Place | None = None) -> tuple[Sequence[Event], Place | None]:
    """Newest first, none of the bill newer than this; and where to go on for older ones, if there are any."""
    newest = Place(bill.version + 1, None)
    before = Place(min(before.version, newest.version), before.links) if before else newest
    found = timeline.read(system.engine, bill.id, before=before, limit=EVENTS_SHOWN)
    return found.events, found.older
