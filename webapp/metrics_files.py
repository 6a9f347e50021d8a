"""How gunicorn's processes count together: each writes files of its own, a scrape adds them up.

A process has a slot rather than its id: who comes after a dead one goes on in its files, so that they grow with the
number of processes and never with that of deaths. Used by gunicorn.conf.py; nothing of Prometheus is imported here
before a process has its slot.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import tempfile
from collections.abc import Collection
from pathlib import Path

PREFIX = "pave-metrics-"
VARIABLE = "PROMETHEUS_MULTIPROC_DIR"
MEMORY = Path("/dev/shm")  # noqa: S108 - memory, each with a directory of its own


def make_directory(parent: Path | None = None) -> Path:
    """A new one, private, in memory where there is such a place. Those of servers that were killed go."""
    parent = parent or (MEMORY if MEMORY.is_dir() else Path(tempfile.gettempdir()))
    for left_behind in parent.glob(f"{PREFIX}*"):
        _remove_unless_used(left_behind)
    directory = Path(tempfile.mkdtemp(prefix=PREFIX, dir=parent))
    # Held until the last process that inherits it is gone.
    fcntl.flock(os.open(directory, os.O_RDONLY), fcntl.LOCK_SH)
    os.environ[VARIABLE] = str(directory)
    return directory


def remove(directory: Path) -> None:
    shutil.rmtree(directory, ignore_errors=True)


def free_slot(taken: Collection[int]) -> int:
    """The lowest that no living process has."""
    return next(slot for slot in range(len(taken) + 1) if slot not in taken)


def take_slot(slot: int) -> None:
    """In the process itself, before anything that counts is imported."""
    from prometheus_client import values  # noqa: PLC0415 - it looks at the environment when it is imported

    values.ValueClass = values.MultiProcessValue(lambda: slot)


def forget_gauges(directory: Path, slot: int) -> None:
    """What a dead process said of itself goes; what it counted stays."""
    for file in directory.glob(f"gauge_live*_{slot}.db"):
        file.unlink(missing_ok=True)


def _remove_unless_used(directory: Path) -> None:
    try:
        opened = os.open(directory, os.O_RDONLY)
    except OSError:
        return
    try:
        fcntl.flock(opened, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return
    else:
        remove(directory)
    finally:
        os.close(opened)
