"""What somebody may do: each role includes the ones before it."""

from __future__ import annotations

from enum import StrEnum


class Role(StrEnum):
    """viewer reads; operator works on bills and customers; admin also decides about rates and access."""

    VIEWER = "viewer"
    OPERATOR = "operator"
    ADMIN = "admin"

    def includes(self, other: Role) -> bool:
        return _RANK[self] >= _RANK[other]


_RANK = {role: rank for rank, role in enumerate(Role)}
