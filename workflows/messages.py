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
    """A bill at one version, in one epoch of the ledger: a higher epoch outranks every version of a lower one.
    `period_end` is told by everybody's clock, also of a test bill that has its own.

    `recorded`: whoever says so sees to it that the ledger knows what the workflow heard.
    """

    bill_id: str
    customer_id: str
    status: str
    version: int
    item_count: int
    totals: dict[str, str]
    period_end: datetime
    epoch: int = 0
    number: int | None = None
    recorded: bool = False

    @property
    def rank(self) -> tuple[int, int]:
        """What is newer ranks higher."""
        return self.epoch, self.version

    @property
    def is_closed(self) -> bool:
        return self.status == BillStatus.CLOSED


def figures_of(bill: Bill, epoch: int = 0) -> BillFigures:
    """`epoch` is the ledger's, as known when the bill was read or before: figures of a ledger that is gone must not
    outrank those of the one after it."""
    return BillFigures(
        str(bill.id),
        str(bill.customer.id),
        bill.status,
        bill.version,
        bill.item_count,
        {code: plain(amount) for code, amount in bill.subtotals},
        bill.due_at,
        epoch,
        bill.number,
    )


# The sweep closes what is due within a second, and lets workflows end at its own pace; a bill's own timer is the net
# below it, spread so far that ten thousand bills of one end are six timers a second.
TIMERS_SPREAD_S = 1_800.0


@dataclass
class BillLife:
    """A run's input and its whole state, handed on when it continues as new; under 2 KB.

    `recorded_version` is the newest version that the ledger knows this workflow has heard of;
    `request_ids` are stored requests not yet carried out. `longest_history` is in events. The bill's own timer goes
    off within `timers_spread_s` after its end; runs from before there was a choice have 27.
    """

    figures: BillFigures
    recorded_version: int = 0
    request_ids: list[str] = field(default_factory=list)
    longest_history: int = 2_000
    timers_spread_s: float = 27.0


def new_life(figures: BillFigures, recorded_version: int = 0) -> BillLife:
    """The input of a workflow that is started now."""
    return BillLife(figures, recorded_version, timers_spread_s=TIMERS_SPREAD_S)


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
    epoch: int = 0


@dataclass
class Requests:
    bill_id: str
    request_ids: list[str]
