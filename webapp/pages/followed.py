"""What staff's open pages show of a bill, for its stream: rendered once for all that show the same."""

from __future__ import annotations

from dataclasses import dataclass, field
from uuid import UUID

from billing.ledger import following
from billing.ledger.following import Additions
from billing.ledger.standings import Standing
from webapp import queries
from webapp.live.seen import seen_of
from webapp.live.views import Memo, News, Shown, pieces_of
from webapp.pages.changes import PageState, changes, changes_of_additions
from webapp.pages.shown import ITEMS_SHOWN, usual_currency
from webapp.system import System


@dataclass(frozen=True, slots=True)
class StaffView:
    """`may_operate`: whether it offers what operators may do."""

    bill_id: UUID
    currency: str
    may_operate: bool
    system: System = field(compare=False, repr=False)

    def shown(self, standing: Standing) -> Shown:
        seen = seen_of(standing, queries.current_rates(self.system), self.currency)
        return Shown(seen, standing.version, standing.links, standing.items)

    def news(self, since: Shown, read: Memo) -> News:
        """As `bills/changes.html` for a page that shows every line."""
        state = PageState(since.seen, since.items, 0, since.version, since.links, 0, self.currency)
        found = additions(self.system, self.bill_id, since, read)
        if found is None:
            given = changes(self.system, queries.bill(self.system, self.bill_id), state)
        else:
            given = changes_of_additions(self.system, found, state)
        shown = given["shown"]
        rendered = self.system.rendered("bills/changes.html", may_operate=self.may_operate, caller=None, **given)
        return News(Shown(shown.seen, shown.bill.version, shown.links, shown.bill.item_count), pieces_of(rendered))


def followed_currency(system: System, bill_id: UUID, code: str | None) -> str:
    """The one that the page shows; of a page that doesn't say so, or not rightly, the usual one. Raises
    BillNotFound."""
    if code in system.supported_currencies:
        return code
    bill = queries.bill(system, bill_id)
    return code if code in bill.currencies else usual_currency(system, bill)


def additions(system: System, bill_id: UUID, since: Shown, read: Memo) -> Additions | None:
    """Read once for all views of a bill whose pages lack the same. None when more happened than that."""
    key = (bill_id, since.items, since.version)
    if key not in read:
        read[key] = following.additions(
            system.engine, bill_id, items=since.items, version=since.version, most=ITEMS_SHOWN
        )
    found: Additions = read[key]
    return found if found.is_all and found.links == since.links else None
