"""Files of line items onto a bill: a preview that adds nothing, then a workflow that can be watched, then a report."""

from __future__ import annotations

from dataclasses import dataclass
from typing import BinaryIO, cast
from uuid import UUID

from flask import request, url_for
from flask.typing import ResponseReturnValue

from billing.bill import Bill
from billing.errors import InvalidArgument
from billing.identifiers import parse_id
from billing.ledger import import_reports, imports
from billing.ledger.imports import LONGEST_FILE, MOST_ROWS, Import, ImportNotFound, TooManyImports
from webapp import queries
from webapp.identity.access import allow, asked_by_itself
from webapp.identity.caller import account_id, origin
from webapp.identity.roles import Role
from webapp.imports import report
from webapp.imports.files import uploaded
from webapp.imports.staging import staged
from webapp.pages.blueprint import pages
from webapp.pages.forms import Form, sentence
from webapp.pages.ids import parse_bill_id
from webapp.pages.rendering import render, see_other, wants_fragment
from webapp.system import system
from webapp.uploads import takes_upload

# With what a form has beside its file.
LARGEST_UPLOAD = LONGEST_FILE + 64 * 1024
# The parser counts pieces of the file, of 64 KB, until it has put them aside.
LARGEST_IN_FIELDS = 512 * 1024
SHOWN_IMPORTS = 100
NO_FILE = InvalidArgument("choose a file first", reason="required", field="file")


@dataclass(frozen=True, slots=True)
class Watched:
    """An import as its page shows it. `left_out`: the first rows that weren't added."""

    bill: Bill
    one: Import
    left_out: tuple[import_reports.PreviewedRow, ...] = ()


@pages.get("/bills/<bill_id>/imports")
@allow(Role.VIEWER)
def list_imports(bill_id: str) -> ResponseReturnValue:
    """The newest of those into this bill."""
    bill = queries.bill(system(), parse_bill_id(bill_id))
    found = imports.of_bill(system().engine, bill.id, limit=SHOWN_IMPORTS)
    return render("imports/index.html", bill=bill, imports=found)


@pages.get("/bills/<bill_id>/imports/new")
@allow(Role.OPERATOR)
def new_import(bill_id: str) -> ResponseReturnValue:
    bill = queries.bill(system(), parse_bill_id(bill_id))
    if not bill.is_open:
        return see_other(url_for("pages.show_bill", bill_id=bill.id))
    return _form(bill, Form())


@pages.post("/bills/<bill_id>/imports")
@allow(Role.OPERATOR)
@takes_upload(LARGEST_UPLOAD, in_fields=LARGEST_IN_FIELDS)
def preview_import(bill_id: str) -> ResponseReturnValue:
    """Reads the file and adds nothing: its page shows what would be added, and asks."""
    bill = queries.bill(system(), parse_bill_id(bill_id))
    file = request.files.get("file")
    try:
        if file is None or not file.filename:
            raise NO_FILE
        one = _draft(bill.id, cast("BinaryIO", file.stream))
    except (InvalidArgument, TooManyImports) as refusal:
        status = 400 if isinstance(refusal, InvalidArgument) else 429
        return _form(bill, Form({}, {"file": sentence(refusal)}, status=status))
    return see_other(url_for("pages.show_import", bill_id=bill.id, import_id=one.id))


def _draft(bill_id: UUID, content: BinaryIO) -> Import:
    codes = system().configured_currencies
    with uploaded(str(account_id()), content) as file, staged(file, "csv", codes, bill_id) as rows:
        return imports.create(system().engine, origin(), rows, bill_id=bill_id, is_draft=True)[0]


def _form(bill: Bill, form: Form) -> ResponseReturnValue:
    return render("imports/new.html", status=form.status, bill=bill, form=form, most=MOST_ROWS)


@pages.get("/bills/<bill_id>/imports/<import_id>")
@allow(Role.VIEWER)
def show_import(bill_id: str, import_id: str) -> ResponseReturnValue:
    """The preview until it is confirmed, then how far it is, then what it came to."""
    watched = _watched(bill_id, import_id)
    if watched.one.state != "draft":
        return render("imports/show.html", watched=watched, form=Form())
    engine = system().engine
    return render(
        "imports/preview.html",
        watched=watched,
        preview=import_reports.preview(engine, watched.one.id, system().supported_currencies),
        imported_before=import_reports.imported_before(engine, watched.one),
        form=Form(),
    )


@pages.get("/bills/<bill_id>/imports/<import_id>/standing")
@allow(Role.VIEWER)
@asked_by_itself
def show_import_standing(bill_id: str, import_id: str) -> ResponseReturnValue:
    """The part of the page that goes on."""
    watched = _watched(bill_id, import_id)
    if not wants_fragment():
        return see_other(url_for("pages.show_import", bill_id=watched.bill.id, import_id=watched.one.id))
    return render("imports/_standing.html", watched=watched, form=Form())


@pages.post("/bills/<bill_id>/imports/<import_id>/confirmation")
@allow(Role.OPERATOR)
def start_import(bill_id: str, import_id: str) -> ResponseReturnValue:
    """Once is enough: sent again, it changes nothing."""
    form, bill_uuid = Form.submitted(), parse_bill_id(bill_id)
    one = imports.start(system().engine, origin(form.key), bill_uuid, _id_in(import_id))
    return see_other(url_for("pages.show_import", bill_id=bill_uuid, import_id=one.id))


@pages.post("/bills/<bill_id>/imports/<import_id>/cancellation")
@allow(Role.OPERATOR)
def cancel_import(bill_id: str, import_id: str) -> ResponseReturnValue:
    form, watched = Form.submitted(), _watched(bill_id, import_id)
    imports.cancel(system().engine, origin(form.key), watched.one.id)
    return see_other(url_for("pages.show_import", bill_id=watched.bill.id, import_id=watched.one.id))


@pages.get("/bills/<bill_id>/imports/<import_id>/report.csv")
@allow(Role.VIEWER)
def download_import_report(bill_id: str, import_id: str) -> ResponseReturnValue:
    return report.csv_of(system().engine, _watched(bill_id, import_id).one)


def _watched(bill_id: str, import_id: str) -> Watched:
    """Raises BillNotFound, and ImportNotFound for one into another bill."""
    engine, bill = system().engine, queries.bill(system(), parse_bill_id(bill_id))
    one = imports.by_id(engine, _id_in(import_id))
    if one.bill_id != bill.id:
        raise ImportNotFound
    left_out = import_reports.rejected(engine, one.id) if one.is_over and one.rejected else ()
    return Watched(bill, one, tuple(left_out))


def _id_in(text: str) -> UUID:
    return parse_id(text, ImportNotFound)
