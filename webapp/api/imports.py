"""Files of up to 100,000 line items: taken in, carried out by a workflow, and a report of every row."""

from __future__ import annotations

from contextlib import closing
from datetime import date
from uuid import UUID

from flask import Response, request

from billing.errors import BillNotFound, InvalidArgument
from billing.identifiers import parse_id
from billing.ledger import import_reports, imports
from billing.ledger.exports import Batches
from billing.ledger.import_reports import ImportReportExpired, ReportedRow
from billing.ledger.imports import Import, ImportNotFound, TooManyImports
from webapp import csv_text, queries
from webapp.api import cursors, render
from webapp.api.bill_answer import bill_id_in
from webapp.api.blueprint import PATH, api
from webapp.api.body import json_object
from webapp.api.contract import fields
from webapp.api.contract.answers import IMPORT, REPORTED_ROW, Answer, data, page
from webapp.api.contract.fields import IMPORTED_ROW, Body, File
from webapp.api.contract.operation import operation
from webapp.api.contract.schemas import text
from webapp.api.errors import UnsupportedMediaType
from webapp.api.negotiation import idempotency_key
from webapp.api.parameters import limit, parameters
from webapp.exports.places import TooManyExports
from webapp.exports.streaming import Chunks, streamed
from webapp.identity.access import allow, open_to_bound_keys
from webapp.identity.caller import account_id, bound_customers, origin
from webapp.identity.scopes import Scope
from webapp.imports import report
from webapp.imports.files import received
from webapp.imports.rows import NO_ROWS
from webapp.imports.staging import TOO_MANY_ROWS, staged
from webapp.system import System, system

NDJSON = "application/x-ndjson"
ONE = "/imports/<import_id>"
_MEDIA = {NDJSON: "ndjson", csv_text.MIMETYPE: "csv"}
FILE = File(
    {NDJSON: IMPORTED_ROW, csv_text.MIMETYPE: text("A heading with the names of fields, and rows.")},
    {
        NDJSON: fields.examples_of(fields.ROW, date.min),
        csv_text.MIMETYPE: "description,quantity,unit_price,currency,key\r\nCard payments,6,0.6,GEL,row-7\r\n",
    },
)
THE_IMPORT = Answer("The import.", data(IMPORT))
TAKEN_IN = Answer(
    "The file is stored, and every row will have its outcome: ask for it at `Location`.",
    data(IMPORT),
    headers={"Location": text("Where it can be watched.")},
)
REPORT = Answer(
    "All rows, in order. Of NDJSON the schema is that of each line.",
    text("A heading, and rows.", examples=[csv_text.csv_lines([report.COLUMNS])]),
    headers={"Content-Disposition": text("A name for the file.")},
    media=csv_text.MIMETYPE,
    others={NDJSON: REPORTED_ROW},
)


@api.post("/imports")
@allow(Scope.ITEMS_WRITE)
@open_to_bound_keys
@operation(
    "Import line items",
    query=(fields.OF_ALL_ROWS,),
    file=FILE,
    answers={202: TAKEN_IN},
    is_idempotent=True,
    refusals=(
        NO_ROWS,
        TOO_MANY_ROWS,
        InvalidArgument("unknown column 'colour'", reason="unknown_field", field="colour"),
        InvalidArgument("the column quantity is there twice", reason="duplicate_field", field="quantity"),
        InvalidArgument("the heading names no quantity", reason="required", field="quantity"),
        TooManyImports,
    ),
)
def import_line_items() -> Response:
    """A row a line, of a batch's fields: NDJSON, or CSV with a heading.

    Good rows count whatever the others are. A file that can't be read at all is refused, and none of its rows counts.
    """
    asked = parameters()
    bill_id = _bill_id(system(), asked["bill_id"]) if "bill_id" in asked else None
    format_, key = _format(), idempotency_key()
    with (
        received(str(account_id())) as file,
        staged(file, format_, system().configured_currencies, bill_id) as rows,
    ):
        made, replayed = imports.create(
            system().engine, origin(key), rows, bill_id=bill_id, customers=bound_customers()
        )
    response = render.answer({"data": render.to_json(render.import_(made))}, status=202, replayed=replayed)
    response.headers["Location"] = f"{PATH}/imports/{made.id}"
    return response


@api.get("/imports")
@allow(Scope.ITEMS_WRITE)
@open_to_bound_keys
@operation(
    "List imports",
    query=(fields.LIMIT, fields.PAGE_CURSOR),
    answers={200: Answer("A page of imports.", page(IMPORT))},
)
def list_imports() -> Response:
    """Those of the key's account, newest first."""
    asked = parameters()
    size, listing = limit(asked), ("imports", str(account_id()))
    cursor = cursors.read(asked.get("cursor"), *listing)
    before = UUID(cursor) if cursor else None
    customers = bound_customers()
    found = imports.list_of_account(system().engine, account_id(), customers=customers, before=before, limit=size + 1)
    shown = found[:size]
    following = cursors.sign(str(shown[-1].id), *listing) if len(found) > size else None
    texts = (render.to_json(render.import_(one)) for one in shown)
    return render.answer({"data": render.array(texts), "next_cursor": render.to_json(following)})


@api.get(ONE)
@allow(Scope.ITEMS_WRITE)
@open_to_bound_keys
@operation("Read an import", answers={200: THE_IMPORT})
def show_import(import_id: str) -> Response:
    """How far it is. One of the key's account."""
    parameters()
    return _answer(_own(import_id))


@api.post(f"{ONE}/cancel")
@allow(Scope.ITEMS_WRITE)
@open_to_bound_keys
@operation("Cancel an import", body=Body((), may_be_empty=True), answers={200: THE_IMPORT})
def cancel_import(import_id: str) -> Response:
    """Rows without an outcome are left out; what was added stays. One that is over stays as it is."""
    parameters()
    one = _own(import_id)
    json_object()
    return _answer(imports.cancel(system().engine, origin(), one.id))


@api.get(f"{ONE}/report")
@allow(Scope.ITEMS_WRITE)
@open_to_bound_keys
@operation(
    "Read an import's report",
    query=(fields.FORMAT,),
    answers={200: REPORT},
    refusals=(ImportReportExpired, TooManyExports),
)
def show_import_report(import_id: str) -> Response:
    """What became of every row, as of now."""
    asked = parameters()
    wanted = asked.get("format", "csv")
    if wanted not in _MEDIA.values():
        raise InvalidArgument("format must be csv or ndjson", field="format")
    one, engine = _own(import_id), system().engine
    if wanted == "csv":
        return report.csv_of(engine, one)
    return streamed(
        lambda: _ndjson(import_reports.rows(engine, one)), mimetype=NDJSON, file_name=report.file_name(one, "ndjson")
    )


def _ndjson(batches: Batches[ReportedRow]) -> Chunks:
    with closing(batches):
        for batch in batches:
            yield "".join([f"{render.to_json(render.reported_row(row))}\n" for row in batch])


def _bill_id(system: System, value: str) -> UUID:
    """Raises BillNotFound for one that this caller may not know of."""
    customers, bill = bound_customers(), queries.bill(system, bill_id_in(value))
    if customers is not None and bill.customer.id not in customers:
        raise BillNotFound
    return bill.id


def _format() -> str:
    charset = request.mimetype_params.get("charset", "utf-8").lower()
    encoded = request.headers.get("Content-Encoding", "identity").lower() != "identity"
    if request.mimetype not in _MEDIA or charset not in {"utf-8", "utf8"} or encoded:
        raise UnsupportedMediaType(f"the request body must be {' or '.join(_MEDIA)}, in UTF-8")
    return _MEDIA[request.mimetype]


def _own(text: str) -> Import:
    id_ = parse_id(text, ImportNotFound)
    return imports.of_account(system().engine, account_id(), id_, customers=bound_customers())


def _answer(one: Import) -> Response:
    return render.answer({"data": render.to_json(render.import_(one))})
