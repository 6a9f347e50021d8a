"""What requests are made of: fields of bodies, parameters of queries and paths, each declared once.

The parsers of the API look up here which names a call takes and within which bounds; what a value means,
and whether it can be right, the business decides.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import date, timedelta
from typing import Any

from billing.bill import (
    LONGEST_CUSTOMER_ID,
    LONGEST_DESCRIPTION,
    LONGEST_REASON,
    LONGEST_REFERENCE,
    LONGEST_SOURCE,
    MOST_ITEMS_IN_A_CALL,
    BillStatus,
)
from billing.errors import (
    BillClosed,
    BillClosing,
    BillingError,
    BillNotFound,
    CustomerNotFound,
    InvalidArgument,
    LineItemNotFound,
    PeriodEnded,
    RateSnapshotNotFound,
    ReferenceReused,
    UnsupportedCurrency,
    VersionConflict,
)
from billing.ledger.customers import EDITABLE
from billing.ledger.imports import LONGEST_FILE, ImportNotFound
from billing.ledger.public_events import EVENT_ID as EVENT_ID_PATTERN
from billing.ledger.public_events import PUBLIC
from billing.ledger.requests import LineItemRequestNotFound
from billing.ledger.webhook_endpoints import LONGEST_URL, WebhookEndpointNotFound
from billing.ledger.webhook_log import STATES
from billing.money import MAX_FACTOR
from webapp.api.contract import schemas
from webapp.api.contract.schemas import BOOLEAN, Schema, array, nullable, one_of, record, text, whole
from workflows.receivers import AddressRefused

HIGHEST = 2**63 - 1
LONGEST_BODY = 64 * 1024
LONGEST_BATCH = 2 * 1024 * 1024
LONGEST_KEY = 255
LONGEST_SEARCH = 255
LONGEST_WAIT_S = 30

Refusal = BillingError | type[BillingError]


@dataclass(frozen=True, slots=True)
class Field:
    """A field of a body, or a parameter. `refusals` are those that only it brings about.

    `example` may depend on the day, so that it can be sent as it stands.
    """

    name: str
    schema: Schema
    required: bool = False
    example: Any | Callable[[date], Any] = None
    refusals: tuple[Refusal, ...] = ()

    def example_on(self, day: date) -> Any:
        return self.example(day) if callable(self.example) else self.example


@dataclass(frozen=True, slots=True)
class File:
    """A body of many rows in one of these media, at most `longest` bytes. Of NDJSON the schema is that of each line."""

    media: Mapping[str, Schema]
    examples: Mapping[str, Any]
    longest: int = LONGEST_FILE


@dataclass(frozen=True, slots=True)
class Body:
    """A JSON object of these fields and no others, at most `longest` bytes."""

    fields: tuple[Field, ...]
    longest: int = LONGEST_BODY
    may_be_empty: bool = False

    @property
    def names(self) -> frozenset[str]:
        return frozenset(field.name for field in self.fields)

    def schema_of(self, name: str) -> Schema:
        return next(field.schema for field in self.fields if field.name == name)


def month_start(day: date) -> str:
    return f"{day.replace(day=1)}T00:00:00.000000Z"


def month_end(day: date) -> str:
    return month_start(day.replace(day=1) + timedelta(days=32))


def amount(most_decimals: int, **rules: Any) -> Schema:
    """A decimal as requests carry it: digits in a text, or a JSON number, which is read digit by digit too."""
    return {
        "description": f"At most {MAX_FACTOR} with {most_decimals} decimals. As text it is rounded nowhere on its way.",
        "anyOf": [
            {"type": "string", "pattern": schemas.DECIMAL_PATTERN, "maxLength": 100},
            {"type": "number", "maximum": int(MAX_FACTOR), **rules},
        ],
    }


INSTANT: Schema = text("RFC 3339, with an offset.", format="date-time")
CODE: Schema = {**schemas.CURRENCY, "description": "One that `GET /currencies` offers."}

# Of whatever changes an open bill.
TAKES_NO_CHANGES = (BillClosed, BillClosing, PeriodEnded)

# Bodies.
CUSTOMER_ID = Field(
    "customer_id",
    text(
        "Your own name for the customer: one line of text. An unknown one is registered.",
        minLength=1,
        maxLength=LONGEST_CUSTOMER_ID,
    ),
    required=True,
    example="hung",
)
PERIOD_START = Field("period_start", INSTANT, required=True, example=month_start)
PERIOD_END = Field("period_end", INSTANT, required=True, example=month_end)
EXPECTED_VERSION = Field(
    "expected_version",
    whole("The version you have seen: with another one nothing is changed.", lowest=1, maximum=HIGHEST),
    refusals=(VersionConflict,),
)
CLOCK_NOW = Field(
    "now", {**INSTANT, "description": "What time it is to be for the bill."}, required=True, example=month_end
)
DESCRIPTION = Field(
    "description", text(minLength=1, maxLength=LONGEST_DESCRIPTION), required=True, example="Card payments"
)
QUANTITY = Field("quantity", amount(6, exclusiveMinimum=0), required=True, example="6")
UNIT_PRICE = Field("unit_price", amount(12, minimum=0), required=True, example="0.6")
CURRENCY = Field("currency", CODE, required=True, example="GEL", refusals=(UnsupportedCurrency,))
SOURCE = Field(
    "source",
    nullable(text("The system that it comes from; with `reference` only.", minLength=1, maxLength=LONGEST_SOURCE)),
)
REFERENCE = Field(
    "reference",
    nullable(
        text(
            "Its name in `source`: a customer is charged for it once, on whichever bill and under whichever key.",
            minLength=1,
            maxLength=LONGEST_REFERENCE,
        )
    ),
    refusals=(ReferenceReused,),
)
LINE_ITEM = (DESCRIPTION, QUANTITY, UNIT_PRICE, CURRENCY, SOURCE, REFERENCE)

KEY_SCHEMA = text("Printable ASCII.", minLength=1, maxLength=LONGEST_KEY, pattern="^[ -~]+$")
ROW_KEY = Field(
    "key",
    {**KEY_SCHEMA, "description": "An idempotency key of this row alone, good in any call for this bill."},
    example="sync-2291-7",
)
ROW = (*LINE_ITEM, ROW_KEY)
REASON = Field("reason", text(minLength=1, maxLength=LONGEST_REASON), required=True, example="billed twice")
NEW_CUSTOMER_ID = Field("id", {**CUSTOMER_ID.schema, "description": "Your own name."}, required=True, example="acme")
_CUSTOMER_EXAMPLES = {
    "name": "Acme Ltd",
    "email": "billing@acme.example",
    "billing_address": "1 Ledger Lane\n0102 Tbilisi",
}
CUSTOMER_DETAILS = tuple(
    Field(name, nullable(text("Null empties it.", maxLength=longest)), example=_CUSTOMER_EXAMPLES[name])
    for name, longest in EDITABLE.items()
)
OFFERED = Field(
    "offered",
    array(schemas.CURRENCY, minItems=1),
    required=True,
    example=["EUR", "GEL", "USD"],
    refusals=(UnsupportedCurrency,),
)
SETTINGS_VERSION = Field("expected_version", whole(maximum=HIGHEST), refusals=(VersionConflict,))


def object_of(fields: tuple[Field, ...]) -> Schema:
    """As requests carry it: names that aren't declared are refused."""
    required = {field.name: field.schema for field in fields if field.required}
    optional = {field.name: field.schema for field in fields if not field.required}
    return record(required, optional, additionalProperties=False)


def examples_of(fields: tuple[Field, ...], day: date) -> dict[str, Any]:
    examples = ((field.name, field.example_on(day)) for field in fields)
    return {name: example for name, example in examples if example is not None}


# What isn't right about a row is told in its outcome; the call is accepted.
ROWS = Field(
    "line_items",
    array(
        schemas.component("LineItemRow", object_of(ROW)),
        minItems=1,
        maxItems=MOST_ITEMS_IN_A_CALL,
    ),
    required=True,
    example=lambda day: [examples_of(ROW, day)],
    # Told of the whole call where it is atomic.
    refusals=(UnsupportedCurrency, ReferenceReused),
)
OF_ALL_ROWS = Field(
    "bill_id",
    {**schemas.ID, "description": "The bill of all rows. Without it each has a `bill_id`."},
    refusals=(BillNotFound,),
)
IMPORTED_ROW = schemas.component("ImportedRow", object_of((*ROW, replace(OF_ALL_ROWS, schema=schemas.ID))))
ATOMIC = Field("atomic", {**BOOLEAN, "default": False, "description": "All rows are added, or the call is refused."})
DRY_RUN = Field("dry_run", {**BOOLEAN, "default": False, "description": "Nothing is added: see what would be."})

_UNKNOWN_TYPE = InvalidArgument("unknown event type", reason="unknown_event_type", field="types")
URL = Field(
    "url",
    text("Where events are sent: https, and public.", minLength=1, maxLength=LONGEST_URL, pattern="^[!-~]+$"),
    required=True,
    example="https://hooks.acme.example/pave",
    refusals=(
        AddressRefused,
        AddressRefused("url must begin with https://", reason="https_required"),
        AddressRefused("url must name a host", reason="url_malformed"),
        AddressRefused("url must not contain a user name or password", reason="userinfo_not_allowed"),
        AddressRefused("url must not contain a fragment", reason="fragment_not_allowed"),
        AddressRefused("url must have port 443, or one from 1024 to 65535", reason="port_not_allowed"),
    ),
)
NEW_URL = replace(URL, required=False)
TYPES = Field(
    "types",
    nullable(array(one_of(list(PUBLIC)), minItems=1, description="What it is told of; null for all events.")),
    example=["bill.closed"],
    refusals=(_UNKNOWN_TYPE,),
)
EVENT_ID = Field(
    "event_id",
    nullable(text("One event, or `since`.", pattern=f"^{EVENT_ID_PATTERN}$")),
)
SINCE = Field("since", nullable({**INSTANT, "description": "All that occurred from then on."}), example=month_start)
UNTIL = Field("until", nullable({**INSTANT, "description": "And before this."}))
ONLY_FAILED = Field("only_failed", {**BOOLEAN, "default": False, "description": "Those alone that were given up."})

# Queries.
LIMIT = Field("limit", whole("Of a page.", lowest=1, maximum=100, default=50))
_BAD_CURSOR = InvalidArgument("cursor is not one of this list", reason="invalid_cursor", field="cursor")
PAGE_CURSOR = Field("cursor", text("`next_cursor` of the page before, with the same filters."), refusals=(_BAD_CURSOR,))
AFTER = Field("after", whole("The version you have seen.", maximum=HIGHEST, default=0))
SEARCH = Field("q", text("Words to look for.", maxLength=LONGEST_SEARCH))
SHOWN_IN = Field(
    "currency",
    {**CODE, "description": "See the whole bill in this currency too: one that is offered, or on the bill."},
    refusals=(UnsupportedCurrency,),
)
OF_CUSTOMER = Field("customer_id", text("Of this customer.", minLength=1, maxLength=LONGEST_CUSTOMER_ID))
STATUS = Field("status", one_of(list(BillStatus)))
HAVING = Field(
    "currency",
    {**schemas.CURRENCY, "description": "Bills with lines in this currency."},
    refusals=(UnsupportedCurrency,),
)
OF_CURRENCY = replace(HAVING, schema={**schemas.CURRENCY, "description": "In this currency."})
FROM = Field("from", {**INSTANT, "description": "Bills whose period ends after this."})
TO = Field("to", {**INSTANT, "description": "Bills whose period starts before this."})
FORMAT = Field("format", one_of(["csv", "ndjson"], default="csv"))
OF_BILL = Field("bill_id", {**schemas.ID, "description": "Of this bill."}, refusals=(BillNotFound,))
FROM_THEN = Field("from", {**INSTANT, "description": "From this instant on."})
BEFORE = Field("to", {**INSTANT, "description": "Before this instant."})
POSITION = Field(
    "after",
    text("`next_after` of the page before, or an event's `position`. Without it the feed begins at its beginning."),
    refusals=(
        InvalidArgument("after is not a position of this feed", reason="invalid_position", field="after"),
        InvalidArgument(
            "the ledger was restored since this position was given: read from the beginning",
            reason="position_lost",
            field="after",
        ),
    ),
)
WAIT = Field(
    "wait",
    whole("Seconds to wait for an event where there is none yet.", maximum=LONGEST_WAIT_S, default=0),
)
_ANY_TYPE = "|".join(PUBLIC).replace(".", "[.]")
OF_TYPES = Field(
    "type",
    text("Types of events, separated by commas.", pattern=f"^({_ANY_TYPE})(,({_ANY_TYPE}))*$"),
    refusals=(InvalidArgument("unknown event type", reason="unknown_event_type", field="type"),),
)
DELIVERY_STATUS = Field("status", one_of(STATES))
BASE = Field(
    "base",
    {**schemas.CURRENCY, "default": "USD", "description": "Rates per 1 of this currency."},
    refusals=(UnsupportedCurrency,),
)

# Paths, by the names that routes give them.
PATHS = {
    "bill_id": Field("bill_id", schemas.ID, refusals=(BillNotFound,)),
    "item_id": Field("item_id", schemas.ID, refusals=(LineItemNotFound,)),
    "request_id": Field("request_id", schemas.ID, refusals=(LineItemRequestNotFound,)),
    "import_id": Field("import_id", schemas.ID, refusals=(ImportNotFound,)),
    "endpoint_id": Field("endpoint_id", schemas.ID, refusals=(WebhookEndpointNotFound,)),
    "snapshot_id": Field("snapshot_id", schemas.ID, refusals=(RateSnapshotNotFound,)),
    "customer_id": Field(
        "customer_id", text("Your own name for the customer, percent-encoded."), refusals=(CustomerNotFound,)
    ),
}
