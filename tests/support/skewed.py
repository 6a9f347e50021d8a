"""A process whose clock is wrong: what it is started with so that the time of day is off by so much.

By libfaketime, which answers every question for the time of day instead of the kernel, in Python and in the Temporal
SDK's native code alike. Clocks that only measure how long something takes stay right, as they do where a machine's time
is wrong.
"""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path


def skewed_by(offset: str) -> dict[str, str]:
    """`offset` as libfaketime writes it: "+24h", "-24h"."""
    return {"LD_PRELOAD": str(_library()), "FAKETIME": offset, "FAKETIME_DONT_FAKE_MONOTONIC": "1"}


def _library() -> Path:
    package = find_spec("libfaketime")
    assert package is not None, "libfaketime is not installed"
    assert package.origin is not None
    return Path(package.origin).parent / "vendor" / "libfaketime" / "src" / "libfaketime.so.1"
