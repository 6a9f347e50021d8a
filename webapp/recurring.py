"""Lines of an earlier bill that are charged again on a new one."""

from __future__ import annotations

from collections.abc import Sequence

from billing.bill import Bill, LineItem, LineItemDraft
from billing.errors import InvalidArgument, LineItemNotFound, UnsupportedCurrency
from billing.identifiers import parse_id
from billing.ledger import charged_lines, line_items, reads
from billing.ledger.charged_lines import ChargedLines
from billing.ledger.line_items import Entry
from billing.origin import Origin
from webapp import commands
from webapp.system import System

MOST_LINES = 100


def lines_of(system: System, source: Bill) -> ChargedLines:
    """The newest lines that were not taken back."""
    return charged_lines.read(system.engine, source.id, newest=MOST_LINES)


def entries(system: System, source: Bill | None, chosen: Sequence[str], key: str) -> list[Entry]:
    """What to add, each under a key of its own, so that adding them again adds nothing.

    Raises LineItemNotFound for a line that isn't on the source, InvalidArgument for one that can't be charged now.
    """
    if source is None or not chosen:
        return []
    if len(chosen) > MOST_LINES:
        raise InvalidArgument(f"no more than {MOST_LINES} lines can be copied at once")
    ids = {parse_id(text, LineItemNotFound) for text in chosen}
    found = reads.line_items_by_id(system.engine, source.id, list(ids))
    if len(found) != len(ids):
        raise LineItemNotFound
    return [line_items.entry(_draft(system, item), f"{key}/{item.id}") for item in found]


def _draft(system: System, item: LineItem) -> LineItemDraft:
    values = (item.description, item.quantity, item.unit_price, item.currency)
    try:
        return LineItemDraft.parse(*values, offered=system.supported_currencies)
    except UnsupportedCurrency:
        raise InvalidArgument(f"{item.currency} is not offered any more: leave out “{item.description}”") from None


def copy(system: System, origin: Origin, bill: Bill, wanted: Sequence[Entry]) -> int:
    """How many lines are on the bill now, by this call or an earlier one with the same key."""
    if not wanted:
        return 0
    accepted = commands.add_line_items(system, origin, bill.id, wanted)
    return sum(outcome.item is not None for outcome in accepted.outcomes)
