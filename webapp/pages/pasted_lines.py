"""Lines pasted from a spreadsheet: a preview that stores nothing, then all good rows in one call."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from uuid import UUID

from flask import url_for
from flask.typing import ResponseReturnValue

from billing import money
from billing.bill import Bill, LineItem
from billing.errors import InvalidArgument
from billing.ledger.line_items import Outcome, entry
from billing.ledger.repeats import refuse_as_a_whole
from billing.origin import fingerprint
from webapp import commands, offered, queries
from webapp.identity.access import allow
from webapp.identity.caller import origin
from webapp.identity.roles import Role
from webapp.pages.blueprint import pages
from webapp.pages.changes import PageState, changes_since
from webapp.pages.forms import REFUSALS, Form, sentence
from webapp.pages.ids import parse_bill_id
from webapp.pages.rendering import page_or_dialog, see_other, wants_fragment
from webapp.pasted_rows import PastedRow, parse_rows
from webapp.system import system
from webapp.uploads import takes_upload

# A thousand rows of long descriptions in any script.
LONGEST_PASTE = 2 * 1024 * 1024
CHANGED = "What these rows mean changed since the preview. Nothing was added; this is the new preview."


@dataclass(frozen=True, slots=True)
class ShownRow:
    """A row with what is wrong with it, if anything. `item`: the line that it became."""

    row: PastedRow
    problem: str | None
    item: LineItem | None = None


@dataclass(frozen=True, slots=True)
class Preview:
    """`sums` are what the good rows come to per currency; `print_` stands for exactly these rows."""

    rows: Sequence[ShownRow]
    good: int
    sums: Sequence[tuple[str, Decimal]]
    print_: str

    @property
    def bad(self) -> int:
        return len(self.rows) - self.good


@pages.get("/bills/<bill_id>/pasted-lines/new")
@allow(Role.OPERATOR)
def new_pasted_lines(bill_id: str) -> ResponseReturnValue:
    return _form(parse_bill_id(bill_id), Form())


@pages.post("/bills/<bill_id>/pasted-lines/preview")
@allow(Role.OPERATOR)
@takes_upload(LONGEST_PASTE)
def preview_pasted_lines(bill_id: str) -> ResponseReturnValue:
    bill_uuid, form = parse_bill_id(bill_id), Form.submitted()
    try:
        return _form(bill_uuid, form, _preview(_rows(form, system().supported_currencies)))
    except InvalidArgument as refusal:
        return _form(bill_uuid, form.refused(refusal))


@pages.post("/bills/<bill_id>/pasted-lines")
@allow(Role.OPERATOR)
@takes_upload(LONGEST_PASTE)
def add_pasted_lines(bill_id: str) -> ResponseReturnValue:
    """Adds what the preview showed, or shows it anew. The same form sent again adds nothing and says the same."""
    bill_uuid, form = parse_bill_id(bill_id), Form.submitted()
    try:
        rows = _rows(form, _offered(bill_uuid, form))
        preview = _preview(rows)
        if preview.print_ != form["previewed"] or not preview.good:
            return _form(bill_uuid, Form(form.values, {"": CHANGED}, status=409), preview)
        bill, outcomes = _add(bill_uuid, form, rows)
    except REFUSALS as refusal:
        return _form(bill_uuid, form.refused(refusal))
    shown = [_decided(row, outcomes) for row in rows]
    open_page = changes_since(system(), bill.id, PageState.of_request()) if wants_fragment() else {}
    added = sum(row.item is not None for row in shown)
    return page_or_dialog("pasted_lines/added.html", bill=bill, rows=shown, added=added, **open_page)


def _rows(form: Form, currencies: Sequence[str]) -> list[PastedRow]:
    return parse_rows(form["text"], usual_currency=form["currency"], offered=currencies)


def _offered(bill_id: UUID, form: Form) -> Sequence[str]:
    """What was added before is answered as it was, whatever is offered by now."""
    is_repeat = form.key in offered.known_additions(system(), origin(form.key), bill_id, [form.key])
    return system().configured_currencies if is_repeat else system().supported_currencies


def _add(bill_id: UUID, form: Form, rows: Sequence[PastedRow]) -> tuple[Bill, dict[int, Outcome]]:
    """The bill, and what became of the good rows by their numbers."""
    good = [(row.number, entry(row.draft, None)) for row in rows if row.draft is not None]
    call = (form.key, bytes.fromhex(_print(rows)))
    accepted = commands.add_line_items(system(), origin(form.key), bill_id, [each for _, each in good], call=call)
    outcomes = dict(zip((number for number, _ in good), accepted.outcomes, strict=True))
    refuse_as_a_whole(accepted.outcomes)
    return accepted.bill, outcomes


def _decided(row: PastedRow, outcomes: dict[int, Outcome]) -> ShownRow:
    outcome = outcomes.get(row.number)
    refusal = outcome.refusal if outcome else row.refusal
    return ShownRow(row, sentence(refusal) if refusal else None, outcome.item if outcome else None)


def _preview(rows: Sequence[PastedRow]) -> Preview:
    drafts = [row.draft for row in rows if row.draft is not None]
    sums = {
        code: money.exact_sum(draft.total for draft in drafts if draft.currency == code)
        for code in sorted({draft.currency for draft in drafts})
    }
    shown = [ShownRow(row, sentence(row.refusal) if row.refusal else None) for row in rows]
    return Preview(shown, len(drafts), tuple(sums.items()), _print(rows))


def _print(rows: Sequence[PastedRow]) -> str:
    """Of the good rows, as they will be stored."""
    return fingerprint(*(row.draft.fingerprint().hex() for row in rows if row.draft is not None)).hex()


def _form(bill_id: UUID, form: Form, preview: Preview | None = None) -> ResponseReturnValue:
    bill = queries.bill(system(), bill_id)
    if not bill.is_open and not form.errors:
        return see_other(url_for("pages.show_bill", bill_id=bill_id))
    return page_or_dialog(
        "pasted_lines/new.html",
        status=form.status,
        bill=bill,
        form=form,
        preview=preview,
        offered=system().supported_currencies,
    )
