"""A bill's events, in the order of the versions they made."""

from __future__ import annotations

from flask import Response

from webapp import queries
from webapp.api import render
from webapp.api.bill_answer import bill_id_in
from webapp.api.blueprint import api
from webapp.api.parameters import after, limit, parameters
from webapp.identity.access import allow
from webapp.identity.scopes import Scope
from webapp.system import system


@api.get("/bills/<bill_id>/events")
@allow(Scope.EVENTS_READ)
def list_events(bill_id: str) -> Response:
    """Those after a version; `next_after` is where to go on, null when there is no more yet."""
    asked = parameters("after", "limit")
    id_, size = bill_id_in(bill_id), limit(asked)
    events = queries.bill_events(system(), id_, after_version=after(asked), limit=size + 1)
    shown = events[:size]
    next_after = shown[-1].version if len(events) > size else None
    texts = (render.event(event) for event in shown)
    return render.answer({"data": render.array(texts), "next_after": render.to_json(next_after)})
