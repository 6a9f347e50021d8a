"""Whether those that watch may go on watching: asked for all of them together, outside of any request."""

from __future__ import annotations

from collections.abc import Collection

from sqlalchemy import Engine

from billing.ledger import links
from webapp.identity import sessions
from webapp.live.watches import Link, Session, Viewer


def admitted(engine: Engine, viewers: Collection[Viewer]) -> set[Viewer]:
    """Those whose session still stands and has the role it had, or whose link still works. Raises Unavailable."""
    found: set[Viewer] = set()
    if asked := {viewer.id for viewer in viewers if isinstance(viewer, Session)}:
        found |= {Session(id_, role) for id_, role in sessions.roles(engine, asked).items()}
    if asked := {viewer.id for viewer in viewers if isinstance(viewer, Link)}:
        found |= {Link(id_) for id_ in links.those_live(engine, asked)}
    return found.intersection(viewers)
