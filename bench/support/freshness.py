"""How old the overview's sums are while bills accrue, by what its page says."""

from __future__ import annotations

import re
import time
from datetime import UTC, datetime

from bench.support.bills import SystemBills
from bench.support.figures import Figure, Plan, no_more_than
from bench.support.stack import Stack
from bench.support.staff import Staff
from bench.support.turns import Asker

WATCHED_S = 20
PAUSE_S = 0.1
OLDEST_S = 5
_AS_OF = re.compile(r'class="as-of">as of <time datetime="([^"]+)"')
# What the page sums up, counted from the bills themselves.
UNEQUAL = """
    SELECT count(*) FROM (
        SELECT s.currency, count(*) AS bills, sum(s.subtotal) AS subtotal FROM bills b
        JOIN bill_subtotals s ON s.bill_id = b.id WHERE b.status = 'open' GROUP BY s.currency) AS counted
    FULL JOIN accruing USING (currency)
    WHERE counted.bills IS DISTINCT FROM accruing.bills OR counted.subtotal IS DISTINCT FROM accruing.subtotal
"""


def oldest_sums_s(stack: Stack, staff: Staff, plan: Plan) -> Figure:
    """An item is added and the page asked for, ten times a second; afterwards the sums must be right."""
    bills = SystemBills(stack)
    accruing = bills.opened(10)
    oldest, deadline, turn = 0.0, time.monotonic() + plan.seconds(WATCHED_S), 0
    with Asker() as asker:
        while time.monotonic() < deadline:
            bills.filled([accruing[turn % len(accruing)]], 1)
            asked = datetime.now(UTC)
            page = asker.answer(staff.port, staff.get("/")).text
            found = _AS_OF.search(page)
            if found is None:
                raise RuntimeError("the overview says no age")
            oldest = max(oldest, (asked - datetime.fromisoformat(found[1])).total_seconds())
            turn += 1
            time.sleep(PAUSE_S)
    _right_within(stack, OLDEST_S)
    plan.notes.append(
        f"{turn} items were added while the overview was looked at; {OLDEST_S} s later its sums were those of the bills"
    )
    return Figure("oldest sums that the overview showed while bills accrued", oldest, "s", aim=no_more_than(OLDEST_S))


def _right_within(stack: Stack, seconds: float) -> None:
    time.sleep(seconds)
    wrong = stack.database.execute(UNEQUAL).fetchone()
    if wrong != (0,):
        raise RuntimeError(f"sums of {wrong} currencies are not those of the bills")
