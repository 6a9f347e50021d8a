"""Which migrations there are, and which a database has: asked at every start, so without Alembic's machinery."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path

VERSIONS = Path(__file__).resolve().parents[2] / "migrations" / "versions"
APPLIED = "SELECT version_num FROM alembic_version"
_NAMED = re.compile(r"^(revision|down_revision) = (?:\"(\w+)\"|None)$", re.MULTILINE)


@cache
def newest() -> frozenset[str]:
    """The revisions that none follows: what a migrated database says it has."""
    found = [dict(_NAMED.findall(path.read_text())) for path in VERSIONS.glob("*.py")]
    return frozenset({one["revision"] for one in found} - {one["down_revision"] for one in found})
