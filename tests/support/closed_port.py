"""A port that refuses connections for as long as that is wanted."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import contextmanager

from embedded.ports import LOOPBACK


@contextmanager
def closed_port() -> Iterator[int]:
    """Held by a socket that doesn't listen: nobody else comes to listen there meanwhile."""
    with socket.socket() as held:
        held.bind((LOOPBACK, 0))
        yield int(held.getsockname()[1])
