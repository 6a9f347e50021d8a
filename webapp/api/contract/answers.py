"""What answers look like: the schemas of what `webapp/api/render.py` writes.

The tests hold every answer that they get against these, closed to members that aren't declared.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from billing.bill import BillStatus, CloseReason
from billing.errors import BillingError
from billing.ledger.import_reports import OUTCOMES
from billing.ledger.imports import FORMATS
from billing.ledger.webhook_endpoints import BY_HAND, FAILING
from billing.ledger.webhook_log import STATES
from billing.origin import ActorKind
from billing.rates import RATE_MISSING
from webapp.api.contract.schemas import (
    BOOLEAN,
    CURRENCY,
    CURSOR,
    DECIMAL,
    ID,
    INSTANT,
    Schema,
    array,
    by_currency,
    component,
    nullable,
    one_of,
    record,
    text,
    whole,
)

JSON = "application/json"


@dataclass(frozen=True, slots=True)
class Answer:
    """A success: what it means, its body if it has one, and headers beyond those that every answer has.

    `others` are further media that it may come in. Of NDJSON the schema is that of each line.
    """

    meaning: str
    schema: Schema | None
    headers: Mapping[str, Schema] = field(default_factory=dict)
    media: str = JSON
    others: Mapping[str, Schema] = field(default_factory=dict)

    @property
    def contents(self) -> Mapping[str, Schema]:
        """By media."""
        return {} if self.schema is None else {self.media: self.schema, **self.others}


def codes_of(kind: type[BillingError]) -> list[str]:
    """The codes of an error and of all that derive from it."""
    own = [kind.code] if hasattr(kind, "code") else []
    return sorted({*own, *(code for derived in kind.__subclasses__() for code in codes_of(derived))})


INTERNAL = "internal"

ERROR = component(
    "Error",
    record(
        {
            "code": one_of([*codes_of(BillingError), INTERNAL], "What a program decides by."),
            "message": text("A sentence for people; its wording may change."),
            "details": record(
                {
                    "reason": text("Which of the code's cases it is."),
                    "request_id": text("The answer's X-Request-Id: name it when you ask for help."),
                },
                {"field": text("The field, parameter or header that is wrong.")},
            ),
        },
        description="Whatever is refused has this form, and no effect.",
    ),
)

RATES_IN_USE_MEMBERS = {
    "snapshot_id": nullable(ID),
    "frozen": {**BOOLEAN, "description": "Those of a closed bill: they never change again."},
}
SNAPSHOT_MEMBERS = {
    "provider": text(),
    "updated_at": {**INSTANT, "description": "The provider's own time."},
    "fetched_at": INSTANT,
    "sample": {**BOOLEAN, "description": "Rates that ship with the product; no basis for money."},
    "stale": {**BOOLEAN, "description": "Older than it should be. Nothing is blocked by it."},
}
RATES_IN_USE = component(
    "RatesInUse",
    record(RATES_IN_USE_MEMBERS, SNAPSHOT_MEMBERS, description="The exchange rates that conversions used."),
)

CONVERSION = component(
    "Conversion",
    record(
        {"amount": {**nullable(DECIMAL), "description": "The whole bill in this currency; null when unavailable."}},
        {
            "rate_updated_at": nullable(INSTANT),
            "reason": one_of([RATE_MISSING], "Why there is no amount."),
            "missing": array(CURRENCY),
        },
    ),
)

_LINE_ITEM_MEMBERS = {
    "id": ID,
    "bill_id": ID,
    "position": whole("From 1, in the order of acceptance, without gaps.", lowest=1),
    "description": text(),
    "currency": CURRENCY,
    "quantity": DECIMAL,
    "unit_price": DECIMAL,
    "total": {**DECIMAL, "description": "quantity x unit_price: exact, never rounded."},
    "created_at": INSTANT,
}
_LINE_ITEM_ORIGIN = {
    "reverses": {**ID, "description": "The item that this one takes back."},
    "reason": text("Why it was taken back."),
    "source": text("The system that it comes from."),
    "reference": text("Its name there."),
}
LINE_ITEM = component("LineItem", record(_LINE_ITEM_MEMBERS, _LINE_ITEM_ORIGIN))

_BILL_MEMBERS = {
    "id": ID,
    "customer_id": text("Your own name for the customer."),
    "customer": record({"name": text(), "billing_address": text()}),
    "status": one_of(list(BillStatus), "`closing` and `closed` bills take no changes."),
    "test": {**BOOLEAN, "description": "Made with a test key: not an invoice, and never one."},
    "period_start": INSTANT,
    "period_end": {**INSTANT, "description": "The first instant that is no more of the period."},
    "workflow_id": text(),
    "version": whole("Grows with every change of the bill.", lowest=1),
    "item_count": whole(),
    "created_at": INSTANT,
    "updated_at": INSTANT,
    "total": record(
        {
            "by_currency": by_currency(DECIMAL, "The exact sum of the lines in each currency."),
            "converted": by_currency(CONVERSION, "The whole bill in each currency on it, and in `?currency=`."),
        }
    ),
    "payable": by_currency(
        component(
            "Payable",
            record(
                {
                    "amount": {**DECIMAL, "description": "The sum, rounded once, half up, to minor units."},
                    "rounding": {**DECIMAL, "description": "What rounding added or took."},
                }
            ),
        ),
        "What is to be paid in each currency.",
    ),
    "rates": RATES_IN_USE,
}
_TEST_MEMBERS = {
    "clock_ahead_seconds": {**DECIMAL, "description": "Of a test bill: how far its clock was advanced."},
}
_CLOSING_MEMBERS = {
    **_TEST_MEMBERS,
    "close_requested_at": INSTANT,
    "effective_at": {**INSTANT, "description": "The cut-off: nothing was accepted from then on."},
    "closed_at": INSTANT,
    "close_reason": one_of(list(CloseReason)),
    "number": whole("Without gaps over all closed bills; test bills have numbers of their own.", lowest=1),
    "seller": record({"name": text(), "address": text(), "tax_id": text()}),
}
_ITEMS_MEMBERS = {
    "line_items": array(LINE_ITEM, maxItems=100, description="The newest 100, oldest of them first."),
    "next_cursor": {**CURSOR, "description": "Towards older items; null when all are shown."},
}
BILL = component("Bill", record({**_BILL_MEMBERS, **_ITEMS_MEMBERS}, _CLOSING_MEMBERS))
LISTED_BILL = component(
    "ListedBill", record(_BILL_MEMBERS, _CLOSING_MEMBERS, description="A bill without its line items.")
)

LINE_ITEM_REQUEST = component(
    "LineItemRequest",
    record(
        {"id": ID, "bill_id": ID, "state": one_of(["pending", "added", "rejected"]), "created_at": INSTANT},
        {
            "decided_at": INSTANT,
            "line_item_id": {**ID, "description": "Once it is `added`."},
            "line_item_bill_id": {
                **ID,
                "description": "Once it is `added`: the bill that the item is on. Another one of the customer, if its "
                "reference was charged there before.",
            },
            "error": {**ERROR, "description": "Once it is `rejected`."},
        },
        description="An item to be added without waiting for it.",
    ),
)

CUSTOMER = component(
    "Customer",
    record(
        {
            "id": text("Your own name for the customer."),
            "name": text(),
            "email": text(),
            "billing_address": text(),
            "version": whole(lowest=1),
            "created_at": INSTANT,
            "updated_at": INSTANT,
        }
    ),
)

_TYPE = text("Such as `line_items.added`; there will be more of them.")
_OF_TYPE: Schema = {"type": "object", "additionalProperties": True, "description": "Depends on the type."}
_EVENT_MEMBERS = {
    "type": _TYPE,
    "version": whole("The bill's version that the change made.", lowest=1),
    "occurred_at": INSTANT,
    "actor": record({"kind": one_of(list(ActorKind)), "id": text(), "name": text()}),
    "request_id": text("That of the call that caused it."),
    "data": _OF_TYPE,
}
EVENT = component("Event", record(_EVENT_MEMBERS, description="A change of a bill."))
PUBLIC_EVENT = component(
    "PublicEvent",
    record(
        {
            "id": text("The same wherever the event is met."),
            "type": _TYPE,
            "occurred_at": INSTANT,
            "version": whole("The subject's version that the change made.", lowest=1),
            "subject": record(
                {"type": text("Such as `bill`."), "id": text("Of a customer your own name.")},
                {"customer_id": text("Of a bill's customer, your own name.")},
            ),
            "data": _OF_TYPE,
            "position": text("Where the feed goes on after it."),
            "test": {**BOOLEAN, "description": "Of test mode."},
        },
        description="A change, without who made it and what anybody typed.",
    ),
)

_SUMS = {"by_currency": by_currency(DECIMAL, "The exact sum of the lines in each currency.")}
EXPORTED_BILL = component(
    "ExportedBill",
    record(
        {
            **{name: schema for name, schema in _BILL_MEMBERS.items() if name != "rates"},
            "total": record(_SUMS),
        },
        _CLOSING_MEMBERS,
        description="A bill without what rates have a part in.",
    ),
)
EXPORTED_LINE_ITEM = component(
    "ExportedLineItem", record({**_LINE_ITEM_MEMBERS, "customer_id": text()}, _LINE_ITEM_ORIGIN)
)
EXPORTED_EVENT = component("ExportedEvent", record({"bill_id": ID, **_EVENT_MEMBERS}))

_ROW = whole("The row's place in the call, from 0.")
OUTCOME: Schema = {
    "oneOf": [
        component(
            "AcceptedRow",
            record({"index": _ROW, "outcome": one_of(["added", "replayed"]), "line_item": LINE_ITEM}),
        ),
        component("RejectedRow", record({"index": _ROW, "outcome": one_of(["rejected"]), "error": ERROR})),
        component(
            "TriedRow",
            record(
                {"index": _ROW, "outcome": one_of(["added", "replayed"]), "total": DECIMAL},
                description="Of a dry run: what would be added has no id.",
            ),
        ),
    ]
}
PREVIEW = component(
    "Preview",
    record(
        {
            "added": whole("How many rows would be added."),
            "item_count": whole("The bill's, then."),
            "by_currency": by_currency(DECIMAL, "The bill's sums, then."),
        },
        description="Of a dry run: what the bill would come to.",
    ),
)

_MOVE = record({"currency": CURRENCY, "before": DECIMAL, "after": DECIMAL})
QUARANTINED = component(
    "QuarantinedRates",
    record(
        {
            "snapshot_id": ID,
            "updated_at": INSTANT,
            "fetched_at": INSTANT,
            "agreeing_fetches": whole(),
            "moves": array(component("RateMove", _MOVE)),
        },
        description="Rates that moved too far to be used before an admin accepts them.",
    ),
)
RATES = component(
    "Rates",
    record(
        {
            **RATES_IN_USE_MEMBERS,
            "base": CURRENCY,
            "rates": by_currency(DECIMAL, "Units of each currency per 1 of the base."),
        },
        {
            **SNAPSHOT_MEMBERS,
            "age_seconds": whole(),
            "reason": one_of([RATE_MISSING], "Why there are no rates."),
            "quarantined": QUARANTINED,
        },
    ),
)
ACCEPTED_RATES = component("AcceptedRates", record({"snapshot_id": ID, "state": one_of(["accepted"])}))

_LEG = record(
    {"currency": CURRENCY, "payable": DECIMAL, "converted": DECIMAL},
    {
        "rate_from": DECIMAL,
        "rate_to": DECIMAL,
        "unrounded": DECIMAL,
        "unrounded_decimals": whole("So many of them are given; the rest is cut off."),
    },
)
_MINOR_UNITS = whole("Decimals that the currency has.")
EXPLANATION = component(
    "Explanation",
    record(
        {
            "bill_id": ID,
            "status": one_of(list(BillStatus)),
            "version": whole(lowest=1),
            "item_count": whole(),
            "rules": {
                "type": "object",
                "additionalProperties": text(),
                "description": "By the name of a figure, how it is computed.",
            },
            "subtotals": by_currency(
                component(
                    "ExplainedSubtotal",
                    record({"subtotal": DECIMAL, "minor_units": _MINOR_UNITS, "rounding": DECIMAL, "payable": DECIMAL}),
                ),
                "What is to be paid in each currency, and why.",
            ),
            "cut_off": record(
                {
                    "at": {**nullable(INSTANT), "description": "Null while the bill takes changes."},
                    "period_end": INSTANT,
                    "close_requested_at": nullable(INSTANT),
                    "close_reason": nullable(one_of(list(CloseReason))),
                    "closed_at": nullable(INSTANT),
                }
            ),
            "rates": component(
                "ExplainedRates",
                record(
                    {**RATES_IN_USE_MEMBERS, "as_of": INSTANT},
                    {
                        **SNAPSHOT_MEMBERS,
                        "reason": text("Why there are none."),
                        "stale_after_seconds": whole(),
                        "accepted_at": {**INSTANT, "description": "From then on it was the newest."},
                        "next_accepted_at": {**nullable(INSTANT), "description": "Until then."},
                        "base": CURRENCY,
                        "used": by_currency(DECIMAL, "Units of each currency per 1 of the base."),
                    },
                ),
            ),
            "converted": by_currency(
                component(
                    "ExplainedConversion",
                    record(
                        {"amount": nullable(DECIMAL)},
                        {
                            "minor_units": _MINOR_UNITS,
                            "legs": array(component("Leg", _LEG)),
                            "reason": one_of([RATE_MISSING], "Why there is no amount."),
                            "missing": array(CURRENCY),
                        },
                    ),
                ),
                "The whole bill in each currency, leg by leg.",
            ),
            "line_items": array(LINE_ITEM, description="All of them, oldest first."),
        },
        {"number": whole("Of a closed bill.", lowest=1)},
        description="All that is needed to compute every figure of a bill again.",
    ),
)

_ENDPOINT_MEMBERS = {
    "id": ID,
    "url": text(),
    "types": {**nullable(array(text())), "description": "Null where it is told of all events."},
    "status": one_of(["active", "paused"]),
    "paused_reason": nullable(one_of([BY_HAND, FAILING])),
    "paused_at": nullable(INSTANT),
    "failing_since": {**nullable(INSTANT), "description": "Nothing has arrived since, though it was tried."},
    "previous_secret_until": {**nullable(INSTANT), "description": "Until then the secret before signs too."},
    "version": whole(lowest=1),
    "created_at": INSTANT,
    "updated_at": INSTANT,
}
WEBHOOK_ENDPOINT = component(
    "WebhookEndpoint",
    record(_ENDPOINT_MEMBERS, {"pending": whole("Events that wait to be sent; told when the endpoint alone is read.")}),
)
ISSUED_WEBHOOK_ENDPOINT = component(
    "IssuedWebhookEndpoint",
    record({**_ENDPOINT_MEMBERS, "secret": {**nullable(text()), "description": "Shown once; null in a repeat."}}),
)
WEBHOOK_DELIVERY = component(
    "WebhookDelivery",
    record(
        {
            "event_id": text(),
            "type": _TYPE,
            "occurred_at": INSTANT,
            "status": one_of(STATES),
            "queued_at": INSTANT,
            "next_attempt_at": nullable(INSTANT),
            "finished_at": nullable(INSTANT),
            "attempt_count": whole(),
            "attempts": array(
                component(
                    "WebhookAttempt",
                    record(
                        {
                            "attempt": whole(lowest=1),
                            "attempted_at": INSTANT,
                            "status": {**nullable(whole()), "description": "Of the answer, if one came."},
                            "latency_ms": whole(),
                            "excerpt": text("How the answer began."),
                            "error": {**nullable(text()), "description": "Why no whole answer came."},
                        }
                    ),
                ),
                description="The newest of them, newest first.",
            ),
        }
    ),
)

CURRENCIES = component(
    "Currencies",
    record(
        {
            "offered": array(CURRENCY, description="For new line items."),
            "configured": array(CURRENCY, description="All that could be offered."),
            "version": whole(),
        }
    ),
)


IMPORT = component(
    "Import",
    record(
        {
            "id": ID,
            "bill_id": {**nullable(ID), "description": "Null where each row names its own."},
            "state": one_of(["waiting", "running", "done", "cancelled"]),
            "format": one_of(FORMATS),
            "sha256": text("Of the file."),
            "rows": whole("All of them.", lowest=1),
            "done": whole("Those that have their outcome."),
            "added": whole(),
            "replayed": whole("There already, by their key or their reference."),
            "rejected": whole("The report says why."),
            "created_at": INSTANT,
            "started_at": nullable(INSTANT),
            "finished_at": nullable(INSTANT),
            "has_report": {**BOOLEAN, "description": "Kept for thirty days after the end."},
        },
        description="A file of line items on its way onto bills.",
    ),
)
REPORTED_ROW = component(
    "ReportedRow",
    record(
        {
            "row": whole("From 1.", lowest=1),
            "line": whole("Where it begins in the file.", lowest=1),
            "outcome": one_of(OUTCOMES, "`pending`: not yet; `skipped`: the import was cancelled before."),
            "bill_id": {**nullable(ID), "description": "That of the item, where there is one."},
            "line_item_id": nullable(ID),
            "key": nullable(text()),
            "source": nullable(text()),
            "reference": nullable(text()),
            "code": nullable(one_of(codes_of(BillingError), "As in an error's envelope.")),
            "reason": nullable(text()),
            "field": nullable(text()),
            "message": nullable(text()),
        },
        description="What became of a row.",
    ),
)

QUEUED = record({"queued": whole("How many events are sent again.")})


def data(schema: Schema, **beside: Schema) -> Schema:
    """`{"data": ...}`, and what stands beside it."""
    return record({"data": schema, **beside})


def page(schema: Schema) -> Schema:
    return data(array(schema), next_cursor=CURSOR)
