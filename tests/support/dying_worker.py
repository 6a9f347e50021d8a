"""A worker that dies at the worst moment: the bill is closed and committed, and nobody has been told.

`python -m tests.support.dying_worker` is `python -m workflows.worker` but for that.
"""

from __future__ import annotations

import os
import signal

from temporalio import activity

from workflows import worker
from workflows.activities import BillActivities
from workflows.messages import CloseAnswer


class DyingBillActivities(BillActivities):
    @activity.defn
    def close_bill(self, bill_id: str) -> CloseAnswer:
        super().close_bill(bill_id)
        os.kill(os.getpid(), signal.SIGKILL)
        raise AssertionError("still alive")


if __name__ == "__main__":
    worker.BillActivities = DyingBillActivities  # type: ignore[misc]
    worker.main()
