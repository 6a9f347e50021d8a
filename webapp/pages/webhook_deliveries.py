"""One webhook endpoint: how it stands, what was sent to it and how that went, and sending it again."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from flask import flash, request, url_for
from flask.typing import ResponseReturnValue

from billing.clock import parse_instant
from billing.ledger import events, webhook_endpoints, webhook_log, webhook_redelivery
from billing.ledger.public_events import parse_event_id
from billing.ledger.webhook_log import AttemptMade
from billing.ledger.webhook_redelivery import Range
from webapp import webhooks
from webapp.identity.access import allow
from webapp.identity.caller import origin
from webapp.identity.roles import Role
from webapp.pages import shown_once
from webapp.pages.blueprint import pages
from webapp.pages.forms import REFUSALS, Form
from webapp.pages.inputs import position, rfc3339_of
from webapp.pages.rendering import render, see_other
from webapp.pages.webhooks import parse_endpoint_id
from webapp.system import system
from workflows.outgoing import Failure

SHOWN = 25
EVENTS_SHOWN = 20
# As they stand over the log; the first is all of them.
STATES: Mapping[str, str] = MappingProxyType(
    {"": "All", "pending": "Waiting", "failed": "Given up", "delivered": "Delivered"}
)
_WORDS: Mapping[str, str] = MappingProxyType(
    {
        Failure.ADDRESS_REFUSED: "Not sent: the address isn't on the public internet",
        Failure.TIMEOUT: "No whole answer in time",
        Failure.UNREACHABLE: "Nobody answers there",
        Failure.TLS_FAILED: "No trusted TLS connection",
        Failure.BROKEN_OFF: "The answer broke off",
        Failure.NOT_HTTP: "What came isn't HTTP",
        Failure.HEADERS_TOO_LARGE: "The answer's headers are too long",
        "secret_unreadable": "Not sent: its secret can't be read; rotate it",
    }
)


@pages.get("/settings/webhooks/<endpoint_id>")
@allow(Role.ADMIN)
def show_webhook(endpoint_id: str) -> ResponseReturnValue:
    return _page(endpoint_id, Form())


@pages.post("/settings/webhooks/<endpoint_id>/redeliveries")
@allow(Role.ADMIN)
def redeliver_webhooks(endpoint_id: str) -> ResponseReturnValue:
    """One event, or all since an instant."""
    form, id_ = Form.submitted(), parse_endpoint_id(endpoint_id)
    try:
        if form["event"]:
            webhooks.redeliver_one(system(), origin(form.key), id_, parse_event_id(form["event"]))
            said = "It is sent again."
        else:
            since = parse_instant(rfc3339_of(form["since"], "since"), "since")
            count = webhook_redelivery.redeliver(system().engine, origin(form.key), id_, Range(since)).queued
            said = f"{count:,} {'event is' if count == 1 else 'events are'} sent again, in their order."
    except REFUSALS as refusal:
        return _page(endpoint_id, form.refused(refusal))
    flash(said)
    return see_other(url_for("pages.show_webhook", endpoint_id=id_))


def _page(endpoint_id: str, form: Form) -> ResponseReturnValue:
    engine = system().engine
    endpoint = webhook_endpoints.by_id(engine, parse_endpoint_id(endpoint_id))
    state = request.args.get("status", "")
    state = state if state in STATES else ""
    found = webhook_log.deliveries(
        engine, endpoint.id, status=state or None, before=position(request.args, "before"), limit=SHOWN + 1
    )
    return render(
        "webhooks/show.html",
        status=form.status,
        endpoint=endpoint,
        form=form,
        secrets=shown_once.take(str(endpoint.id)),
        waiting=webhook_log.pending(engine, endpoint.id),
        states=STATES,
        state=state,
        deliveries=found[:SHOWN],
        older=found[SHOWN - 1].n if len(found) > SHOWN else None,
        is_continued="before" in request.args,
        events=events.latest_of_subject(engine, endpoint.id, before_version=None, limit=EVENTS_SHOWN),
    )


@pages.app_template_filter()
def answer_words(attempt: AttemptMade) -> str:
    """How an attempt went, in words: the status of the answer, or why there was none."""
    if attempt.error is None:
        return f"Answered {attempt.status}"
    words = _WORDS.get(attempt.error, attempt.error.replace("_", " ").capitalize())
    return f"{words} (status {attempt.status})" if attempt.status else words
