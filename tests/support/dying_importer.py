"""A worker that dies in the midst of an import: some rows are decided and committed, and nobody has been told.

`python -m tests.support.dying_importer` is `python -m workflows.worker` but for that.
"""

from __future__ import annotations

import os
import signal
from itertools import count
from typing import Any

from billing.ledger import importing
from workflows import worker

take_some = importing.take_some
calls = count(1)


def take_some_and_die(*given: Any) -> importing.Step:
    step = take_some(*given)
    if next(calls) == 3:
        os.kill(os.getpid(), signal.SIGKILL)
    return step


if __name__ == "__main__":
    importing.take_some = take_some_and_die
    worker.main()
