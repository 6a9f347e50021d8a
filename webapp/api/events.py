"""A bill's events, in the order of the versions they made."""

from __future__ import annotations

from flask import Response

from webapp import queries
from webapp.api import render
from webapp.api.bill_answer import bill_id_in
from webapp.api.blueprint import api
from webapp.api.contract.answers import EVENT, Answer, data
from webapp.api.contract.fields import AFTER, LIMIT
from webapp.api.contract.operation import operation
from webapp.api.contract.schemas import array, nullable, whole
from webapp.api.parameters import after, limit, parameters
from webapp.identity.access import allow
from webapp.identity.scopes import Scope
from webapp.system import system

NEXT_AFTER = nullable(whole("Where to go on; null when there is no more yet."))


@api.get("/bills/<bill_id>/events")
@allow(Scope.EVENTS_READ)
@operation(
    "List a bill's events",
    query=(AFTER, LIMIT),
    answers={200: Answer("Events, in the order of the versions they made.", data(array(EVENT), next_after=NEXT_AFTER))},
)
def list_events(bill_id: str) -> Response:
    """Those after a version; `next_after` is where to go on, null when there is no more yet."""
    asked = parameters()
    id_, size = bill_id_in(bill_id), limit(asked)
    events = queries.bill_events(system(), id_, after_version=after(asked), limit=size + 1)
    shown = events[:size]
    next_after = shown[-1].version if len(events) > size else None
    texts = (render.event(event) for event in shown)
    return render.answer({"data": render.array(texts), "next_after": render.to_json(next_after)})
