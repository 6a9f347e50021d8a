"""What a customer's open page shows of a bill, for its stream: rendered once for all that show the same."""

from __future__ import annotations

from dataclasses import dataclass, field
from uuid import UUID

from billing.ledger.following import Additions
from billing.ledger.standings import Standing
from webapp.customer.showing import LINES_A_PAGE, context
from webapp.documents import document
from webapp.documents.document import Document, DocumentLine
from webapp.live.views import Memo, News, Shown, pieces_of
from webapp.pages.followed import additions
from webapp.pages.shown import shown_totals
from webapp.system import System


@dataclass(frozen=True, slots=True)
class CustomerView:
    """Lines after the position `after`. The token is in every address of the page, and nowhere else."""

    bill_id: UUID
    link_id: UUID
    token: str = field(repr=False)
    currency: str
    after: int
    system: System = field(compare=False, repr=False)

    def shown(self, standing: Standing) -> Shown:
        seen = document.seen_of(self.system, standing, self.currency)
        return Shown(seen, standing.version, standing.links, standing.items)

    def news(self, since: Shown, read: Memo) -> News:
        """As `customer/changes.html`."""
        found = additions(self.system, self.bill_id, since, read) if since.items > self.after else None
        shown = self._read(since) if found is None or self._lacks(since, found) else self._of(found)
        given = context(self.system, self.token, shown, after=self.after, known=since.items)
        rendered = self.system.rendered("customer/changes.html", **given)
        now = Shown(shown.seen, shown.bill.version, found.links if found else since.links, shown.bill.item_count)
        return News(now, pieces_of(rendered))

    def _lacks(self, since: Shown, found: Additions) -> bool:
        """Whether lines that are new on the page come before those that were read, which are the newest."""
        first_new = max(since.items, self.after) + 1
        oldest_read = found.items[-1].position if found.items else first_new
        return first_new <= self.after + LINES_A_PAGE and oldest_read > first_new

    def _read(self, since: Shown) -> Document:
        return document.read(
            self.system,
            self.bill_id,
            currency=self.currency,
            after=self.after,
            limit=LINES_A_PAGE,
            fresh_after=since.items,
        )

    def _of(self, found: Additions) -> Document:
        """With new lines only."""
        on_page = [item for item in reversed(found.items) if item.position <= self.after + LINES_A_PAGE]
        lines = [DocumentLine(item, None, fresh=True) for item in on_page]
        totals = shown_totals(self.system, found.bill, self.currency)
        return Document(found.bill, found.seller, lines, totals, found.now, found.names)
