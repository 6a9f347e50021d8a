"""One GET to a server of this machine."""

import http.client
from collections.abc import Mapping

from embedded.ports import LOOPBACK


def get(
    port: int, path: str, *, headers: Mapping[str, str] | None = None, timeout: float = 5
) -> tuple[int, bytes] | None:
    """Status and body; None when nobody answered."""
    connection = http.client.HTTPConnection(LOOPBACK, port, timeout=timeout)
    try:
        connection.request("GET", path, headers=dict(headers or {}))
        answer = connection.getresponse()
        return answer.status, answer.read()
    except (OSError, http.client.HTTPException):
        return None
    finally:
        connection.close()
