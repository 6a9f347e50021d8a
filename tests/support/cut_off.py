"""A way to a server that is cut off when the next word is said on it, as when the server is killed at that moment."""

from __future__ import annotations

import socket
import struct
import threading
from contextlib import suppress

from embedded.ports import LOOPBACK

_RESET_ON_CLOSE = struct.pack("ii", 1, 0)


class Way:
    """To the port of a server on this machine, by a port of its own."""

    def __init__(self, to_port: int) -> None:
        self.cut_at_the_next_word = False
        self._to_port = to_port
        self._listening = socket.create_server((LOOPBACK, 0))
        self.port = int(self._listening.getsockname()[1])
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        self._listening.shutdown(socket.SHUT_RDWR)
        self._listening.close()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._listening.accept()
                server = socket.create_connection((LOOPBACK, self._to_port))
                threading.Thread(target=self._forth, args=(client, server), daemon=True).start()
                threading.Thread(target=_back, args=(server, client), daemon=True).start()

    def _forth(self, client: socket.socket, server: socket.socket) -> None:
        with suppress(OSError):
            while said := client.recv(65536):
                if self.cut_at_the_next_word:
                    self.cut_at_the_next_word = False
                    client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
                    break
                server.sendall(said)
        server.close()
        client.close()


def _back(server: socket.socket, client: socket.socket) -> None:
    with suppress(OSError):
        while answered := server.recv(65536):
            client.sendall(answered)
