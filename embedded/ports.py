"""Ports of this machine that are free, and stay the same from one start to the next."""

import json
import random
import socket
from pathlib import Path

from embedded.files import read_if_there, write_private

LOOPBACK = "127.0.0.1"

# Below what systems hand out to outgoing connections (Linux from 32768, macOS from 49152): otherwise
# a client that keeps trying a stopped server's port can be given that very port, connect to itself,
# and keep the server from coming back.
CANDIDATES = range(20_000, 30_000)


def is_free(port: int, address: str = LOOPBACK) -> bool:
    with socket.socket() as probe:
        # As servers do: connections that linger in TIME_WAIT don't count as use.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((address, port))
        except OSError:
            return False
    return True


def kept_ports(file: Path, names: tuple[str, ...]) -> dict[str, int]:
    """A port for each name: the one written in `file` while it is free, else another."""
    remembered = json.loads(read_if_there(file) or "{}")
    chosen: dict[str, int] = {}
    for name in names:
        port = remembered.get(name)
        chosen[name] = port if port and is_free(port) else _another(set(chosen.values()))
    if chosen != remembered:
        write_private(file, json.dumps(chosen))
    return chosen


def _another(taken: set[int]) -> int:
    for port in random.sample(CANDIDATES, k=500):
        if port not in taken and is_free(port):
            return port
    raise RuntimeError(f"No free port between {CANDIDATES.start} and {CANDIDATES.stop}.")
