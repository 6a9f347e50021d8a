"""Between measurements: what one of them signals must not run in the next."""

from __future__ import annotations

import time

from bench.support.stack import Stack

SETTLED_WITHIN_S = 60
BEHIND = """
    SELECT count(*) FROM bills b LEFT JOIN bill_workflows w ON w.bill_id = b.id
    WHERE coalesce(w.heard_version, 0) < b.version
"""


def settle(stack: Stack) -> float:
    """Returns once every workflow has heard of its bill; after how many seconds. Raises after a minute."""
    began = time.monotonic()
    while stack.database.execute(BEHIND).fetchone() != (0,):
        if time.monotonic() - began > SETTLED_WITHIN_S:
            raise RuntimeError(f"workflows had not heard of their bills after {SETTLED_WITHIN_S} s")
        time.sleep(0.1)
    time.sleep(0.3)
    return time.monotonic() - began
