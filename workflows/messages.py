"""What goes to and from a bill's workflow: ids and figures only, no names and no descriptions.

Decimals travel as plain text. Fields may be added with defaults, never renamed or removed: histories are replayed.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime

from billing.bill import Bill, BillStatus
from billing.money import plain


@dataclass
class BillFigures:
    """A bill at one version."""

    bill_id: str
    customer_id: str
    status: str
    version: int
    item_count: int
    totals: dict[str, str]
    period_end: datetime

    @property
    def is_closed(self) -> bool:
        return self.status == BillStatus.CLOSED


def figures_of(bill: Bill) -> BillFigures:
    return BillFigures(
        str(bill.id),
        str(bill.customer.id),
        bill.status,
        bill.version,
        bill.item_count,
        {code: plain(amount) for code, amount in bill.subtotals},
        bill.period.end,
    )


@dataclass
class BillLife:
    """A run's input and its whole state, handed on when it continues as new; under 2 KB.

    `recorded_version` is the newest version that the ledger knows this workflow has heard of;
    `request_ids` are stored requests not yet carried out. `longest_history` is in events.
    """

    figures: BillFigures
    recorded_version: int = 0
    request_ids: list[str] = field(default_factory=list)
    longest_history: int = 2_000


@dataclass
class WorkflowState:
    """The workflow's answer about itself, shown to staff beside the stored figures."""

    figures: BillFigures
    recorded_version: int
    next_timer: datetime | None
    history_events: int


@dataclass
class CloseAnswer:
    """The bill after an attempt to close it; `wait_s` says how long until its end when that lies ahead."""

    figures: BillFigures
    wait_s: float | None = None


@dataclass
class Heard:
    bill_id: str
    version: int
    finished: bool = False


@dataclass
class Requests:
    bill_id: str
    request_ids: list[str]
